"""The parts of the bench of prediction: each measures one promise beside its alternative."""

import importlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import prediction_torch
from benchmarks.harness import Row
from benchmarks.prediction_members import Members, draw, photographs, random_members, speckle
from benchmarks.process_watch import WAITING, watch
from benchmarks.training_parts import SEVEN
from facemask_ensemble.prediction.runtimes.openvino import QUICKEST

SMALL = {"basic_cnn": 32, "deep_cnn": 32, "four_convolutions": 48}  # pixels, of the members that see many images
COLD, COLD_STARTS = 6.0, 2  # seconds, and how often they are tried
FLAT, LINEAR = 1.1, 1.2
SAME = 0.995
FASTER = {"keras": 5, "openvino": 20, "timm": 4}


@dataclass
class Settings:
    """What to measure, and on how much.

    Attributes:
        parts: in their order.
        output_dir: of trained members; None for random ones.
        study: of trained members.
        backbones: of random members.
        image_size: of random members, in pixels.
        images: a folder, a list or an archive; None for the real photographs, drawn scenes where there are none.
        count: images that are answered; 500 for the share of the same classes.
        alone: images that are asked about one at a time.
        batch_size: images a batch, of Keras and PyTorch.
        precisions: of OpenVINO; quickest, which asks validation images, of trained members alone.
        many: small images.
        torch_python: a Python that has torch and timm; None for this one.
    """

    parts: list[str] = field(default_factory=lambda: ["speed", "cold", "many", "service"])
    output_dir: str | None = None
    study: str | None = None
    backbones: list[str] = field(default_factory=lambda: list(SEVEN))
    image_size: int = 224
    images: str | None = None
    count: int = 500
    alone: int = 16
    batch_size: int = 32
    precisions: list[str] = field(default_factory=lambda: ["float32", "bfloat16", "int8"])
    many: int = 10_000
    torch_python: str | None = None


def speed(asked: Settings, place: Path) -> Iterator[Row]:
    """Milliseconds an image of every way of asking all members, and whether the classes stay the same."""
    members = members_of(asked, place)
    files, what = photographs(asked.images, asked.count, place)
    about = f"{members.about}, {len(files)} {what}"
    slow = _way("alone", members, files[: asked.alone])["seconds"]
    yield Row(f"{members.about}: one `model.predict` an image and member", _time(slow))
    given = {"batch_size": asked.batch_size}
    yield Row("the same in batches", _time(_way("batched", members, files[:64], **given)["seconds"]))
    everyone = _way("ours", members, files, "votes=all")
    yield Row(f"{about}: runtime=keras votes=all", _time(everyone["seconds"]))
    decided = _way("ours", members, files)
    yield Row(f"{about}: runtime=keras votes=decided", _decided(decided, everyone))
    yield Row.at_least("of that, times as fast as one at a time", slow / decided["seconds"], FASTER["keras"])
    torch = _torch(asked, members)
    yield torch if isinstance(torch, Row) else Row("PyTorch with timm, bfloat16, random weights", _time(torch))
    for precision in asked.precisions:
        runtime = ("runtime=openvino", f"runtime.precision={precision}", *_unchecked(precision))
        for votes in ("all", "decided"):
            found = _way("ours", members, files, *runtime, f"votes={votes}")
            yield Row(f"{about}: openvino {precision} votes={votes}", _decided(found, everyone))
        yield Row.at_least("of that, times as fast as one at a time", slow / found["seconds"], FASTER["openvino"])
        if not isinstance(torch, Row):
            yield Row.at_least("of that, times as fast as timm in bfloat16", torch / found["seconds"], FASTER["timm"])
        yield _same(found["predictions"], everyone["predictions"])


def members_of(asked: Settings, place: Path) -> Members:
    """Give the members to ask: those of a study, or random ones."""
    if asked.study and asked.output_dir:
        folder = Path(asked.output_dir).expanduser().resolve()
        return Members(folder, asked.study, f"members of {asked.study}")
    made = random_members(place / "random", dict.fromkeys(asked.backbones, asked.image_size))
    return Members(made.output_dir, made.study, f"{made.about}, {asked.image_size} px")


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms an image"


def _decided(found: Mapping[str, Any], everyone: Mapping[str, Any]) -> str:
    saved = 1 - found["asked"] / everyone["asked"]
    return f"{_time(found['seconds'])}, {saved:.1%} of the evaluations saved"


def _unchecked(precision: str) -> list[str]:
    """Accept whatever answers in a precision that is asked for by name."""
    return [] if precision == QUICKEST else ["runtime.differ=null"]


def _same(found: Sequence[str], expected: Sequence[str]) -> Row:
    share = float(np.mean(np.asarray(found) == np.asarray(expected)))
    return Row("of that, same majority class as Keras", f"{share:.2%}", f"at least {SAME:.1%}", share >= SAME)


def _way(way: str, members: Members, files: Sequence[str], *overrides: str, **more: Any) -> dict[str, Any]:
    """Ask in one of the ways of `prediction_methods`."""
    print(" ".join([way, *overrides]), end=" … ", file=sys.stderr, flush=True)
    asked = {"overrides": [*members.overrides, *overrides], "files": list(files), **more}
    module = "benchmarks.prediction_methods"
    seen = watch(["-m", module, way], members.output_dir, text=json.dumps(asked))
    print(f"{seen.seconds:.0f} s", file=sys.stderr)
    found: dict[str, Any] = json.loads(seen.lines[-1][1])
    return found


def _torch(asked: Settings, members: Members) -> float | Row:
    """Time timm's networks where torch is installed; else say that it is not."""
    script = [asked.torch_python or sys.executable, str(Path(prediction_torch.__file__))]
    command = [*script, *map(str, (asked.image_size, asked.batch_size, 2 * asked.batch_size))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or ["?"]
        return Row("PyTorch with timm, bfloat16", f"not available ({why[0][:80]})", f"at least {FASTER['timm']}")
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def cold(asked: Settings, place: Path) -> Iterator[Row]:
    """The whole command on one image, its members converted before."""
    members = members_of(asked, place)
    [file] = draw(place / "one", 1)
    times = list[float]()
    for number in range(1 + COLD_STARTS):
        output = place / f"cold{number}.csv"
        given = [f"input={file}", f"output={output}", "runtime=openvino", "runtime.differ=null", *members.overrides]
        times.append(watch(["-m", "facemask_ensemble.predict", *given], place).seconds)
    best = min(times[1:])  # the first converts
    yield Row(f"{members.about}: one image, whole command", f"{best:.1f} s", f"under {COLD:g} s", best < COLD)


def many(asked: Settings, place: Path) -> Iterator[Row]:
    """Memory and time of small images by the thousand, asked of three small members."""
    members = random_members(place / "small", SMALL)
    times, peaks = list[float](), list[float]()
    for count in (asked.many // 4, asked.many // 2, asked.many):
        folder = speckle(place / "many", count)
        given = [f"input={folder}", f"output={place / f'many{count}.csv'}", *members.overrides]
        seen = watch(["-m", "facemask_ensemble.predict", *given], place, memory=True)
        times.append(seen.seconds)
        peaks.append(seen.peaks.get(WAITING, float("nan")))
        yield Row(f"{count:,} small images, three small members", f"{seen.seconds:.1f} s, {peaks[-1]:.0f} MB")
    yield Row.at_most("of that, memory of all / of a quarter", peaks[2] / peaks[0], FLAT)
    growth = (times[2] - times[1]) / (2 * (times[1] - times[0]))
    yield Row.at_most("of that, time of the second half / twice that of the second quarter", growth, LINEAR)


def service(asked: Settings, place: Path) -> Iterator[Row]:
    """What the service answers, and to how many clients."""
    name = "benchmarks.serving"
    if importlib.util.find_spec(name) is None:
        yield Row("the service", f"not measured: there is no {name}")
        return
    yield from importlib.import_module(name).service(asked, place)


PARTS: Mapping[str, Callable[[Settings, Path], Iterator[Row]]] = {
    "speed": speed,
    "cold": cold,
    "many": many,
    "service": service,
}
