"""An outlook as the optimizer page is given it, the same on every machine: fits differ in their last digits."""

from __future__ import annotations

import math
from typing import Any

NAMES = ("trainer.optimizer.learning_rate", "trainer.losses.clip_coef", "trainer.batch_size")


def _slice(name: str, centre: float) -> dict[str, Any]:
    places = [index / 10 for index in range(11)]
    return {
        "parameter": name,
        "values": [round(10 ** (-5 + 3 * place), 7) for place in places],
        "places": places,
        "mean": [470 - 300 * (place - centre) ** 2 for place in places],
        "spread": [12 + 90 * abs(place - centre) for place in places],
    }


def _calibration(numbers: range) -> dict[str, Any]:
    rows = [
        {"number": n, "observed": 400.0 + 7 * n, "mean": 398.0 + 8 * n, "spread": 14.0, "off": (2.0 - n) / 14}
        for n in numbers
    ]
    return {"rows": rows, "in_68": len(rows), "in_90": len(rows)}


def shown(verdict: str = "more than chance: trainer.optimizer.learning_rate", *, told: bool = True) -> dict[str, Any]:
    shares = (0.71, 0.2, 0.09)
    return {
        "metric": "evaluator/score",
        "trials": 24,
        "problem": "",
        "through": "trial_0005",
        "stored": _calibration(range(7, 25)),
        "left_out": _calibration(range(1, 25)),
        "lengthscales": dict(zip(NAMES, (0.4, 1.1, 2.5), strict=True)),
        "slices": [_slice(name, centre) for name, centre in zip(NAMES, (0.7, 0.4, 0.5), strict=True)],
        "importance": {
            "rows": [
                {
                    "parameter": n,
                    "mean": m,
                    "low": m / 2,
                    "high": min(1.0, m * 1.3),
                    "spread": 0.1,
                    "told": told and m > 0.5,
                }
                for n, m in zip(NAMES, shares, strict=True)
            ],
            "verdict": verdict,
        },
        "next": {
            "method": "bayes",
            "pending": [9, 10],
            "problem": "",
            "params": dict(zip(NAMES, (0.00123, 0.182, 64), strict=True)),
            "provenance": {"method": "protein", "score_mean": 476.2, "score_std": 15.4},
            "improvement": {
                name: [math.exp(-((place / 15 - centre) ** 2) * 12) for place in range(16)]
                for name, centre in zip(NAMES, (0.7, 0.4, 0.5), strict=True)
            },
        },
    }
