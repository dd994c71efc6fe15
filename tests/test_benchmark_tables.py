"""What a benchmark's table compares: only runs that all of its methods have, and then those that more of them have."""

from __future__ import annotations

import pytest

from benchmarks.tables import BASELINE, comparisons

CELLS = [("sphere", 0), ("sphere", 1), ("valley", 0), ("valley", 1)]


def found(**runs: int) -> dict[str, dict[tuple[str, int], float]]:
    return {method: dict.fromkeys(CELLS[:count], -0.1 * count) for method, count in runs.items()}


def test_methods_that_ran_least_are_left_out_of_a_richer_table():
    tables = comparisons(found(protein=4, slow=1, **{BASELINE: 4}))
    assert [(table.methods, table.runs) for table in tables] == [
        (["protein", BASELINE, "slow"], 1),
        (["protein", BASELINE], 4),
    ]
    assert tables[1].tasks == ["sphere", "valley"]
    assert tables[1].means[0] == pytest.approx([-0.4, -0.4])


def test_the_baseline_may_have_run_least():
    [table] = comparisons(found(protein=4, slow=3, **{BASELINE: 1}))
    assert (table.methods, table.runs) == (["protein", BASELINE, "slow"], 1)
