# As documented, but for the lines that import.
# ruff: noqa
# fmt: off

# experiments/sweep_arena.py
from experiments.arena import train as arena_train_factory
from sweeptui import ParameterConfig, ProteinConfig
from sweeptui import SweepConfig
from sweeptui import SweepTool, TrainTool

def sweep_optimizer(sweep_name: str, num_trials: int = 10) -> SweepTool:
    """Sweep for optimizing PPO hyperparameters on arena."""
    
    protein_config = ProteinConfig(
        metric="arena",
        goal="maximize",
        method="bayes",
        parameters={
            "trainer": {
                "optimizer": {
                    "learning_rate": ParameterConfig(
                        min=1e-5, max=1e-2, distribution="log_normal"
                    ),
                },
                "ppo": {
                    "clip_coef": ParameterConfig(
                        min=0.05, max=0.3, distribution="uniform"
                    ),
                    "ent_coef": ParameterConfig(
                        min=0.0001, max=0.01, distribution="log_normal"
                    ),
                    "gae_lambda": ParameterConfig(
                        min=0.8, max=0.99, distribution="uniform"
                    ),
                },
                "batch_size": ParameterConfig(
                    min=65536, max=1048576, distribution="int_uniform"
                ),
            }
        },
    )
    
    sweep_config = SweepConfig(
        num_trials=num_trials,
        protein=protein_config,
    )
    
    def train_factory(run_name: str) -> TrainTool:
        return arena_train_factory(run_name)
    
    return SweepTool(
        sweep=sweep_config,
        sweep_name=sweep_name,
        train_tool_factory=train_factory,
    )
