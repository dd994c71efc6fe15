"""ASHA of other libraries on the same curves and the same simulated clock: they say what to train and when to stop."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable
from typing import Any, Protocol

from benchmarks.curves import EPOCHS, SPACE, LCBench


class Peer(Protocol):
    """What the clock asks of a library."""

    def start(self) -> tuple[Any, dict[str, Any]]:
        """A new trial and its parameters."""
        ...

    def goes_on(self, trial: Any, epoch: int, loss: float) -> bool:
        """Told of a report, whether the training goes on. At the last epoch it is the end."""
        ...


class OptunaASHA:
    """`SuccessiveHalvingPruner` with a sampler, told as trials report, through ask and tell."""

    def __init__(self, seed: int, grace: int, sampler: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
        self._optuna = optuna
        self._study = optuna.create_study(
            sampler=samplers[sampler](seed=seed),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=grace, reduction_factor=3),
        )

    def start(self) -> tuple[Any, dict[str, Any]]:
        trial = self._study.ask()
        params: dict[str, Any] = {}
        for name, each in SPACE.items():
            log = "log" in str(each["distribution"])
            suggest = trial.suggest_int if "int" in str(each["distribution"]) else trial.suggest_float
            params[name] = suggest(name, each["min"], each["max"], log=log)  # type: ignore[arg-type]
        return trial, params

    def goes_on(self, trial: Any, epoch: int, loss: float) -> bool:
        trial.report(loss, epoch)
        if epoch == EPOCHS:
            self._study.tell(trial, loss)
        elif trial.should_prune():
            self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)
            return False
        return epoch < EPOCHS


class SyneTuneASHA:
    """`ASHA`, of the stopping kind, with random search."""

    def __init__(self, seed: int, grace: int) -> None:
        from syne_tune import config_space
        from syne_tune.backend.trial_status import Trial
        from syne_tune.optimizer import baselines

        logging.getLogger("syne_tune").setLevel(logging.ERROR)
        makers = {"int_log_normal": "lograndint", "log_normal": "loguniform", "uniform": "uniform"}
        makers["int_uniform"] = "randint"
        space = {
            name: getattr(config_space, makers[str(each["distribution"])])(each["min"], each["max"])
            for name, each in SPACE.items()
        }
        self._trial = Trial
        self._count = 0
        self._scheduler = baselines.ASHA(
            space, metric="loss", time_attr="epoch", max_t=EPOCHS, grace_period=grace, random_seed=seed
        )

    def start(self) -> tuple[Any, dict[str, Any]]:
        import datetime

        suggestion = self._scheduler.suggest()
        trial = self._trial(self._count, dict(suggestion.config), datetime.datetime.fromtimestamp(0, datetime.UTC))
        self._count += 1
        self._scheduler.on_trial_add(trial)
        return trial, dict(trial.config)

    def goes_on(self, trial: Any, epoch: int, loss: float) -> bool:
        result = {"loss": loss, "epoch": epoch}
        if epoch == EPOCHS:
            self._scheduler.on_trial_complete(trial, result)
            return False
        if self._scheduler.on_trial_result(trial, result) == "STOP":
            self._scheduler.on_trial_remove(trial)
            return False
        return True


PEERS: dict[str, Callable[[int, int], Peer]] = {
    "optuna asha+random": lambda seed, grace: OptunaASHA(seed, grace, "random"),
    "optuna asha+tpe": lambda seed, grace: OptunaASHA(seed, grace, "tpe"),
    "syne-tune asha+random": SyneTuneASHA,
}


def run_peer(
    name: str, task: LCBench, workers: int, seed: int, budget: int, grace: int
) -> list[tuple[float, int, float]]:
    """(simulated seconds, epochs, best loss) whenever the best loss fell, and at the end. Raises `ImportError`."""
    peer = PEERS[name](seed, grace)
    events: list[tuple[float, int, Any, Any, int]] = []
    sequence = epochs = 0
    now, best = 0.0, float("inf")
    trace: list[tuple[float, int, float]] = []

    def push(trial: Any, curve: Any, epoch: int) -> None:
        nonlocal sequence
        sequence += 1
        took = curve[epoch - 1][1] - (curve[epoch - 2][1] if epoch > 1 else 0.0)
        heapq.heappush(events, (now + took, sequence, trial, curve, epoch))

    def begin() -> None:
        trial, params = peer.start()
        push(trial, task.curve(params), 1)

    for _ in range(workers):
        begin()
    while epochs < budget:
        now, _, trial, curve, epoch = heapq.heappop(events)
        epochs += 1
        loss = curve[epoch - 1][0]
        if loss < best:
            best = loss
            trace.append((now, epochs, best))
        if peer.goes_on(trial, epoch, loss):
            push(trial, curve, epoch + 1)
        else:
            begin()
    return [*trace, (now, epochs, best)]
