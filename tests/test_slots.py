from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sweeptui.core.errors import UserError
from sweeptui.dispatchers.local.slots import Slots, parse_visible


@pytest.mark.parametrize(
    ("value", "devices"),
    [
        ("0,1", ("0", "1")),
        (" 2 , 0", ("2", "0")),
        ("GPU-8932f937,3", ("GPU-8932f937", "3")),
        ("MIG-5c0", ("MIG-5c0",)),
        ("", ()),
        ("-1", ()),
        ("1,-1,0", ("1",)),
        ("NoDevFiles", ()),
        ("0,0", ("0",)),
    ],
)
def test_visible_devices_are_read_as_cuda_reads_them(value: str, devices: tuple[str, ...]) -> None:
    assert parse_visible(value) == devices


def test_each_gpu_goes_to_one_job() -> None:
    slots = Slots({"CUDA_VISIBLE_DEVICES": "3,GPU-a,5"})
    first, second = slots.take(1), slots.take(2)
    assert first == {"index": 0, "gpus": ["3"]}
    assert second == {"index": 1, "gpus": ["GPU-a", "5"]}
    assert slots.capacity(1).reason == "needs 1 GPU, but 0 of 3 are free"
    slots.release(first)
    assert slots.capacity(1).free
    assert slots.capacity(2).reason == "needs 2 GPUs, but 1 of 3 is free"
    assert slots.take(1) == first


def test_a_job_without_gpus_always_fits_and_takes_the_smallest_number() -> None:
    slots = Slots({"CUDA_VISIBLE_DEVICES": ""})
    taken = [slots.take(0) for _ in range(40)]
    assert [slot["index"] for slot in taken] == list(range(40))
    slots.release(taken[7])
    assert slots.take(0)["index"] == 7


def test_a_slot_found_after_a_restart_is_taken() -> None:
    slots = Slots({"CUDA_VISIBLE_DEVICES": "0,1"})
    slots.occupy({"index": 0, "gpus": ["1"]})
    assert slots.take(1) == {"index": 1, "gpus": ["0"]}


def test_more_gpus_than_there_are_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match=r"gpus_per_trial is 3, but CUDA_VISIBLE_DEVICES='0,1' allows 2: lower"):
        Slots({"CUDA_VISIBLE_DEVICES": "0,1"}).check_resources(3)
    Slots({"CUDA_VISIBLE_DEVICES": ""}).check_resources(0)


def test_gpus_are_counted_by_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-1)'\necho '  MIG 1g'\necho 'GPU 1: A (UUID: GPU-2)'\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert Slots({}).gpus == ("0", "1")


def test_a_machine_without_nvidia_smi_has_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    slots = Slots({})
    assert slots.gpus == ()
    with pytest.raises(UserError, match="gpus_per_trial is 1, but this machine has 0"):
        slots.check_resources(1)


def test_thread_limits_and_devices_reach_the_job_unless_the_user_set_them() -> None:
    slots = Slots({"CUDA_VISIBLE_DEVICES": "0", "MKL_NUM_THREADS": "7"})
    environment = slots.environment(slots.take(1), cpus=3, user={"OMP_NUM_THREADS": "9"})
    assert environment == {"OPENBLAS_NUM_THREADS": "3", "NUMEXPR_NUM_THREADS": "3", "CUDA_VISIBLE_DEVICES": "0"}
    assert "CUDA_VISIBLE_DEVICES" not in slots.environment(slots.take(0), cpus=1, user={})
