"""From files to pixels by TensorFlow, as training and evaluation see them; `squares` does the same for a prediction."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from facemask_ensemble.data.decoding import ImageError, decode
from facemask_ensemble.data.pipelines import without_autotune
from facemask_ensemble.data.resizing import least_side
from facemask_ensemble.errors import InputError

BATCH = 32
HEADER = 4096  # bytes within which a JPEG says how it is turned
SCALES = (1, 2, 4, 8)


def stream_pixels(files: Sequence[Path], size: int) -> Iterator[np.ndarray]:
    """Yield the images in order, uint8 (batch, size, size, 3), the whole of each squeezed into the square.

    The aspect is not kept: a crop could cut away the one face that decides between `all` and `some`, and bars would
    waste pixels of faces that are small already. Plain JPEGs are decoded by TensorFlow, everything else by Pillow; a
    side that shrinks is averaged over areas, one that grows is interpolated.

    Raises:
        InputError: a file is missing or is not an image; names the file.
    """
    done = 0
    try:
        for batch in _dataset(files, size, plain=True):
            yield np.asarray(batch)
            done += len(batch)
    except tf.errors.OpError:  # a file that Pillow, which is more patient, may still read
        rest = files[done:]
        for file in rest:
            _refuse_unreadable(file)
        for batch in _dataset(rest, size, plain=False):
            yield np.asarray(batch)


def read_pixels(file: Path, size: int) -> np.ndarray:
    """Read one image as `stream_pixels` does, uint8 (size, size, 3)."""
    return next(stream_pixels([file], size))[0]


def _refuse_unreadable(file: Path) -> None:
    try:
        decode(file.read_bytes())
    except ImageError as error:
        raise InputError(f"{file} cannot be read as an image ({error}): replace it or leave it out") from None
    except OSError as error:
        raise InputError(f"{file} cannot be opened ({error.strerror}): check the path and its permissions") from None


def _dataset(files: Sequence[Path], size: int, *, plain: bool) -> tf.data.Dataset:
    paths = tf.constant([os.fsencode(file) for file in files], tf.string)
    read = _reading(size, plain)
    return without_autotune(
        tf.data.Dataset.from_tensor_slices(paths).map(read, tf.data.AUTOTUNE).batch(BATCH).prefetch(8)
    )


@cache
def _reading(size: int, plain: bool) -> Callable[[tf.Tensor], tf.Tensor]:
    """Compile the way from a path to pixels, once for a size."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def read(path: tf.Tensor) -> tf.Tensor:
        content = tf.io.read_file(path)
        branches = [partial(_by_pillow, content, size)]
        branches += [partial(_by_tensorflow, content, scale) for scale in SCALES]
        image = tf.switch_case(_branch(content, size) if plain else tf.constant(0), branches)
        return squeeze(image, size)

    return read


def _branch(content: tf.Tensor, size: int) -> tf.Tensor:
    """Choose 0 for Pillow, or how far TensorFlow shrinks a JPEG as it decodes it."""
    jpeg = tf.io.is_jpeg(content)
    shape = tf.cond(jpeg, lambda: tf.io.extract_jpeg_shape(content), lambda: tf.zeros(3, tf.int32))
    turned = tf.strings.regex_full_match(tf.strings.substr(content, 0, HEADER), r"\C*Exif\x00\C*")
    fits = [tf.reduce_min(shape[:2]) >= least_side(size) * scale for scale in SCALES[1:]]
    scale = 1 + tf.add_n([tf.cast(fit, tf.int32) for fit in fits])
    return tf.where((shape[2] == 3) | (shape[2] == 1), tf.where(turned, 0, scale), 0)


def _by_tensorflow(content: tf.Tensor, scale: int) -> tf.Tensor:
    return tf.io.decode_jpeg(content, 3, ratio=scale, dct_method="INTEGER_ACCURATE")  # as Pillow does


def _by_pillow(content: tf.Tensor, size: int) -> tf.Tensor:
    def read(data: bytes) -> np.ndarray:
        return np.asarray(decode(data, at_least=least_side(size)))

    return tf.ensure_shape(tf.numpy_function(read, [content], tf.uint8), (None, None, 3))


def squeeze(image: tf.Tensor, size: int) -> tf.Tensor:
    """Bring a whole image, (h, w, 3), into a square of `size` pixels a side, uint8."""
    shape = tf.shape(image)[:2]
    image = tf.cond(
        tf.reduce_max(shape) > 2 * size,  # beyond that, bilinear interpolation skips pixels
        lambda: tf.raw_ops.ResizeArea(images=image[None], size=tf.minimum(shape, size)),
        lambda: tf.cast(image[None], tf.float32),
    )
    square = tf.raw_ops.ResizeBilinear(images=image, size=(size, size), half_pixel_centers=True)
    return tf.ensure_shape(tf.cast(square[0] + 0.5, tf.uint8), (size, size, 3))
