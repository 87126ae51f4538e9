"""Runtimes: what carries a member's network out. `conf/runtime` names them, a function each that loads networks.

Called as `load(sources, batch_size)`, it answers with one `Network` a source, in their order.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras


class Network(Protocol):
    """A network in memory: called with pixels, uint8 (n, size, size, 3), it answers float32 (n, classes).

    `milliseconds` is what an image was measured to take, None where it was not measured.
    """

    size: int
    milliseconds: float | None

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Answer images, any number of them."""
        ...

    def model(self) -> "keras.Model":
        """Give the network as Keras knows it, to be explained."""
        ...


@lru_cache(maxsize=16)
def keras_twin(file: Path) -> "keras.Model":
    """Load the Keras network of a member that another runtime answers for, once."""
    from facemask_ensemble.tensorflow_import import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.models.classifier import load_classifier

    return load_classifier(file)
