"""Cores and memory of a container: its control groups are files, and the tests write them."""

import os
from types import SimpleNamespace

import psutil
import pytest

from facemask_ensemble import resources

GB = 1 << 30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of 64 cores and 256 GB; give what writes its control groups' files."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=256 * GB))
    monkeypatch.setattr(resources, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(resources, "OWN_CGROUPS", tmp_path / "own")

    def write(own, **files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            file = tmp_path / "cgroup" / name.replace("__", "/").replace("_DOT_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}\n")

    return write


def test_without_control_groups_cores_are_those_of_the_affinity_and_memory_is_what_the_machine_has_free(machine):
    assert (resources.usable_cores(), resources.usable_memory()) == (64, 256 * GB)


def test_a_process_that_may_use_two_cores_has_two(machine, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 9})
    assert resources.usable_cores() == 2


def test_where_there_is_no_affinity_the_machines_cores_count(machine, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert resources.usable_cores() == 64


@pytest.mark.parametrize(
    ("limit", "cores"),
    [("max 100000", 64), ("200000 100000", 2), ("250000 100000", 3), ("20000 100000", 1), ("9900000 100000", 64)],
)
def test_the_cpu_quota_of_a_container_limits_the_cores_and_a_part_of_one_counts_as_one(limit, cores, machine):
    machine("0::/\n", cpu_DOT_max=limit)
    assert resources.usable_cores() == cores


def test_the_narrowest_group_above_a_process_counts(machine):
    own = "0::/pod/box\n"
    machine(own, cpu_DOT_max="max 100000", pod__cpu_DOT_max="400000 100000", pod__box__cpu_DOT_max="800000 100000")
    assert resources.usable_cores() == 4


def test_a_group_that_does_not_exist_in_the_container_is_that_of_its_root(machine):
    machine("0::/docker/1a2b\n", cpu_DOT_max="300000 100000")
    assert resources.usable_cores() == 3


@pytest.mark.parametrize(("quota", "cores"), [("-1", 64), ("300000", 3)])
def test_control_groups_of_version_1_limit_the_cores(quota, cores, machine):
    own = "4:memory:/docker/1a2b\n3:cpu,cpuacct:/docker/1a2b\n"
    machine(own, cpu__cpu_DOT_cfs_quota_us=quota, cpu__cpu_DOT_cfs_period_us="100000")
    assert resources.usable_cores() == cores


def test_a_containers_memory_is_its_limit_less_what_it_uses_and_cannot_drop(machine):
    machine(
        "0::/\n",
        memory_DOT_max=8 * GB,
        memory_DOT_current=5 * GB,
        memory_DOT_stat=f"anon {2 * GB}\ninactive_file {3 * GB}",
    )
    assert resources.usable_memory() == 6 * GB


def test_a_container_without_a_limit_has_the_machines_memory(machine):
    machine("0::/\n", memory_DOT_max="max", memory_DOT_current=5 * GB)
    assert resources.usable_memory() == 256 * GB


@pytest.mark.parametrize(("limit", "memory"), [(4 * GB, 3 * GB), (9223372036854771712, 256 * GB)])
def test_control_groups_of_version_1_limit_the_memory(limit, memory, machine):
    machine("4:memory:/box\n", memory__box__memory_DOT_limit_in_bytes=limit, memory__box__memory_DOT_usage_in_bytes=GB)
    assert resources.usable_memory() == memory


def test_a_container_that_uses_more_than_its_limit_has_no_memory_left(machine):
    machine("0::/\n", memory_DOT_max=GB, memory_DOT_current=2 * GB)
    assert resources.usable_memory() == 0
