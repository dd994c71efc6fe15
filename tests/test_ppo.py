"""The PPO recipe: real training, checkpoints, resuming, and a separate evaluation."""

from __future__ import annotations

import importlib.util
import os
import pickle
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeptui.core.errors import UserError
from sweeptui.core.reports import ParsedReport, ReportReader, objective
from sweeptui.core.template import Context, check, render
from sweeptui.core.trial import Stage
from sweeptui.recipes.find import find_recipe
from sweeptui.recipes.ppo import metric_of

pytest.importorskip("stable_baselines3")
ppo_train = pytest.importorskip("sweeptui.recipes.ppo_train")
ppo_eval = pytest.importorskip("sweeptui.recipes.ppo_eval")

SMALL = {
    "trainer.total_timesteps": 512,
    "trainer.batch_size": 64,
    "trainer.minibatch_size": 32,
    "trainer.update_epochs": 1,
}


@pytest.fixture
def report_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "reports.jsonl"
    monkeypatch.setenv("SWEEPTUI_REPORT", str(path))
    return path


def train(folder: Path, *overrides: str, resume: str = "", seed: int = 0) -> int:
    argv = ["--run", "r", "--trial-dir", str(folder), "--seed", str(seed), "--resume", resume]
    small = [f"{name}={value}" for name, value in SMALL.items()]
    code: int = ppo_train.main([*argv, "--overrides", *small, *overrides])
    return code


def take(path: Path) -> list[ParsedReport]:
    """The reports so far, each taken once."""
    reader = ReportReader(path)
    reports = reader.read(final=True)
    assert reader.rejected.count == 0
    path.unlink()
    return reports


def run(argv: list[str], report_path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SWEEPTUI_REPORT": str(report_path)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


def test_the_sweep_of_five_parameters() -> None:
    tool = find_recipe("ppo", Path()).build({"sweep_name": "s", "max_trials": 3, "env_id": "Acrobot-v1"})
    loss = "trainer.losses.loss_configs.ppo"
    center = tool.space.center()
    assert center == pytest.approx(
        {
            "trainer.optimizer.learning_rate": 1e-3,
            f"{loss}.clip_coef": 0.175,
            f"{loss}.ent_coef": 1e-3,
            f"{loss}.gae_lambda": 0.895,
            f"{loss}.vf_coef": 0.55,
        }
    )
    assert (tool.max_trials, tool.protein_config.metric) == (3, "evaluator/eval_acrobot/score")
    assert tool.train_command is not None
    assert tool.eval_command is not None
    check(tool.train_command, "train_command", center, tool.train_overrides)
    check(tool.eval_command, "eval_command", center, tool.eval_overrides)
    config = ppo_train.PPOConfig().trainer
    assert config.losses.loss_configs.ppo.model_dump() == pytest.approx(
        {name.rpartition(".")[2]: value for name, value in center.items() if name.startswith(loss)}
    ), "the default configuration is the search centre"


def test_over_another_module_it_needs_no_stable_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "stable_baselines3" else find(name))
    tool = find_recipe("ppo", Path()).build({"recipe_module": "m.n", "train_entrypoint": "fit"})
    assert (tool.recipe_module, tool.train_entrypoint, tool.train_command) == ("m.n", "fit", None)
    with pytest.raises(UserError, match=r"needs stable_baselines3.*pip install 'sweeptui\[ppo\]'"):
        find_recipe("ppo", Path()).build({})


@pytest.mark.parametrize(
    ("env_id", "name"),
    [
        ("CartPole-v1", "cartpole"),
        ("ALE/Pong-v5", "ale_pong"),
        ("MountainCarContinuous-v0", "mountaincarcontinuous"),
    ],
)
def test_the_metric_is_named_after_the_environment(env_id: str, name: str) -> None:
    assert metric_of(env_id) == f"evaluator/eval_{name}/score"


def test_train_then_evaluate_as_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    tool = find_recipe("ppo", tmp_path).build({"total_timesteps": 512, "episodes": 3})
    assert tool.train_command is not None
    assert tool.eval_command is not None
    fields: dict[str, Any] = {
        "sweep": "s",
        "trial": 1,
        "params": tool.space.center(),
        "attempt": 1,
        "seed": 3,
        "trial_dir": tmp_path / "trial",
        "project_dir": tmp_path,
        "metric": tool.protein_config.metric,
    }
    train_path, eval_path = tmp_path / "train.jsonl", tmp_path / "eval.jsonl"
    small = {**tool.train_overrides, **SMALL}
    context = Context(stage=Stage.TRAIN, report_path=train_path, overrides=small, **fields)
    done = run(render(tool.train_command, context), train_path)
    assert "Epoch 8 [s_trial_0001] / " in done.stdout
    assert "100.0% of 0.51 ksteps" in done.stdout
    curve = take(train_path)
    assert [r.step for r in curve] == list(range(64, 513, 64))
    assert all(r.total_steps == 512 and r.cost is not None for r in curve)
    assert curve[-1].score is not None
    saved = [Path(r.checkpoint).name for r in curve if r.checkpoint]
    assert saved == [f"step_{step:09d}.pt" for step in range(64, 513, 64)]
    assert sorted(path.name for path in (tmp_path / "trial" / "checkpoints").iterdir()) == saved

    newest = curve[-1].checkpoint
    context = Context(
        stage=Stage.EVAL, report_path=eval_path, overrides=tool.eval_overrides, checkpoint=newest, **fields
    )
    run(render(tool.eval_command, context), eval_path)
    (report,) = take(eval_path)
    assert report.metrics["episodes"] == 3
    assert report.metrics["evaluator/eval_cartpole/score"] == report.score == objective(report, fields["metric"])
    assert report.metrics["reward_min"] <= (report.score or 0) <= report.metrics["reward_max"]
    assert not list((tmp_path / "tmp").glob("SB3-*")), "thousands of trainings would leave as many folders"


def test_training_and_evaluation_repeat_with_their_seed(tmp_path: Path, report_path: Path) -> None:
    scores = []
    for name in ("a", "b"):
        assert train(tmp_path / name, seed=4) == 0
        take(report_path)
        checkpoint = tmp_path / name / "checkpoints" / "step_000000512.pt"
        assert ppo_eval.main(["--checkpoint", str(checkpoint), "--overrides", "episodes=3"]) == 0
        scores.append(take(report_path)[0].score)
    assert scores[0] == scores[1]


def test_it_goes_on_from_a_checkpoint(tmp_path: Path, report_path: Path) -> None:
    assert train(tmp_path) == 0
    take(report_path)
    half = tmp_path / "checkpoints" / "step_000000256.pt"
    trained_s = ppo_train.load_checkpoint(half)["train_s"]
    assert train(tmp_path, resume=str(half)) == 0
    curve = take(report_path)
    assert [r.step for r in curve] == [320, 384, 448, 512]
    assert (curve[0].cost or 0) > trained_s, "the cost goes on, too"


def test_told_to_end_it_writes_a_last_checkpoint_to_go_on_from(
    tmp_path: Path, report_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[int] = []

    def end_after_four_updates(self: Any) -> bool:
        if self.num_timesteps > 256 and not self.ending:
            os.kill(os.getpid(), signal.SIGTERM)
            reported.append(self.num_timesteps)
        return not self.ending

    handler = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(ppo_train.Progress, "_on_step", end_after_four_updates)
        assert train(tmp_path) == 0
    assert reported, "it was told to end"
    assert signal.getsignal(signal.SIGTERM) is handler
    last = take(report_path)[-1]
    assert last.step == 256
    assert last.total_steps == 512
    assert ppo_train.load_checkpoint(Path(str(last.checkpoint)))["step"] == 256
    assert train(tmp_path, resume=str(last.checkpoint)) == 0
    assert take(report_path)[-1].step == 512


def test_from_a_finished_checkpoint_it_trains_anew(
    tmp_path: Path, report_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path) == 0
    take(report_path)
    assert train(tmp_path, resume=str(tmp_path / "checkpoints" / "step_000000512.pt")) == 0
    assert take(report_path)[0].step == 64
    assert "training anew" in capsys.readouterr().out


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "Acrobot-v1"])
def test_other_environments(tmp_path: Path, report_path: Path, env_id: str) -> None:
    assert train(tmp_path, f"env_id={env_id}") == 0
    checkpoint = take(report_path)[-1].checkpoint
    assert ppo_eval.main(["--checkpoint", str(checkpoint), "--overrides", "episodes=1", "deterministic=true"]) == 0
    assert metric_of(env_id) in take(report_path)[0].metrics


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.optimizer.lr=1", "trainer.optimizer has no field 'lr'"),
        ("trainer.losses.loss_configs.ppo.clip_cof=1", "did you mean 'clip_coef'?"),
        ("trainer.ppo.clip_cof=1", "did you mean 'clip_coef'?"),
        ("trainer.total_timesteps=many", "trainer.total_timesteps is 'many'; "),
        ("trainer.optimizer.learning_rate=-1", "trainer.optimizer.learning_rate is -1; it must be above 0"),
        ("trainer.batch_size=65", "trainer.batch_size=65 must be a multiple of trainer.num_envs=4"),
        ("trainer.minibatch_size=128", "trainer.minibatch_size=128 must be between 2 and trainer.batch_size=64"),
        ("env_id=NoSuchThing-v1", "env_id='NoSuchThing-v1' cannot be made"),
    ],
)
def test_bad_overrides(
    tmp_path: Path, report_path: Path, capsys: pytest.CaptureFixture[str], override: str, message: str
) -> None:
    assert train(tmp_path, override) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert said.count("\n") == 1
    assert not report_path.exists()


def test_the_older_paths_of_the_loss_are_understood() -> None:
    tool = ppo_train.train("r")
    tool.override("trainer.ppo.clip_coef", 0.25)
    tool.override("trainer.batch_size", 65536)
    assert tool.config.trainer.losses.loss_configs.ppo.clip_coef == 0.25
    assert ppo_train.PPOConfig().trainer.losses.loss_configs.ppo.clip_coef == 0.175, "no state is shared"


class Intruder:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (Path(os.environ["INTRUDED"]),)


@pytest.mark.parametrize("kind", ["missing", "garbage", "pickle"])
def test_a_checkpoint_that_cannot_be_loaded(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTRUDED", str(tmp_path / "intruded"))
    path = tmp_path / "checkpoint.pt"
    if kind == "garbage":
        path.write_bytes(b"garbage" * 100)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"config": Intruder()}, protocol=2))
    assert ppo_eval.main(["--checkpoint", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: checkpoint {path} cannot be loaded: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "intruded").exists()


def test_without_stable_baselines_training_says_what_to_install(tmp_path: Path) -> None:
    script = "import sys; sys.modules['stable_baselines3'] = None; import sweeptui.recipes.ppo_train"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: the ppo recipe cannot import stable_baselines3: pip install 'sweeptui[ppo]'\n"


def test_describing_the_sweep_imports_nothing_heavy() -> None:
    script = (
        "import sys; from pathlib import Path; from sweeptui.recipes.find import find_recipe, list_recipes;"
        "list_recipes(); find_recipe('ppo', Path()).build({}); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"torch", "gymnasium", "stable_baselines3", "numpy", "textual"}


@pytest.mark.slow
def test_tuning_matters(tmp_path: Path, report_path: Path) -> None:
    """A good configuration beats the median of the default one over seeds, which learns, but not to the end."""

    def score(name: str, seed: int, *overrides: str) -> float:
        argv = ["--run", name, "--trial-dir", str(tmp_path / name), "--seed", str(seed), "--overrides", *overrides]
        assert ppo_train.main(argv) == 0
        checkpoint = take(report_path)[-1].checkpoint
        assert ppo_eval.main(["--checkpoint", str(checkpoint)]) == 0
        return float(take(report_path)[0].score or 0)

    default = statistics.median(score(f"default{seed}", seed) for seed in range(3))
    tuned = score("tuned", 0, "trainer.optimizer.learning_rate=0.00322", "trainer.ppo.gae_lambda=0.8")
    assert 60 < default < tuned
