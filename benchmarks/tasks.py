"""Tasks for optimizers, none of them made here: COCO's functions, scikit-learn's models and data, LCBench's surrogate.

`task(name)` gives a `Task`. Names: `bbob-f8-d5`, `mixint-f8-d5` (instance 1; `-i3` for another), `ml-digits-mlp`,
`lcb-167168`, and `synth-d5`, which is for timing only. Losses are minimised. Every evaluation is deterministic, and
costs are modelled or predicted: none depends on the machine or its load.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LCBENCH = Path(os.environ.get("BENCH_LCBENCH", "lcbench"))
"""A folder with `model.onnx` and `encoding.json` of YAHPO's lcbench (https://github.com/slds-lmu/yahpo_data)."""
LCBENCH_OPTIMA = {"167168": 10.573, "189906": 4.7245, "126026": 0.2515}
"""Least 100 - validation accuracy, from 30,000 random points and an evolutionary search of 150,000 more."""
WORST_LOSS = 50.0
FUNCTIONS = {"bbob": (1, 3, 5, 6, 8, 11, 13, 15, 17, 19, 21, 23), "mixint": (1, 8, 15, 21)}
HELD_OUT = (
    "bbob-f6-d5-i7",
    "ml-wine-svm",
    "lcb-3945",
    "mixint-f10-d5-i7",
    "bbob-f15-d3-i7",
    "ml-bc-rf",
    "lcb-34539",
    "bbob-f10-d5-i7",
    "mixint-f3-d5-i7",
    "ml-iris-logreg",
    "lcb-168868",
    "bbob-f20-d2-i7",
    "mixint-f20-d10-i7",
    "bbob-f2-d10-i7",
)
"""The group `held`: functions, instances and data sets on which no version of Protein was developed."""
FRESH = (
    *(f"bbob-f{function}-d5-i2" for function in (3, 4, 7, 8, 11, 12, 14, 18, 21)),
    "bbob-f13-d5-i3",
    *("bbob-f1-d10-i2", "bbob-f17-d10-i2", "bbob-f9-d3-i2", "bbob-f16-d3-i2", "bbob-f24-d3-i2", "bbob-f22-d2-i2"),
    *("mixint-f1-d5-i2", "mixint-f7-d5-i2", "mixint-f8-d5-i2", "mixint-f15-d5-i2", "mixint-f13-d10-i2"),
    *("lcb-126026", "lcb-167168", "lcb-189862", "lcb-189906"),
    *("ml-bc-logreg", "ml-bc-svm", "ml-iris-mlp"),
)
"""The group `fresh`: instances, and mostly functions, that came after the version of Protein measured on them."""
GROUPS = {
    "fresh": FRESH,
    "held": HELD_OUT,
    "ml": ("ml-bc-hgb", "ml-bc-logreg", "ml-digits-mlp", "ml-digits-svm", "ml-bc-rf", "ml-iris-mlp"),
    "lcb": tuple(f"lcb-{data}" for data in LCBENCH_OPTIMA),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    kind: str
    """ "float", "int" or "cat"."""
    lo: float = 0.0
    hi: float = 1.0
    log: bool = False
    choices: tuple[str, ...] = ()

    def at(self, u: float) -> Any:
        """The value at a place in [0, 1]; every integer has an equal share of the (linear or log) axis."""
        if self.kind == "cat":
            return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]
        pad = 0.5 if self.kind == "int" else 0.0
        low, high = self.lo - pad, self.hi + pad
        value = low * (high / low) ** u if self.log else low + u * (high - low)
        return min(max(round(value) if self.kind == "int" else value, self.lo), self.hi)


@dataclass(frozen=True, slots=True)
class SearchSpace:
    params: list[Parameter]

    def at(self, point: Sequence[float]) -> dict[str, Any]:
        return {each.name: each.at(float(u)) for each, u in zip(self.params, point, strict=True)}

    def sample(self, rng: np.random.Generator) -> dict[str, Any]:
        return self.at(rng.random(len(self.params)))


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    space: SearchSpace
    evaluate: Callable[[dict[str, Any]], tuple[float, float]]
    """Loss and cost of a configuration."""
    optimum: float | None = None
    cost: Callable[[dict[str, Any]], float] | None = None
    """The cost alone, where it differs between configurations."""

    @property
    def floor(self) -> float:
        """log10 of the share of random's gap that counts as solved: larger where the optimum is not known exactly."""
        return -4.0 if self.name.startswith(("bbob", "mixint")) else -2.0


def names(group: str) -> list[str]:
    """Of a group: bbob2, bbob3, bbob5, bbob10, mixint5, mixint10, ml, lcb, fresh or held."""
    if group in GROUPS:
        return list(GROUPS[group])
    suite = group.rstrip("0123456789")
    return [f"{suite}-f{function}-d{group.removeprefix(suite)}" for function in FUNCTIONS[suite]]


def task(name: str) -> Task:
    kind, *rest = name.split("-")
    if kind in ("bbob", "mixint"):
        numbers = {part[0]: int(part[1:]) for part in rest}
        return _coco(name, kind, numbers["f"], numbers["d"], numbers.get("i", 1))
    if kind == "ml":
        return _scikit_learn(name, *rest)
    if kind == "lcb":
        return _lcbench(name, rest[0])
    if kind == "synth":
        return _synthetic(name, int(rest[0][1:]))
    raise ValueError(f"{name!r} is no task")


_SUITES: dict[tuple[str, int, int], Any] = {}


def _coco(name: str, kind: str, function: int, dimension: int, instance: int) -> Task:
    import cocoex

    suite = "bbob" if kind == "bbob" else "bbob-mixint"
    key = (suite, dimension, instance)
    # A suite must live as long as its problems.
    if key not in _SUITES:
        _SUITES[key] = cocoex.Suite(suite, f"instances:{instance}", f"dimensions:{dimension}")
    problem = _SUITES[key].get_problem_by_function_dimension_instance(function, dimension, instance)
    integers = problem.number_of_integer_variables
    params = []
    for k, (low, high) in enumerate(zip(problem.lower_bounds, problem.upper_bounds, strict=True)):
        params.append(Parameter(f"x{k}", "int" if k < integers else "float", low, high))

    def evaluate(configuration: dict[str, Any]) -> tuple[float, float]:
        return float(problem(np.array(list(configuration.values()), dtype=float))), 1.0

    return Task(name, SearchSpace(params), evaluate, _coco_optimum(problem))


def _coco_optimum(problem: Any) -> float:
    """COCO tells its best point only to a file in the current folder."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        try:
            os.chdir(folder)
            problem._best_parameter("print")
            [file] = Path(folder).iterdir()
            return float(problem(np.loadtxt(file)))
        finally:
            os.chdir(before)


_LOG = True
_MODELS: dict[str, list[Parameter]] = {
    "mlp": [
        Parameter("hidden", "int", 4, 64, _LOG),
        Parameter("lr", "float", 1e-4, 1e-1, _LOG),
        Parameter("alpha", "float", 1e-6, 1e1, _LOG),
        Parameter("batch", "int", 16, 256, _LOG),
        Parameter("epochs", "int", 2, 30, _LOG),
        Parameter("beta1", "float", 0.5, 0.99),
        Parameter("activation", "cat", choices=("relu", "tanh")),
    ],
    "hgb": [
        Parameter("trees", "int", 5, 60, _LOG),
        Parameter("lr", "float", 0.01, 1.0, _LOG),
        Parameter("leaves", "int", 2, 32, _LOG),
        Parameter("min_leaf", "int", 1, 50, _LOG),
        Parameter("l2", "float", 1e-6, 1e2, _LOG),
        Parameter("max_features", "float", 0.1, 1.0),
    ],
    "rf": [
        Parameter("trees", "int", 5, 60, _LOG),
        Parameter("depth", "int", 1, 16),
        Parameter("min_leaf", "int", 1, 30, _LOG),
        Parameter("max_features", "float", 0.05, 1.0),
        Parameter("criterion", "cat", choices=("gini", "entropy")),
    ],
    "svm": [
        Parameter("C", "float", 1e-3, 1e3, _LOG),
        Parameter("gamma", "float", 1e-5, 1e1, _LOG),
        Parameter("kernel", "cat", choices=("rbf", "poly", "sigmoid")),
        Parameter("coef0", "float", -1.0, 1.0),
    ],
    "logreg": [
        Parameter("C", "float", 1e-5, 1e4, _LOG),
        Parameter("l1_ratio", "float", 0.0, 1.0),
        Parameter("iterations", "int", 5, 200, _LOG),
    ],
}


def _scikit_learn(name: str, data: str, kind: str) -> Task:
    from sklearn import datasets
    from sklearn.model_selection import StratifiedKFold
    from sklearn.preprocessing import StandardScaler

    full_name = {"bc": "breast_cancer"}.get(data, data)
    x, y = getattr(datasets, f"load_{full_name}")(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    folds = list(StratifiedKFold(2 if data == "digits" else 3, shuffle=True, random_state=7).split(x, y))
    # One fold where training takes longest.
    folds = folds[:1] if data == "digits" or kind in ("rf", "hgb") else folds
    classes = np.unique(y)

    def cost(configuration: dict[str, Any]) -> float:
        return _work(kind, configuration, len(folds[0][0]), x.shape[1])

    def evaluate(configuration: dict[str, Any]) -> tuple[float, float]:
        losses = []
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                for train, test in folds:
                    fitted = _estimator(kind, configuration).fit(x[train], y[train])
                    chance = np.clip(fitted.predict_proba(x[test]), 1e-4, 1.0)
                    chance /= chance.sum(axis=1, keepdims=True)
                    losses.append(-np.log(chance[np.arange(len(test)), np.searchsorted(classes, y[test])]).mean())
                loss = float(np.mean(losses))
            except (ValueError, FloatingPointError):
                loss = WORST_LOSS
        return min(loss, WORST_LOSS) if math.isfinite(loss) else WORST_LOSS, cost(configuration)

    return Task(name, SearchSpace(_MODELS[kind]), evaluate, cost=cost)


def _estimator(kind: str, c: dict[str, Any]) -> Any:
    from sklearn import ensemble, linear_model, neural_network, svm

    match kind:
        case "mlp":
            return neural_network.MLPClassifier(
                hidden_layer_sizes=(c["hidden"],),
                activation=c["activation"],
                learning_rate_init=c["lr"],
                alpha=c["alpha"],
                batch_size=c["batch"],
                max_iter=c["epochs"],
                beta_1=c["beta1"],
                random_state=0,
                n_iter_no_change=1000,
                tol=0.0,
            )
        case "hgb":
            return ensemble.HistGradientBoostingClassifier(
                max_iter=c["trees"],
                learning_rate=c["lr"],
                max_leaf_nodes=c["leaves"],
                min_samples_leaf=c["min_leaf"],
                l2_regularization=c["l2"],
                max_features=c["max_features"],
                early_stopping=False,
                max_bins=64,
                random_state=0,
            )
        case "rf":
            return ensemble.RandomForestClassifier(
                n_estimators=c["trees"],
                max_depth=c["depth"],
                min_samples_leaf=c["min_leaf"],
                max_features=c["max_features"],
                criterion=c["criterion"],
                random_state=0,
            )
        case "svm":
            machine = svm.SVC(C=c["C"], gamma=c["gamma"], kernel=c["kernel"], coef0=c["coef0"], max_iter=2000)
            from sklearn.calibration import CalibratedClassifierCV

            return CalibratedClassifierCV(machine, cv=2, ensemble=False)
        case _:
            return linear_model.LogisticRegression(
                C=c["C"], l1_ratio=c["l1_ratio"], solver="saga", max_iter=c["iterations"], random_state=0
            )


def _work(kind: str, c: dict[str, Any], rows: int, columns: int) -> float:
    """Units of work, about in proportion to the time that training takes."""
    match kind:
        case "mlp":
            return c["epochs"] * (rows / c["batch"] + rows * c["hidden"] * columns * 2e-5)
        case "hgb":
            return c["trees"] * (1.0 + 0.15 * c["leaves"] * (1 + 0.02 * columns * c["max_features"]))
        case "rf":
            return c["trees"] * (1.0 + 0.1 * c["depth"] * c["max_features"] * math.sqrt(columns))
        case "svm":
            return rows * 0.01 * (1 + math.log10(1 + c["C"]))
        case _:
            return c["iterations"] * (1 + c["l1_ratio"])


def _lcbench(name: str, instance: str) -> Task:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(LCBENCH / "model.onnx"), options)
    code = json.loads((LCBENCH / "encoding.json").read_text())["OpenML_task_id"][instance]
    params = [
        Parameter("epoch", "int", 1, 52, _LOG),
        Parameter("batch_size", "int", 16, 512, _LOG),
        Parameter("learning_rate", "float", 1e-4, 1e-1, _LOG),
        Parameter("momentum", "float", 0.1, 0.99),
        Parameter("weight_decay", "float", 1e-5, 1e-1),
        Parameter("num_layers", "int", 1, 5),
        Parameter("max_units", "int", 64, 1024, _LOG),
        Parameter("max_dropout", "float", 0.0, 1.0),
    ]

    def evaluate(configuration: dict[str, Any]) -> tuple[float, float]:
        row = np.array([[configuration[each.name] for each in params]], np.float32)
        [out] = session.run(None, {"x_cat": np.full((1, 1), code, np.int32), "x_cont": row})[0]
        return float(100.0 - out[1]), float(max(out[0], 1e-3))

    return Task(name, SearchSpace(params), evaluate, LCBENCH_OPTIMA.get(instance), cost=lambda each: evaluate(each)[1])


def _synthetic(name: str, dimension: int) -> Task:
    params = [Parameter(f"x{k}", "float", -5.0, 5.0) for k in range(dimension)]

    def evaluate(configuration: dict[str, Any]) -> tuple[float, float]:
        x = np.array(list(configuration.values())) - 0.7
        return float((x**2).mean() + 1 - np.cos(2 * x).mean()), float(1 + abs(x[0]))

    return Task(name, SearchSpace(params), evaluate, 0.0)
