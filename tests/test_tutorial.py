"""The tutorial, followed by its text alone from an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[1] / "docs/tutorial.md"
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.\w+)\n")


def followed(text: str) -> list[tuple[str, str, str]]:
    """Its blocks in their order: (language, word after it, text)."""
    return [(language, word.strip(), block) for language, word, block in FENCE.findall(text)]


@pytest.mark.timeout(600)
def test_a_newcomer_can_follow_it(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    printed: dict[str, str] = {}
    for language, word, block in followed(TUTORIAL.read_text()):
        if language in ("python", "yaml"):
            named = FILE.match(block)
            assert named, f"a file without its name in the first line: {block[:80]}"
            (tmp_path / named[1]).write_text(block)
            continue
        assert language == "sh"
        for line in block.splitlines():
            done = subprocess.run(
                ["bash", "-euc", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            said = done.stdout + done.stderr
            assert (done.returncode != 0) == (word == "fails"), f"{line}: {done.returncode}\n{said[-3000:]}"
            assert "Traceback" not in said, f"{line}\n{said[-3000:]}"
            printed[line] = said
    by_words = {" ".join(line.split()[:3]): said for line, said in printed.items()}
    assert "--lr 0.01 --width 32" in by_words["sweeptui spirals.yaml --dry-run"], "the mean is tried first"
    assert "--max-trials" in by_words["sweeptui spirals.yaml --max-trails"], "the mistake is told with what was meant"
    assert "all 3 trials are done" in printed[next(line for line in printed if "--max-trials 3 " in line)]
    again = printed[next(line for line in printed if "--max-trials 5 " in line)]
    assert "all 5 trials are done" in again
    assert "Scheduling trial 3/5" not in again, "what was done is not done again"
    assert "python train.py --lr" in by_words["sweeptui best spirals"]
    assert "stopped" in printed[next(line for line in printed if "asha" in line)]
