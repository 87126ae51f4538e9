"""The parts of the bench of heatmaps: each measures one promise beside its alternative."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import Row
from benchmarks.process_watch import watch
from benchmarks.training_parts import ONE, SEVEN

METHODS = ("gradcam", "gradcam_plus_plus", "layercam", "scorecam")
PRECISIONS = ("float32", "mixed_float16")  # gradients in bfloat16 fail in tf-keras-vis
LARGER = {"inceptionv3": 139, "inceptionresnetv2": 139}  # pixels: at 96 their last map is 1x1, and none is explained
FASTER = {"gradcam": 3.0}
FEW, FLAT = 16, 1.2


@dataclass
class Settings:
    """What to measure, and on how much.

    Attributes:
        parts: in their order.
        methods: by their names in conf/heatmap.
        backbones: of the parts; None for a part's own.
        image_size: side of the square input, in pixels; the two Inceptions take 139 where it is less.
        images: that ours explains in a round.
        alone: images that tf-keras-vis explains in a round, one at a time.
        scorecam: images per round of Score-CAM, which is slow, for either way.
        batch_size: images a batch, of ours.
        rounds: of either way, in turn.
        many: images explained for the peak of memory.
        precision: of the members; tf-keras-vis cannot explain bfloat16.
    """

    parts: list[str] = field(default_factory=lambda: ["speed", "memory"])
    methods: list[str] = field(default_factory=lambda: list(METHODS))
    backbones: list[str] | None = None
    image_size: int = 96
    images: int = 32
    alone: int = 8
    scorecam: int = 4
    batch_size: int = 16
    rounds: int = 3
    many: int = 256
    precision: str = "float32"


def speed(asked: Settings, place: Path) -> Iterator[Row]:
    """Images a second of every method on every backbone, beside tf-keras-vis called one image at a time."""
    for name in asked.backbones or SEVEN:
        found = _way("speed", asked, place, name)
        for method in asked.methods:
            ours, theirs = max(found[method]["ours"]), max(found[method]["theirs"])
            figure = f"{ours:.1f} and {theirs:.2f} images/s, {ours / theirs:.2f} times"
            bound = FASTER.get(method)
            judged = (f"at least {bound:g}", ours / theirs >= bound) if bound else ("", None)
            yield Row(f"{_about(asked, name)}: {method} and tf-keras-vis one at a time", figure, *judged)


def memory(asked: Settings, place: Path) -> Iterator[Row]:
    """Peak memory of a process that explains many images beside that of one that explains a batch."""
    for name in asked.backbones or ONE:
        for method in asked.methods:
            few, many = (
                _way("memory", asked, place, name, methods=[method], images=count) for count in (FEW, asked.many)
            )
            if few is None or many is None:
                yield Row("memory", "this system does not report it")
                return
            what = f"{_about(asked, name)}: process explaining {FEW} and {asked.many:,} images by {method}"
            yield Row(what, f"{few:.0f} and {many:.0f} MB")
            yield Row.at_most("of that, many / few", many / few, FLAT)


def _side(asked: Settings, name: str) -> int:
    return max(asked.image_size, LARGER.get(name, 0))


def _about(asked: Settings, name: str) -> str:
    return f"{name}, {_side(asked, name)} px"


def _way(way: str, asked: Settings, place: Path, name: str, **other: Any) -> Any:
    """Explain in one of the ways of `explanation_methods`, in a separate process."""
    given = asdict(asked) | {"backbone": name, "image_size": _side(asked, name)} | other
    print(" ".join([way, name, *given["methods"]]), end=" … ", file=sys.stderr, flush=True)
    module, environment = "benchmarks.explanation_methods", {"KERAS_BACKEND": "tensorflow"}
    seen = watch(["-m", module, way], place, text=json.dumps(given), environment=environment)
    print(f"{seen.seconds:.0f} s", file=sys.stderr)
    return json.loads(seen.lines[-1][1])


PARTS: Mapping[str, Callable[[Settings, Path], Iterator[Row]]] = {"speed": speed, "memory": memory}
