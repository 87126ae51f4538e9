"""One member's answers on the images that it is judged on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class MemberPredictions:
    """One member's cached probabilities, in the manifest's order, and what is known of its training.

    `test_probs` is (n, classes), `validation_probs` (m, classes). `about` holds init, precision, image_size,
    parameters, epochs, seconds and `history` (lists a metric, one value an epoch); a missing key is shown as unknown.
    """

    name: str
    run_id: str
    test_probs: np.ndarray
    validation_probs: np.ndarray
    about: Mapping[str, Any] = field(default_factory=dict)
