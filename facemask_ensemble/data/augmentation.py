"""Random changes of training pictures that cannot change their label."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from facemask_ensemble.errors import InputError


class InsideFrame(keras.layers.Layer):
    """Rotate, shrink and shift each picture at random so that no part of it leaves the frame.

    One cropped face can turn `some` into `all`, so a picture is shrunk at least as far as its rotation needs, and
    moved within the margin that this frees. The margin repeats the nearest edge: a mirrored one would show a face
    twice.
    """

    def __init__(self, max_rotation: float = 10.0, min_scale: float = 0.8, seed: int | None = None) -> None:
        """Set the largest rotation in degrees, either way, and the smallest scale.

        A rotation that does not fit at `min_scale` shrinks the picture further, just as far as it must.
        """
        super().__init__(dtype="float32")
        if not 0 <= max_rotation <= 45:
            raise InputError(f"augmentation max_rotation is 0..45 degrees, received {max_rotation}: use 10")
        if not 0 < min_scale <= 1:
            raise InputError(f"augmentation min_scale is above 0 and at most 1, received {min_scale}: use 0.8")
        self.max_angle = max_rotation * 3.141592653589793 / 180
        self.min_scale = min_scale
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, pixels: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Move the pictures (n, h, w, channels) when training, and keep their dtype."""
        if not training:
            return pixels
        count, height, width = tf.unstack(tf.shape(pixels)[:3])
        turn, size, across, down = tf.unstack(
            keras.random.uniform((4, count), dtype="float32", seed=self.seed_generator)
        )
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=pixels,
            transforms=inside_frame(
                (2 * turn - 1) * self.max_angle, size, 2 * across - 1, 2 * down - 1, height, width, self.min_scale
            ),
            output_shape=[height, width],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="NEAREST",
        )
        return tf.ensure_shape(moved, pixels.shape)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Keep the shape."""
        return input_shape


def inside_frame(
    angle: tf.Tensor,
    size: tf.Tensor,
    across: tf.Tensor,
    down: tf.Tensor,
    height: tf.Tensor | int,
    width: tf.Tensor | int,
    min_scale: float,
) -> tf.Tensor:
    """Write the placements as projective transforms (n, 8) from the new picture's pixels to the old one's.

    Args:
        angle: (n,) radians, clockwise as seen.
        size: (n,) in 0..1 from the smallest scale to the largest that the angle allows.
        across: (n,) in -1..1 from the left end of the margin to the right.
        down: (n,) in -1..1 from the upper end of the margin to the lower.
        height: of the pictures.
        width: of the pictures.
        min_scale: the smallest scale, unless the angle needs a smaller one.
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    cos, sin = tf.cos(angle), tf.sin(angle)
    wide = width * cos + height * tf.abs(sin)
    high = height * cos + width * tf.abs(sin)
    largest = tf.minimum(width / wide, height / high)
    smallest = tf.minimum(min_scale, largest)
    scale = smallest + size * (largest - smallest)
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    to_x = middle_x + across * (width - scale * wide) / 2
    to_y = middle_y + down * (height - scale * high) / 2
    cos, sin, zero = cos / scale, sin / scale, tf.zeros_like(scale)
    return tf.stack(
        [cos, sin, middle_x - cos * to_x - sin * to_y, -sin, cos, middle_y + sin * to_x - cos * to_y, zero, zero],
        axis=1,
    )


def augment(layers: Sequence[keras.Layer]) -> Callable[[tf.Tensor], tf.Tensor] | None:
    """Chain the layers into a function for `tf.data.Dataset.map`, or give None where there are none.

    It takes a batch of pictures (n, h, w, 3) in 0..255 of any dtype and gives float32 in 0..255.
    """
    for layer in layers:
        if layer.compute_dtype != "float32":
            raise InputError(
                f"augmentation layer {layer.name!r} computes in {layer.compute_dtype}, too coarse for 256 grey levels: "
                "add `dtype: float32` to it"
            )
    if not layers:
        return None

    def apply(pixels: tf.Tensor) -> tf.Tensor:
        pixels = tf.cast(pixels, tf.float32)
        for layer in layers:
            pixels = layer(pixels, training=True)
        return tf.clip_by_value(pixels, 0.0, 255.0)

    return apply
