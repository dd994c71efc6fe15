"""The gauges in the header: how busy this machine is."""

from __future__ import annotations

import os
import stat

import pytest
from app_sweep import busy_sweep, frame, until, widths

from sweeptui.app.cockpit import Cockpit
from sweeptui.app.gauges import Machine
from sweeptui.app.screens import usage


def text(machine: Machine) -> str:
    return "".join(piece for piece, _ in machine.pieces())


@pytest.mark.parametrize(
    ("machine", "shown"),
    [
        (Machine(0.0, 0.123), "CPU ▁ 0%  memory ▁ 12%"),
        (Machine(1.0, 0.5), "CPU ▇ 100%  memory ▄ 50%"),
        (Machine(0.48, 0.1, (("0", 0.92, 61 << 30),)), "CPU ▄ 48%  memory ▁ 10%  GPU0 ▇ 92% 61G"),
    ],
)
def test_what_is_shown(machine, shown):
    assert text(machine) == shown


def test_many_gpus_leave_room_for_the_rest():
    eight = tuple((str(index), 0.5, 0) for index in range(8))
    assert text(Machine(0.1, 0.1, eight)).count("GPU") == 4


async def test_a_window_shows_this_machine_and_a_frame_does_not(tmp_path, monkeypatch):
    sweep = busy_sweep(tmp_path)
    smi = tmp_path / "nvidia-smi"
    smi.write_text('#!/bin/sh\ncase "$1" in --query-gpu*) echo "0, H100, 92, 62464, 81559";; esac\n')
    smi.chmod(smi.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    usage._program.cache_clear()
    monkeypatch.setattr("sweeptui.app.gauges.LOOK_S", 0.05)
    app = Cockpit(sweep.folder, utf8=True, gauges=True)
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: "CPU " in frame(app)[0] and "GPU0 ▇ 92% 61G" in frame(app)[0], "the gauges")
        assert widths(app) == {160}
        await pilot.resize_terminal(60, 20)
        await until(pilot, lambda: "CPU" not in frame(app)[0], "they give way to what matters more")
    usage._program.cache_clear()
    app = Cockpit(sweep.folder, utf8=True)
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: "497.6" in "".join(frame(app)), "the sweep")
        assert "CPU" not in frame(app)[0]
