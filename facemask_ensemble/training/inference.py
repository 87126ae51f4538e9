"""Fewer graphs of a network than Keras makes: one for validation and prediction, one for the training step."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def share_inference(network: keras.Model) -> None:
    """Let `fit`'s validation and `predict` answer by the same graph: every graph of a network takes seconds to prepare.

    Call it after `compile`, which removes it. Loss and metrics come from a small graph of their own, by Keras's
    own functions, and are the same. JAX and several devices use the functions of Keras.

    Args:
        network: a classifier, which ends with a softmax.
    """
    if keras.backend.backend() != "tensorflow" or tf.distribute.has_strategy():
        return
    batch = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32)  # the last and smaller one too

    @tf.function(input_signature=[batch], jit_compile=network.jit_compile)
    def logits_of(inputs: tf.Tensor) -> tf.Tensor:
        probs = network(inputs, training=False)
        assert probs.op.type == "Softmax", probs.op.type
        return probs.op.inputs[0]

    @tf.function(reduce_retracing=True)
    def judge(logits: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
        probs = tf.nn.softmax(logits)  # in this graph, where Keras finds the logits: probabilities may round to 0
        loss = network.compute_loss(y=labels, y_pred=probs, training=False)
        network.metrics[0].update_state(loss, sample_weight=tf.shape(probs)[0])  # the mean loss
        return network.compute_metrics(None, labels, probs)

    def predict(batches: Any) -> tf.Tensor:
        (given,) = batches
        inputs = keras.utils.unpack_x_y_sample_weight(given)[0]
        return tf.nn.softmax(logits_of(tf.cast(inputs, tf.float32)))

    def validate(iterator: Any) -> dict[str, tf.Tensor]:
        inputs, labels = next(iterator)
        return judge(logits_of(tf.cast(inputs, tf.float32)), labels)

    network.predict_function, network.test_function = predict, validate


def build_metrics(network: keras.Model, batches: tf.data.Dataset, batch_size: int) -> None:
    """Show Keras a batch of zeros to build its metrics from.

    TensorFlow would trace the first training step twice, since it creates their variables. JAX and several devices
    would take the first batch of an epoch and lose it, at every start: the order of the images and the draws of their
    augmentation would then not be those of a training that was never stopped.
    """
    mirrored = tf.distribute.has_strategy()
    specs = batches.element_spec[:2]
    pixels, labels = (np.zeros((batch_size, *spec.shape[1:]), spec.dtype.as_numpy_dtype) for spec in specs)
    if keras.backend.backend() == "tensorflow" and not mirrored:
        network.compute_metrics(None, labels, np.zeros((batch_size, *network.output_shape[1:]), np.float32))
    else:
        vars(network).pop("_maybe_symbolic_build", None)  # that of an earlier phase
        network.test_on_batch(pixels, labels)
    network.reset_metrics()
    if mirrored:
        network._maybe_symbolic_build = lambda **_: None  # it would take a batch even if all is built
