"""What a plug-in can be tested against, and a simulator for schedulers and optimizers.

Subclass a contract in a test module of your own, and run pytest:

    from sweeptui.testing import OptimizerContract

    class TestMine(OptimizerContract):
        def make(self, space, *, goal="maximize", seed=0):
            return MyOptimizer(space, goal=goal, settings={}, seed=seed)
"""

from sweeptui.testing.optimizers import OptimizerContract
from sweeptui.testing.schedulers import SchedulerContract
from sweeptui.testing.simulator import Outcome, Simulator, Task, best_so_far, simulate

__all__ = ["OptimizerContract", "Outcome", "SchedulerContract", "Simulator", "Task", "best_so_far", "simulate"]
