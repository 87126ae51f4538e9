"""Find values that are only rounding errors: too small, or too little varied, to divide by, rank by or learn from."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

SINGLE = 1e-6  # of a number computed in float32: some eight units of its last digit
DOUBLE = 1e-12  # of one computed in float64, with room for sums of thousands


def negligible(values: ArrayLike, scale: ArrayLike = 1.0, tolerance: float = SINGLE) -> NDArray[np.bool_]:
    """Mark values that are only rounding errors of numbers of size `scale`; bool, of their common shape."""
    return np.asarray(np.abs(values) <= tolerance * np.asarray(scale))


def constant(values: ArrayLike, axis: int | None = None, tolerance: float = SINGLE) -> NDArray[np.bool_]:
    """Tell whether values differ along an axis only by rounding errors."""
    values = np.asarray(values)
    return negligible(np.ptp(values, axis=axis), np.abs(values).max(axis=axis), tolerance)
