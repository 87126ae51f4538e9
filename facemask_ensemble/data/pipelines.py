"""What every `tf.data` pipeline of ours has in common."""

import tensorflow as tf


def without_autotune(data: tf.data.Dataset) -> tf.data.Dataset:
    """Turn TensorFlow's tuner of a pipeline off; what is left to it takes as many threads as there are cores.

    Whoever ends an iteration waits for the tuner's thread, which now and then sleeps on (TensorFlow 2.21): it looks
    after 10 ms, 20 ms, 40 ms and so on, so that an epoch of 3 s lasts 5 s, and one of 6 s ten.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)
