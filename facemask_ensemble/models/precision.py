"""Numeric precision: half where this machine is measured to be faster with it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import filelock

from facemask_ensemble.files import write_atomically
from facemask_ensemble.models.hardware import Machine, this_machine
from facemask_ensemble.models.throughput import NotMeasured, Workload, measure

TENSOR_CORES = (7, 0)  # compute capability from which a GPU multiplies float16 faster
TENSOR_CORES_BFLOAT16 = (8, 0)
MARGIN = 1.03  # by how much half precision must win: it costs digits


@dataclass(frozen=True)
class Choice:
    """A dtype policy, and the reason for it.

    Attributes:
        policy: Keras's name.
        images_per_second: of every candidate that was measured; empty if nothing was measured.
        failures: the candidates that could not be trained, and why.
        measured: now, and not read from the cache.
    """

    policy: str
    images_per_second: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    measured: bool = False

    def __str__(self) -> str:
        """Describe the policy and the result of every candidate."""
        ranked = sorted(self.images_per_second.items(), key=lambda item: -item[1])
        parts = [f"{policy} {speed:.1f} images/s" for policy, speed in ranked]
        parts += [f"{policy} not used: {reason}" for policy, reason in self.failures.items()]
        return f"{self.policy} ({', '.join(parts)})" if parts else self.policy


def choose_policy(
    precision: str, workload: Workload, cache: Path, *, devices: int | str = 1, deterministic: bool = False
) -> Choice:
    """Choose the dtype policy for `auto` by measuring, once per machine and backbone; otherwise return the given one.

    To be called before TensorFlow or JAX takes a device, because every candidate is measured in a separate process.
    With `deterministic` a timing may not decide the weights: then `usual_policy` decides.

    Args:
        precision: `auto`, or the policy.
        workload: of the training; one device is measured, with its share of the batch.
        cache: folder of what was measured, a file for each machine, backbone, image size and batch size.
        devices: that train together, a number or `all`.
        deterministic: measure nothing.
    """
    if precision != "auto":
        return Choice(precision)
    machine = this_machine()
    if deterministic or candidates(machine) == ["float32"]:
        return Choice(usual_policy(machine))
    workload = replace(workload, batch_size=_share(workload.batch_size, devices, machine))
    name = workload.backbone.name
    key = {**asdict(machine), "backbone": name, "image_size": workload.image_size, "batch_size": workload.batch_size}
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
    path = cache / f"{name}-{digest}.json"
    cache.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.with_suffix(".lock")):  # a second process takes what the first has measured
        return _recall(path) or _measure(workload, candidates(machine), path, key)


def candidates(machine: Machine) -> list[str]:
    """Name the policies that could be fastest: float32 first, then those that the machine has instructions for."""
    if machine.gpus:
        half = [("mixed_float16", TENSOR_CORES), ("mixed_bfloat16", TENSOR_CORES_BFLOAT16)]
        return ["float32", *(policy for policy, needed in half if tuple(machine.capability) >= needed)]
    return ["float32", "mixed_bfloat16"] if machine.bfloat16 else ["float32"]


def usual_policy(machine: Machine) -> str:
    """Name the policy to use unmeasured: mixed_float16 where every GPU has tensor cores, float32 elsewhere."""
    return "mixed_float16" if "mixed_float16" in candidates(machine) else "float32"


def decide(images_per_second: Mapping[str, float]) -> str:
    """Take the fastest policy if it beats float32 by the margin, or if float32 is not among them."""
    fastest = max(images_per_second, key=lambda policy: images_per_second[policy])
    single = images_per_second.get("float32", 0.0)
    return fastest if images_per_second[fastest] > MARGIN * single else "float32"


def _share(batch_size: int, devices: int | str, machine: Machine) -> int:
    """Give the images of every batch that one device gets."""
    return max(1, batch_size // (max(1, len(machine.gpus)) if devices == "all" else int(devices)))


def _measure(workload: Workload, policies: list[str], path: Path, key: Mapping[str, Any]) -> Choice:
    name = workload.backbone.name
    print(f"{name}: measuring the speed of {' and '.join(policies)} once (a minute or two); kept in {path}", flush=True)
    speeds, failures = {}, {}
    for policy in policies:
        try:
            speeds[policy] = round(measure(workload, policy), 2)
        except NotMeasured as error:
            failures[policy] = str(error)
    if not speeds:
        print(f"{name}: the speed could not be measured ({failures['float32']}); using float32", flush=True)
        return Choice("float32", failures=failures)
    choice = Choice(decide(speeds), speeds, failures, measured=True)
    write_atomically(json.dumps({**asdict(choice), "key": key}, indent=2), path)
    print(f"{name}: {choice}", flush=True)
    return choice


def _recall(path: Path) -> Choice | None:
    """Read what was measured; a damaged file counts as none."""
    try:
        known = json.loads(path.read_text())
        return Choice(known["policy"], known["images_per_second"], known["failures"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
        return None
