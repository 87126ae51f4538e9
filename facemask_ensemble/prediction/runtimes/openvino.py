"""The runtime for many images on a processor: OpenVINO, into which every member is converted once."""

import importlib.util
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from facemask_ensemble.ensemble.sources import Source
from facemask_ensemble.errors import InputError
from facemask_ensemble.models.hardware import processor
from facemask_ensemble.prediction.runtimes.openvino_acceptance import measured, refusal, speed, told
from facemask_ensemble.prediction.runtimes.openvino_cache import Place
from facemask_ensemble.prediction.runtimes.openvino_conversion import FULL, SMALL, convert
from facemask_ensemble.prediction.runtimes.openvino_network import HALF, PRECISIONS, OpenvinoNetwork
from facemask_ensemble.resources import usable_cores

AUTO, QUICKEST = "auto", "quickest"


@dataclass(frozen=True)
class Accepted:
    """A conversion that passed the check."""

    source: Source
    place: Place
    precision: str
    milliseconds: float

    def open(self) -> OpenvinoNetwork:
        """Bring it into memory."""
        return OpenvinoNetwork(self.source.file, self.place, self.precision, self.milliseconds)


def load(
    sources: Sequence[Source], batch_size: int, precision: str = AUTO, differ: float | None = 0.005
) -> list[OpenvinoNetwork]:
    """Load members, converting those that were not converted before.

    Args:
        sources: the members.
        batch_size: means nothing here, where each image is a request of its own.
        precision: float32, bfloat16 or int8; auto is bfloat16 where the processor has it and it is accepted; quickest
            is int8 where that is accepted and the quicker one, and else as auto.
        differ: the share of a member's validation images that may be decided otherwise; None: not checked.

    Raises:
        InputError: OpenVINO is not there, or a conversion is not accepted.
    """
    check(precision, differ)
    convert(sources)
    accepted = [_accept(source, precision, differ) for source in sources]
    with ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(Accepted.open, accepted))


def check(precision: str, differ: float | None) -> None:
    """Refuse settings that do not exist or that this machine does not support.

    Raises:
        InputError: naming the key, the value and the rule.
    """
    if precision not in (known := (AUTO, QUICKEST, *PRECISIONS)):
        raise InputError(f"runtime.precision={precision}: must be one of {', '.join(known)}")
    if differ is not None and not (isinstance(differ, int | float) and 0 <= differ < 1):
        raise InputError(f"runtime.differ={differ}: must be a share from 0 to below 1, or null for no check")
    for package in ("openvino", "nncf") if precision in (SMALL, QUICKEST) else ("openvino",):
        if importlib.util.find_spec(package) is None:
            raise InputError('runtime=openvino needs the extra: pip install "facemask-ensemble[openvino]"')
    if precision == HALF and not processor()[1]:
        raise InputError(f"runtime.precision={HALF}: this processor has no instructions for it; give float32 or auto")


def _ways(precision: str) -> tuple[str, ...]:
    """List the precisions to try, the quickest first."""
    if precision in PRECISIONS:
        return (precision,)
    small = (SMALL,) if precision == QUICKEST else ()
    return (*small, HALF, FULL) if processor()[1] else (*small, FULL)


def _accept(source: Source, precision: str, differ: float | None) -> Accepted:
    """Find the fastest precision in which a member's conversion gives the same classes as the member."""
    place, ways = Place.of(source.file), _ways(precision)
    accepted, refused = dict[str, dict[str, Any]](), None
    for way in ways:
        found = measured(source, place, way, differ)
        refused = refusal(source.name, way, found, differ)
        if refused is None:
            accepted[way] = found
            if way != SMALL:  # only a measurement shows whether int8 is faster
                break
        elif accepted or way != ways[-1]:
            print(f"{source.name} in {way}: {told(found)}; not used", flush=True)
    if not accepted:
        raise InputError(refused)
    way = min(accepted, key=lambda way: speed(accepted[way]))
    print(f"{source.name} in {way}: {told(accepted[way])}; {speed(accepted[way]):.1f} ms an image", flush=True)
    return Accepted(source, place, way, speed(accepted[way]))
