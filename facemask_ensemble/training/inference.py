"""One compiled function of a network for validation and for prediction, where Keras compiles one for each."""

from typing import Any

import keras
import tensorflow as tf


def share_inference(network: keras.Model) -> None:
    """Let `fit`'s validation and `predict` answer by the same graph: every graph of a network takes seconds to prepare.

    Call it after `compile`, which removes it. Loss and metrics come from a small graph of their own, by Keras's
    own functions, and are the same. JAX and several devices use the functions of Keras.
    """
    if keras.backend.backend() != "tensorflow" or tf.distribute.has_strategy():
        return
    batch = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32)  # the last and smaller one too
    options = {"input_signature": [batch], "jit_compile": network.jit_compile}
    answer = tf.function(lambda inputs: network(inputs, training=False), **options)

    @tf.function(reduce_retracing=True)
    def judge(probs: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
        loss = network.compute_loss(y=labels, y_pred=probs, training=False)
        network.metrics[0].update_state(loss, sample_weight=tf.shape(probs)[0])  # the mean loss
        return network.compute_metrics(None, labels, probs)

    def predict(batches: Any) -> tf.Tensor:
        (given,) = batches
        return answer(tf.cast(keras.utils.unpack_x_y_sample_weight(given)[0], tf.float32))

    def validate(iterator: Any) -> dict[str, tf.Tensor]:
        inputs, labels = next(iterator)
        return judge(answer(tf.cast(inputs, tf.float32)), labels)

    network.predict_function, network.test_function = predict, validate
