"""Adam and AdamW that update a variable by one operation of TensorFlow instead of a dozen of Keras's."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


class _Fused(keras.optimizers.Optimizer):
    """Call TensorFlow's kernel where it applies, and Keras's own update elsewhere.

    The formula is the same, epsilon included, and so are the variables: each of the two can resume from a state
    that the other saved. A dozen small operations for each of a network's hundreds of variables are half of what
    TensorFlow prepares before the first step. Gradients are clipped, weights decayed and averaged by Keras, around the
    update.
    """

    _powers: Any = None

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Update all variables; what depends on the number of the step alone is computed once for all of them."""
        if keras.backend.backend() == "tensorflow":
            step = tf.cast(keras.ops.convert_to_tensor(self.iterations) + 1, tf.float32)
            self._powers = tf.pow(self.beta_1, step), tf.pow(self.beta_2, step)
        try:
            super().apply(grads, trainable_variables)
        finally:
            self._powers = None  # they belong to the graph that was traced

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable."""
        dense = isinstance(gradient, tf.Tensor) and isinstance(variable, tf.Variable)
        if self.amsgrad or not dense or variable.dtype != tf.float32:
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self._powers[0],
            beta2_power=self._powers[1],
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, tf.float32),
        )


@keras.saving.register_keras_serializable("facemask_ensemble")
class Adam(_Fused, keras.optimizers.Adam):
    """Keras's Adam, prepared faster."""


@keras.saving.register_keras_serializable("facemask_ensemble")
class AdamW(_Fused, keras.optimizers.AdamW):
    """Keras's AdamW, prepared faster."""
