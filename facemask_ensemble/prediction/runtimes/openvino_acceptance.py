"""Check a conversion: it must give the same classes as Keras on the member's validation images."""

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.data.decoding import ImageError
from facemask_ensemble.ensemble.sources import Source
from facemask_ensemble.errors import InputError
from facemask_ensemble.models.hardware import processor
from facemask_ensemble.prediction.runtimes.openvino_cache import Place
from facemask_ensemble.prediction.runtimes.openvino_conversion import FULL, SMALL, kind_of, quantize, squares
from facemask_ensemble.prediction.runtimes.openvino_network import OpenvinoNetwork
from facemask_ensemble.resources import usable_cores

Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
UNCHECKED = {"images": 0, "differ": 0.0, "largest": 0.0}
MOST = 1000  # images that a conversion is asked about, spread over all there are
PASSES = 3  # the quickest counts, since whatever else runs only slows it
TIMED = 8  # images a pass


class NotAtHand(Exception):
    """Say in a few words why a member's images are not available."""


def measured(source: Source, place: Place, precision: str, differ: float | None) -> dict[str, Any]:
    """Read the record of a conversion; measure and save what is missing.

    Returns:
        `images` that it was asked about, `differ` (the share of them that it decides otherwise than Keras),
        `largest` (difference of a probability), `milliseconds` an image by machine, and what was measured.

    Raises:
        InputError: the images that it is to be checked by are not available.
    """
    known = place.recall(precision)
    if known and _holds(known, place, precision, differ):
        return known
    with place.locked():
        known = place.recall(precision) or {}
        if not known or not _holds(known, place, precision, differ):  # another command may have been first
            known = _measure(source, place, precision, differ, known)
            place.note(precision, known)
        return known


def refusal(name: str, precision: str, found: dict[str, Any], bound: float | None) -> str | None:
    """Say why a conversion is refused; None if it is accepted."""
    if bound is None or found["differ"] <= bound:
        return None
    otherwise = {FULL: "runtime=keras, or a larger runtime.differ", SMALL: "runtime.precision=quickest"}
    advice = otherwise.get(precision, "runtime.precision=float32")
    return f"runtime.precision={precision}: {name}: {told(found)}, more than runtime.differ={bound:g}; give {advice}"


def told(found: dict[str, Any]) -> str:
    """Put what was measured into words."""
    if not found["images"]:
        return "not checked against Keras (runtime.differ=null)"
    count = round(found["differ"] * found["images"])
    return (
        f"{count} of {found['images']} validation images ({found['differ']:.2%}) answered differently from Keras, "
        f"probabilities differ by at most {found['largest']:.1g}"
    )


def speed(found: dict[str, Any]) -> float:
    """Give the milliseconds an image takes on this machine."""
    return float(found["milliseconds"][_here()])


def _holds(known: dict[str, Any], place: Place, precision: str, differ: float | None) -> bool:
    """Tell whether a record answers all questions here and now."""
    try:
        return bool(
            known["openvino"] == version("openvino")
            and _here() in known["milliseconds"]
            and (known["images"] or differ is None)
            and place.network(kind_of(precision)).exists()
        )
    except (KeyError, TypeError):
        return False


def _measure(
    source: Source, place: Place, precision: str, differ: float | None, known: dict[str, Any]
) -> dict[str, Any]:
    """Measure a conversion; the int8 conversion is made first if it is missing."""
    compared = UNCHECKED
    try:
        if precision == SMALL and not place.network(SMALL).exists():
            print(f"{source.name}: converting to {SMALL} (only once)", flush=True)
            quantize(place, _calibration(source))
        network = OpenvinoNetwork(source.file, place, precision)
        if differ is not None:
            compared = _compare(network, network.size, *_images(source))
    except NotAtHand as reason:
        if not known.get("images") or not place.network(kind_of(precision)).exists():
            raise InputError(
                f"runtime=openvino: {source.name} cannot be checked against Keras: {reason}; restore them, "
                "skip the check (runtime.differ=null), or give runtime=keras"
            ) from None
        compared = {key: known[key] for key in UNCHECKED}
        network = OpenvinoNetwork(source.file, place, precision)
    times = known.get("milliseconds", {}) | {_here(): _milliseconds(network, network.size)}
    about = {"member": source.name, "precision": precision, "bound": differ, "openvino": version("openvino")}
    return about | compared | {"milliseconds": times}


def _images(source: Source) -> tuple[list[Path], NDArray[np.float32]]:
    """Give a member's validation images, and what Keras answered to them."""
    files, answers = _had(source.judged) if source.judged else ([], np.empty((0, 0), np.float32))
    step = -(-len(files) // MOST) or 1
    return _there(files[::step]), answers[::step]


def _calibration(source: Source) -> list[Path]:
    """Give images that a member was trained on; where they are not known, those of validation."""
    return _there(_had(source.learned) if source.learned else _images(source)[0])


def _had(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except InputError as error:
        raise NotAtHand(str(error)) from None


def _there(files: list[Path]) -> list[Path]:
    if not files:
        raise NotAtHand("its images are unknown")
    if gone := next((file for file in files if not file.is_file()), None):
        raise NotAtHand(f"its images are missing, such as {gone}")
    return files


def _compare(ask: Answer, size: int, files: list[Path], answers: NDArray[np.float32]) -> dict[str, Any]:
    """Ask a conversion about images that Keras has answered."""
    try:
        probs = np.concatenate([ask(some) for some in squares(files, size)])
    except (ImageError, OSError) as error:
        raise NotAtHand(f"one of its images can no longer be read ({error})") from None
    differ = probs.argmax(axis=1) != answers.argmax(axis=1)
    largest = np.abs(probs - answers).max()
    return {"images": len(files), "differ": float(differ.mean()), "largest": float(largest)}


def _milliseconds(ask: Answer, size: int) -> float:
    """Time an image of several."""
    pixels = np.random.default_rng(0).integers(0, 256, (TIMED, size, size, 3), np.uint8)
    durations = []
    for _ in range(PASSES):
        started = time.perf_counter()
        ask(pixels)
        durations.append(time.perf_counter() - started)
    return round(1000 * min(durations) / TIMED, 4)


def _here() -> str:
    """Name the machine that times are measured on."""
    return f"{processor()[0]}, {usable_cores()} cores"
