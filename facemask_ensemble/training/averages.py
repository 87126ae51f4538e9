"""Moving averages of the weights, where the optimizer keeps them."""

from typing import Any

import keras
import numpy as np


class Averaged(keras.callbacks.Callback):
    """Validate with the moving average of the weights, and continue to train without it."""

    def __init__(self) -> None:
        super().__init__()
        self.own: list[np.ndarray] = []

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Put the averages in the weights' place."""
        averages, weights = averages_of(self.model), self.model.trainable_variables
        self.own = [keras.ops.convert_to_numpy(weight) for weight in weights]
        for weight in weights:
            weight.assign(averages[id(weight)])

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Put the weights back."""
        for weight, own in zip(self.model.trainable_variables, self.own, strict=True):
            weight.assign(own)


def averages_of(model: keras.Model) -> dict[int, keras.Variable]:
    """Give the moving averages that the optimizer keeps, by the id of the weight; empty where it keeps none."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.use_ema:
        return {}
    averages = optimizer._model_variables_moving_average
    return {id(weight): average for weight, average in zip(model.trainable_variables, averages, strict=True)}
