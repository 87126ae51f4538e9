"""One training on several devices, each with a copy of the network and a share of every batch.

TensorFlow mirrors the network by `tf.distribute.MirroredStrategy`, JAX by `keras.distribution.DataParallel`, which
Keras has for JAX alone so far. `batch_size` is that of the whole batch. Without a GPU, several devices are made out of
the processor: nothing is faster for it, but what works with two of them works with two GPUs.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import keras
import tensorflow as tf

from facemask_ensemble.errors import InputError
from facemask_ensemble.models.copying import copy_model


class Replicas:
    """The devices of a training, claimed before anything is computed.

    Args:
        devices: their number, the first ones of the machine's GPUs; or `all` the GPUs, which is 1 where there are none.
        batch_size: of the whole batch, which they share out.

    Attributes:
        count: of the devices.

    Raises:
        InputError: there are fewer, or the batch cannot be shared out.
    """

    def __init__(self, devices: int | Literal["all"], batch_size: int) -> None:
        self._jax = keras.backend.backend() == "jax"
        gpus = _jax_gpus(devices) if self._jax else len(tf.config.list_physical_devices("GPU"))
        self.count = max(1, gpus) if devices == "all" else devices
        if self.count > gpus > 0:
            raise InputError(f"devices={devices}: this machine has {gpus} GPU{'s'[: gpus > 1]}; give {gpus}, or all")
        if batch_size % self.count:
            raise InputError(
                f"batch_size={batch_size}: {self.count} devices share each batch; give a multiple of {self.count}"
            )
        _claim(0 if self._jax else min(self.count, gpus))
        self._strategy: Any = None
        if self.count > 1:
            self._strategy = _data_parallel(self.count) if self._jax else _mirrored(self.count, gpus > 0)

    def scope(self) -> AbstractContextManager:
        """Copy the network that is built within to all devices; compile and fit it within, too."""
        return self._strategy.scope() if self._strategy else nullcontext()

    @contextmanager
    def fitting(self, model: keras.Model) -> Iterator[None]:
        """Compile and fit within: `scope`, and BatchNorm with the mean and variance of the whole batch.

        JAX takes those of itself. TensorFlow would normalise every share by its own, and keep as many different moving
        statistics. The layers are left as they were, or the model's file would load under TensorFlow alone.
        """
        norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        norms = [] if self._jax or self.count == 1 else [layer for layer in norms if not layer.synchronized]
        for layer in norms:
            layer.synchronized = True
        try:
            with self.scope():
                yield
        finally:
            for layer in norms:
                layer.synchronized = False

    def even(self, data: tf.data.Dataset) -> tf.data.Dataset:
        """Cut the last batch to a multiple of the devices: they cannot share out a rest.

        At most `count - 1` images are left out, in training other ones every epoch. With several devices the number
        of batches is not known beforehand any more.
        """
        if self.count == 1:
            return data
        return data.map(self._cut, tf.data.AUTOTUNE).filter(lambda pixels, *_: tf.shape(pixels)[0] > 0)

    def alone(self, model: keras.Model) -> keras.Model:
        """Give a copy on one device, to predict with and to save; the model itself where it is on one already.

        What was mirrored cannot answer for fewer images than there are devices.
        """
        if self.count == 1:
            return model
        return copy_model(model)

    def _cut(self, *parts: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tuple(part[: tf.shape(part)[0] // self.count * self.count] for part in parts)


def _jax_gpus(devices: int | str) -> int:
    import jax

    if devices not in ("all", 1):
        jax.config.update("jax_num_cpu_devices", devices)
    return sum(device.platform == "gpu" for device in jax.devices())


def _claim(count: int) -> None:
    """Leave TensorFlow the first GPUs: it takes the memory of all that it sees. Under JAX it only reads the data."""
    tf.config.set_visible_devices(tf.config.list_physical_devices("GPU")[:count], "GPU")


def _data_parallel(count: int) -> keras.distribution.DataParallel:
    return keras.distribution.DataParallel(devices=keras.distribution.list_devices()[:count])


def _mirrored(count: int, gpus: bool) -> tf.distribute.MirroredStrategy:
    if not gpus:
        processor = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * count)
    return tf.distribute.MirroredStrategy([f"{'GPU' if gpus else 'CPU'}:{index}" for index in range(count)])
