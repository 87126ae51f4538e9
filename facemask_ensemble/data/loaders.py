"""Batches for a network, in three ways of reading: our arrays, and Keras's two readers of class folders.

`tf_data`, `directory` and `generator` share one signature and give the same images, in the same number of steps, in
a new order every pass, which depends on the seed and the number of the pass: a training that was stopped resumes with
the order of an uninterrupted one.
"""

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from facemask_ensemble.data.class_folders import label_folders, normalised, originals
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.data.pipelines import without_autotune
from facemask_ensemble.data.pixel_cache import StoredPixels, load_pixels
from facemask_ensemble.errors import InputError
from facemask_ensemble.seeds import derived

Augment = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def batches(
    pixels: np.ndarray | StoredPixels,
    labels: np.ndarray,
    classes: int,
    batch_size: int,
    *,
    one_hot: bool = True,
    shuffle_seed: int | None = None,
    passes: int = 0,
    augment: Augment | None = None,
) -> tf.data.Dataset:
    """Yield (pixels, labels) in batches.

    Args:
        pixels: uint8 (n, h, w, 3); may be in a file; it is read a batch at a time.
        labels: int (n,).
        classes: number of classes.
        batch_size: images a batch; the last one may be smaller.
        one_hot: labels as float32 (n, classes), else as int (n,).
        shuffle_seed: a new order every epoch, the same for the same seed; None keeps the order.
        passes: number of earlier passes, perhaps in other processes; the order is that of the next pass.
        augment: maps a batch of pixels, 0..255, and labels to another of the same shapes.
    """
    order = _indices(len(pixels), batch_size, shuffle_seed, passes)
    shape = (None, *pixels.shape[1:])
    answers = tf.one_hot(np.asarray(labels), classes) if one_hot else tf.constant(labels, tf.int32)

    def gather(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        picked = tf.numpy_function(lambda i: pixels[np.sort(i)], [indices], tf.uint8)
        return tf.ensure_shape(picked, shape), tf.gather(answers, tf.sort(indices))

    return _augmented(order.map(gather, num_parallel_calls=tf.data.AUTOTUNE), augment)


def images(pixels: np.ndarray | StoredPixels, batch_size: int) -> tf.data.Dataset:
    """Yield pixels alone in batches, in their order: to predict from."""
    return batches(pixels, np.zeros(len(pixels), int), 1, batch_size, one_hot=False).map(lambda picked, _: picked)


def read_split(manifest: Manifest, split: str, size: int, folder: Path) -> np.ndarray | StoredPixels:
    """Read a split's images by our own reader, in the manifest's order: uint8 (n, size, size, 3)."""
    rows = manifest.split(split)
    return load_pixels(manifest.root, list(rows["path"]), size, folder / "pixels", keys=list(rows["sha256"]))


def tf_data(
    manifest: Manifest,
    split: str,
    size: int,
    batch_size: int,
    folder: Path,
    *,
    labels: str,
    shuffle_seed: int | None = None,
    passes: int = 0,
    augment: Augment | None = None,
) -> tf.data.Dataset:
    """Read a split through our own pipeline.

    Args:
        manifest: of the dataset.
        split: train, validation or test.
        size: the side of the square, in pixels.
        batch_size: images a batch; the last one may be smaller.
        folder: of all data; what is read once is kept here.
        labels: `one_hot` or `integers`.
        shuffle_seed: a new order every epoch, the same for the same seed; None keeps the order.
        passes: number of earlier passes, perhaps in other processes; the order is that of the next pass.
        augment: maps a batch of pixels, 0..255, and labels to another of the same shapes.
    """
    pixels, rows = read_split(manifest, split, size, folder), manifest.split(split)
    return batches(
        pixels,
        rows["label"].to_numpy(),
        len(manifest.class_names),
        batch_size,
        one_hot=labels == "one_hot",
        shuffle_seed=shuffle_seed,
        passes=passes,
        augment=augment,
    )


def directory(
    manifest: Manifest,
    split: str,
    size: int,
    batch_size: int,
    folder: Path,
    *,
    labels: str,
    resize: str,
    shuffle_seed: int | None = None,
    passes: int = 0,
    augment: Augment | None = None,
) -> tf.data.Dataset:
    """Read a split through `keras.utils.image_dataset_from_directory`; arguments as for `tf_data`.

    With `resize` of `ours` it reads our pixels from lossless files; with `reader` the user's own files, which it
    decodes and resizes (bilinear) itself.
    """
    read = partial(
        keras.utils.image_dataset_from_directory,
        _class_folders(manifest, split, size, folder, resize),
        class_names=label_folders(len(manifest.class_names)),
        label_mode="categorical" if labels == "one_hot" else "int",
        batch_size=batch_size,
        image_size=(size, size),
        interpolation="bilinear",
        verbose=False,
    )
    data = read(shuffle=False)
    _refuse_missing(manifest, split, data.file_paths)
    if shuffle_seed is not None:
        spec, steps = data.element_spec, len(data)
        data = from_passes(lambda number: read(shuffle=True, seed=derived(shuffle_seed, number)), passes, spec, steps)
    return _augmented(data, augment)


def generator(
    manifest: Manifest,
    split: str,
    size: int,
    batch_size: int,
    folder: Path,
    *,
    labels: str,
    resize: str,
    shuffle_seed: int | None = None,
    passes: int = 0,
    augment: Augment | None = None,
) -> tf.data.Dataset:
    """Read a split through the legacy `flow_from_directory`; arguments as for `directory`, resized by nearest pixel."""
    classes = len(manifest.class_names)
    with contextlib.redirect_stdout(io.StringIO()):  # it says how many files it found
        files = tf.keras.preprocessing.image.ImageDataGenerator().flow_from_directory(
            _class_folders(manifest, split, size, folder, resize),
            classes=label_folders(classes),
            class_mode="categorical" if labels == "one_hot" else "sparse",
            batch_size=batch_size,
            target_size=(size, size),
            interpolation="nearest",
            shuffle=shuffle_seed is not None,
        )
    _refuse_missing(manifest, split, files.filepaths)

    def draw(number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        files.reset()  # an unfinished pass is not continued
        files.total_batches_seen = 0  # Keras adds it to the seed
        files.seed = None if shuffle_seed is None else derived(shuffle_seed, number)
        for _ in range(len(files)):
            yield next(files)

    signature = (
        tf.TensorSpec((None, size, size, 3), tf.float32),
        tf.TensorSpec((None, classes) if labels == "one_hot" else (None,), tf.float32),
    )
    return _augmented(from_passes(draw, passes, signature, len(files)), augment)


def _class_folders(manifest: Manifest, split: str, size: int, folder: Path, resize: str) -> Path:
    if resize == "ours":
        return normalised(manifest, split, read_split(manifest, split, size, folder), folder)
    return originals(manifest, split, folder)


def _refuse_missing(manifest: Manifest, split: str, found: list[str]) -> None:
    expected = len(manifest.split(split))
    if len(found) != expected:
        where = Path(found[0]).parent.parent if found else "the folder"
        raise InputError(f"{where} has {len(found)} of {expected} images; delete the folder, and it is written again")


def _indices(images: int, batch_size: int, seed: int | None, passes: int) -> tf.data.Dataset:
    """Yield which images make up each batch."""
    if seed is None:
        return tf.data.Dataset.range(images).batch(batch_size)

    def order(number: int) -> Iterator[np.ndarray]:
        indices = np.random.default_rng([seed, number]).permutation(images)
        return (indices[start : start + batch_size] for start in range(0, images, batch_size))

    signature = tf.TensorSpec((None,), tf.int64)
    return from_passes(order, passes, signature, -(-images // batch_size))


def from_passes(draw: Callable[[int], Iterable], first: int, signature: Any, steps: int) -> tf.data.Dataset:
    """Yield what `draw` gives for the number of the pass; each new iterator starts the next pass.

    Args:
        draw: gives a pass's elements.
        first: number of the first pass.
        signature: of an element.
        steps: elements in a pass.
    """
    numbers = count(first)
    data = tf.data.Dataset.from_generator(lambda: iter(draw(next(numbers))), output_signature=signature)
    return data.apply(tf.data.experimental.assert_cardinality(steps))


def _augmented(data: tf.data.Dataset, augment: Augment | None) -> tf.data.Dataset:
    if augment is not None:
        # One call at a time: Keras layers draw from a seed that parallel calls would race for.
        data = data.map(tf.autograph.experimental.do_not_convert(augment))
    return without_autotune(data.prefetch(tf.data.AUTOTUNE))
