"""Takes the pictures in this folder: runs a short PPO sweep, stops the clock in its midst, and draws each screen.

python screenshots/take.py                         runs the sweep in a temporary folder
python screenshots/take.py --root ROOT SWEEP       takes one that is there
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from sweeptui.launch import DATABASE, existing_sweep, sweeps_dir
from sweeptui.survey import open_sweep

HERE = Path(__file__).parent
SWEEP = "ppo-cartpole"
TRIALS, DONE = 16, 10
"""The pictures are taken when so many of so many trials are done."""
OTHERS = {"quick-look": 8, "clip-range": 12}
"""Short sweeps for the list: name and trials."""
PICTURES = {
    "main": ("80x24", "120x40", "200x60"),
    "history": ("120x40",),
    "cost": ("120x40",),
    "parameters": ("120x40",),
    "importance": ("120x40",),
    "optimizer": ("120x40",),
    "trial": ("120x40",),
    "compare": ("120x40",),
    "slots": ("120x40",),
    "palette": ("120x40",),
    "help": ("120x40",),
    "sweeps": ("120x40",),
    "new": ("120x40",),
}
TIMEOUT_S = 1800
PAGE = "1200,2600"
"""The upper part of the report, in pixels."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def sweeptui(*words: str, root: Path) -> list[str]:
    return [sys.executable, "-m", "sweeptui", *words, "--root", str(root)]


def run_until_midway(
    root: Path, *words: str, done: int, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start the sweep and wait until it is in full swing: so many trials done, and another one midway."""
    command = sweeptui("ppo", "--sweep-name", SWEEP, *words, "--headless", root=root)
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, env=env)
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(1)
        folder = sweeps_dir(root) / SWEEP
        if not (folder / DATABASE).exists():
            continue
        with open_sweep(folder) as store:
            ended = sum(trial.status.terminal for trial in store.state.trials.values())
            shares = [(trial.step or 0) / (trial.total_steps or 1) for trial in store.state.active]
            if ended >= done and any(0.3 < share < 0.8 for share in shares):
                return process
    process.terminate()
    sys.exit("the sweep did not come that far")


def freeze(folder: Path, root: Path) -> float:
    """Copy the sweep as it is at this moment, still being run, to another root; the moment."""
    target = sweeps_dir(root) / folder.name
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns(f"{DATABASE}*"))
    with closing(sqlite3.connect(folder / DATABASE)) as source, closing(sqlite3.connect(target / DATABASE)) as copy:
        source.backup(copy)
        # Where it was run is nobody's business; and a runner elsewhere is not found dead here.
        copy.execute("UPDATE lease SET host = 'lab', boot = '', pid = 4127")
        copy.commit()
    return time.time()


def take(
    root: Path,
    name: str,
    now: float,
    home: Path | None,
    pictures: Mapping[str, Sequence[str]] = PICTURES,
    prefix: str = "",
) -> None:
    """Draw the screens of a sweep; the files are named by `prefix`, screen and size."""
    with open_sweep(existing_sweep(root, name)) as store:
        active = store.state.active
        shown = str(max(active, key=lambda trial: trial.step or 0).number if active else store.state.last_trial)
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    for screen, sizes in pictures.items():
        for size in sizes:
            files = [HERE / f"{prefix}{screen}-{size}.{kind}" for kind in ("svg", "png")]
            words = ["frame", "--screen", screen, "--size", size, "--svg", str(files[0]), "--png", str(files[1])]
            words += [] if screen in ("sweeps", "new") else [name, "--at-trial", shown]
            command = sweeptui(*words, "--now", str(now), root=root)
            if home is not None:  # then paths begin with ~, whoever takes the pictures
                command[0] = str(root / ".venv" / "bin" / "python")
                environment["HOME"] = str(home)
            subprocess.run(command, check=True, env=environment, cwd=root)


def take_report(root: Path, name: str, scratch: Path) -> None:
    """The upper part of the sweep's report, as a browser shows it."""
    browser = next((path for each in BROWSERS if (path := shutil.which(each))), None)
    if browser is None:
        sys.exit(f"there is no browser for the picture of the report; install one of {', '.join(BROWSERS)}")
    page = scratch / "report.html"
    subprocess.run(sweeptui("report", name, "-o", str(page), root=root), check=True, stdout=subprocess.DEVNULL)
    # Where it was run is nobody's business.
    text = page.read_text(encoding="utf-8")
    for path, said in ((sys.executable, "python"), (str(root.resolve()), "~/cartpole"), (str(scratch), "~")):
        text = text.replace(path, said)
    page.write_text(text, encoding="utf-8")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={PAGE}")
    drawn = ("--virtual-time-budget=20000", f"--user-data-dir={scratch / 'browser'}")
    picture = f"--screenshot={HERE / 'report.png'}"
    subprocess.run([browser, *flags, *drawn, picture, page.as_uri()], check=True, stderr=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path)
    parser.add_argument("sweep", nargs="?")
    given = parser.parse_args()
    if given.sweep:
        root = given.root or Path.cwd()
        take(root, given.sweep, time.time(), None)
        with tempfile.TemporaryDirectory(prefix="sweeptui-") as folder:
            take_report(root, given.sweep, Path(folder))
        return
    with tempfile.TemporaryDirectory(prefix="sweeptui-") as folder:
        home = Path(folder)
        running, frozen = home / "running", home / "cartpole"
        running.mkdir()
        frozen.mkdir()
        (frozen / ".venv").symlink_to(sys.prefix)
        for name, trials in OTHERS.items():
            words = ("quick_test", "--sweep-name", name, "--max-trials", str(trials), "--headless", "--quiet")
            subprocess.run(sweeptui(*words, root=frozen), check=True, cwd=frozen, stdout=subprocess.DEVNULL)
        words = ("--max-trials", str(TRIALS), "--max-parallel-jobs", "2")
        process = run_until_midway(running, *words, done=DONE)
        try:
            now = freeze(sweeps_dir(running) / SWEEP, frozen)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()
        take(frozen, SWEEP, now, home)
        take_report(frozen, SWEEP, home)


if __name__ == "__main__":
    main()
