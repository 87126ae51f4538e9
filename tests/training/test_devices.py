import os
import subprocess
import sys

import pytest
from processes import start

from facemask_ensemble.training import devices
from facemask_ensemble.training.devices import lease, visible_gpus

TWO = """GPU 0: NVIDIA H200 (UUID: GPU-11111111-aaaa-bbbb-cccc-000000000000)
GPU 1: NVIDIA H200 (UUID: GPU-22222222-aaaa-bbbb-cccc-000000000000)
"""
SLICED = """GPU 0: NVIDIA A100 (UUID: GPU-11111111-aaaa)
  MIG 1g.5gb Device 0: (UUID: MIG-33333333-aaaa)
  MIG 1g.5gb Device 1: (UUID: MIG-44444444-aaaa)
GPU 1: NVIDIA A100 (UUID: GPU-22222222-aaaa)
"""
HOLD = """
import sys
from pathlib import Path
from facemask_ensemble.training import devices

class Clock:
    def sleep(seconds):
        print("waits", flush=True)

devices.time = Clock
with devices.lease(Path(sys.argv[1])) as environment:
    print(environment.get("CUDA_VISIBLE_DEVICES"), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Put an `nvidia-smi` on the path that says what it is told to."""

    def install(said, code=0):
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\n[ "$1" = "-L" ] || exit 9\ncat <<"END"\n{said}END\nexit {code}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    return install


@pytest.fixture
def hold(tmp_path):
    """Start processes that each lease a GPU; give the process and what it was given."""
    started = []

    def begin():
        command = [sys.executable, "-c", HOLD, str(tmp_path / "gpus")]
        process = start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_the_driver_names_the_gpus(driver):
    driver(TWO)
    assert visible_gpus() == ["GPU-11111111-aaaa-bbbb-cccc-000000000000", "GPU-22222222-aaaa-bbbb-cccc-000000000000"]


def test_a_sliced_gpu_is_given_by_its_slices(driver):
    driver(SLICED)
    assert visible_gpus() == ["MIG-33333333-aaaa", "MIG-44444444-aaaa", "GPU-22222222-aaaa"]


@pytest.mark.parametrize(("chosen", "named"), [("0,1", ["0", "1"]), ("3, 5", ["3", "5"]), ("", []), ("2,-1,4", ["2"])])
def test_what_the_user_made_visible_is_all_there_is(chosen, named, driver, monkeypatch):
    driver(TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert visible_gpus() == named


def test_a_machine_without_a_working_driver_has_no_gpus(driver, tmp_path, monkeypatch):
    driver("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", code=9)
    assert visible_gpus() == []
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus() == []
    with lease(tmp_path / "gpus") as environment:
        assert environment == {}
    assert not (tmp_path / "gpus").exists()


def test_two_processes_hold_different_gpus_and_a_third_waits_for_a_free_one(driver, hold):
    driver("GPU 0: x (UUID: GPU-a)\nGPU 1: x (UUID: GPU-b)\n")
    first, second = hold(), hold()
    given = {process.stdout.readline().strip(): process for process in (first, second)}
    assert set(given) == {"GPU-a", "GPU-b"}
    third = hold()
    assert [third.stdout.readline() for _ in range(2)] == ["waits\n"] * 2
    given["GPU-b"].kill()  # a process that dies gives its GPU back
    assert next(line for line in third.stdout if line != "waits\n") == "GPU-b\n"


def test_a_gpu_is_free_again_after_an_error(driver, tmp_path):
    driver("GPU 0: x (UUID: GPU-a)\n")
    with pytest.raises(ValueError, match="bad"), lease(tmp_path / "gpus"):
        raise ValueError("bad")
    with lease(tmp_path / "gpus") as environment:
        assert environment == {"CUDA_VISIBLE_DEVICES": "GPU-a"}


def test_machines_that_share_a_folder_do_not_wait_for_each_other(driver, tmp_path, monkeypatch):
    driver("GPU 0: x (UUID: GPU-a)\n")
    with lease(tmp_path / "gpus"):
        monkeypatch.setattr(devices.socket, "gethostname", lambda: "another")
        with lease(tmp_path / "gpus") as environment:
            assert environment == {"CUDA_VISIBLE_DEVICES": "GPU-a"}
