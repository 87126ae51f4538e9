"""Grad-CAM++ for answers with extreme logits."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras_vis.gradcam_plus_plus


class GradcamPlusPlus(tf_keras_vis.gradcam_plus_plus.GradcamPlusPlus):
    """Explain by Grad-CAM++ with tf-keras-vis, whose map is nan from logits of 88 on and 0 below -85.

    Chattopadhay et al., Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep Convolutional Networks,
    WACV 2018: the class's output is Y = exp(S), S its logit, taken to be linear in the features A. Then the n-th
    derivative of Y by A is Y (dS/dA)^n: Y cancels in the weights of the places, which are quotients of derivatives, and
    is a factor of the whole map, which scaling to 0..1 takes away. S - stop_gradient(S) is 0 and has the gradient of S:
    the map is the same, with exp(0) for its factor.
    """

    def __call__(self, score: Callable[[tf.Tensor], Any], seed_input: tf.Tensor, **options: Any) -> Any:
        """Explain images as the library's callables do, up to a factor for each."""

        def without_level(outputs: tf.Tensor) -> tf.Tensor:
            values = tf.convert_to_tensor(score(outputs))
            return values - tf.stop_gradient(values)

        return super().__call__(without_level, seed_input, **options)
