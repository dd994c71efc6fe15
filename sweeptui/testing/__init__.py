"""What a plug-in can be tested against: subclass the contract in a test module of your own, and run pytest.

from sweeptui.testing import OptimizerContract

class TestMine(OptimizerContract):
    def make(self, space, *, goal="maximize", seed=0):
        return MyOptimizer(space, goal=goal, settings={}, seed=seed)
"""

from sweeptui.testing.optimizers import OptimizerContract

__all__ = ["OptimizerContract"]
