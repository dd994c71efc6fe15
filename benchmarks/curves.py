"""Learning curves for schedulers: LCBench's surrogate, 52 epochs of each configuration, with what they cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from sweeptui.core.space import Space
from sweeptui.core.trial import Params

EPOCHS = 52
NAMES = ("batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout")
SPACE = {
    "batch_size": {"distribution": "int_log_normal", "min": 16, "max": 512},
    "learning_rate": {"distribution": "log_normal", "min": 1e-4, "max": 1e-1},
    "momentum": {"distribution": "uniform", "min": 0.1, "max": 0.99},
    "weight_decay": {"distribution": "uniform", "min": 1e-5, "max": 1e-1},
    "num_layers": {"distribution": "int_uniform", "min": 1, "max": 5},
    "max_units": {"distribution": "int_log_normal", "min": 64, "max": 1024},
    "max_dropout": {"distribution": "uniform", "min": 0.0, "max": 1.0},
}


class LCBench:
    """One data set. The loss is 100 - validation accuracy, the cost predicted seconds.

    `folder` has `model.onnx` and `encoding.json` of YAHPO's lcbench (https://github.com/slds-lmu/yahpo_data).
    """

    goal = "minimize"

    def __init__(self, folder: Path, instance: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.name = instance
        self.space = Space.from_parameters(SPACE)
        self._session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
        self._code = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"][instance]
        self._curves: dict[tuple[Any, ...], list[tuple[float, float]]] = {}

    def curve(self, params: Params) -> Sequence[tuple[float, float]]:
        key = tuple(params[name] for name in NAMES)
        if key not in self._curves:
            losses, seconds = self.losses([key])
            self._curves[key] = [(float(a), float(b)) for a, b in zip(losses[0], seconds[0], strict=True)]
        return self._curves[key]

    def losses(self, configurations: Sequence[Sequence[Any]]) -> tuple[Any, Any]:
        """Losses and seconds since the beginning, a row of 52 for each configuration in the order of `NAMES`."""
        count = len(configurations)
        rows = np.repeat(np.asarray(configurations, np.float32), EPOCHS, axis=0)
        epochs = np.tile(np.arange(1, EPOCHS + 1, dtype=np.float32), count)[:, None]
        given = {
            "x_cat": np.full((len(rows), 1), self._code, np.int32),
            "x_cont": np.hstack([epochs, rows]).astype(np.float32),
        }
        out = self._session.run(None, given)[0]
        losses = (100.0 - out[:, 1]).reshape(count, EPOCHS)
        seconds = np.maximum.accumulate(np.maximum(out[:, 0], 1e-3).reshape(count, EPOCHS), axis=1)
        return losses, seconds
