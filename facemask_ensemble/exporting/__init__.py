"""Export: a member, or the whole ensemble, as one graph that runs without this package.

`conf/format` names the formats. Each has a module with `write(saved, place, options) -> Path`, which makes its file, or
its folder, out of a SavedModel, and `read(path) -> Run`, which opens what was written with the format's own runtime.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Inputs = Mapping[str, NDArray[np.uint8]]
Run = Callable[[Inputs], dict[str, NDArray[Any]]]


@dataclass(frozen=True)
class Options:
    """Options of a format: the `precision` of its numbers, and `samples` of one image each to calibrate int8."""

    precision: str
    samples: Sequence[Inputs] = ()


Write = Callable[[Path, Path, Options], Path]
