"""Members before their network is in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Judged = Callable[[], tuple[list[Path], NDArray[np.float32]]]


@dataclass(frozen=True)
class Source:
    """A member to be loaded: its name and its `.keras` file.

    `judged` gives validation images, n files, and what the network answered to them in Keras, float32 (n, classes),
    where these can still be had; else none of them. `learned` gives the images that it was trained on.
    """

    name: str
    file: Path
    judged: Judged | None = None
    learned: Callable[[], list[Path]] | None = None
