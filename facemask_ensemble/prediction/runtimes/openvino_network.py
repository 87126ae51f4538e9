"""A member's network in OpenVINO, compiled for this processor."""

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.models.hardware import processor
from facemask_ensemble.prediction.runtimes import keras_twin
from facemask_ensemble.prediction.runtimes.openvino_cache import Place
from facemask_ensemble.prediction.runtimes.openvino_conversion import FULL, SMALL, kind_of
from facemask_ensemble.prediction.runtimes.telemetry import stop_telemetry

if TYPE_CHECKING:
    import keras

HALF = "bfloat16"
PRECISIONS = (FULL, HALF, SMALL)


def fast(precision: str) -> str:
    """Name, as OpenVINO does, what the operations of a precision are computed in that are not whole numbers."""
    return "f32" if precision == FULL or not processor()[1] else "bf16"


class OpenvinoNetwork:
    """A converted member: an image is a request of its own, and each core has one in hand.

    So many images keep all cores busy without waiting for each other, and a single one costs no more than itself.
    """

    def __init__(self, file: Path, place: Place, precision: str, milliseconds: float | None = None) -> None:
        stop_telemetry()
        import openvino
        from openvino import AsyncInferQueue

        self._file, self.milliseconds = file, milliseconds
        settings = {
            "INFERENCE_PRECISION_HINT": fast(precision),
            "PERFORMANCE_HINT": "THROUGHPUT",
            "CACHE_DIR": str(place.compiled),
        }
        network = openvino.Core().compile_model(str(place.network(kind_of(precision))), "CPU", settings)
        self.size, self._classes = int(network.inputs[0].shape[1]), int(network.outputs[0].shape[1])
        self._requests = AsyncInferQueue(network)
        self._requests.set_callback(_keep)
        self._lock = Lock()

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Answer images."""
        probs = np.empty((len(pixels), self._classes), np.float32)
        with self._lock:
            for place, image in enumerate(pixels):
                self._requests.start_async({0: image[None]}, probs[place])
            self._requests.wait_all()
        return probs

    def model(self) -> "keras.Model":
        """Load the network as Keras knows it."""
        return keras_twin(self._file)


def _keep(request: Any, answer: NDArray[np.float32]) -> None:
    answer[:] = request.get_output_tensor(0).data[0]
