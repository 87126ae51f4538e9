"""Random geometry that keeps the labelled objects in the image."""

import math

import tensorflow as tf

from facemask_ensemble.data.augmentation.randomness import new_state, next_seed
from facemask_ensemble.errors import InputError


class InsideFrame:
    """Rotate, shrink and shift each image at random so that no part of it leaves the frame.

    One cropped face can turn `some` into `all`, so an image is shrunk at least as far as its rotation needs, and
    moved within the margin that this frees. The margin repeats the nearest edge: a mirrored one would show a face
    twice.
    """

    def __init__(self, max_rotation: float = 10.0, min_scale: float = 0.8, seed: int | None = None) -> None:
        """Set the largest rotation in degrees, either way, and the smallest scale.

        A rotation that does not fit at `min_scale` shrinks the image further, just as far as it must.
        """
        if not 0 <= max_rotation <= 45:
            raise InputError(f"augmentation max_rotation={max_rotation}: must be from 0 to 45 degrees, such as 10")
        if not 0 < min_scale <= 1:
            raise InputError(f"augmentation min_scale={min_scale}: must be above 0 and at most 1, such as 0.8")
        self.max_angle = math.radians(max_rotation)
        self.min_scale = float(min_scale)
        self.states = [new_state(seed)]

    def __call__(self, pixels: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Move the images (n, h, w, channels) when training, and keep their dtype."""
        if not training:
            return pixels
        count, height, width = tf.unstack(tf.shape(pixels)[:3])
        turn, size, across, down = tf.unstack(tf.random.stateless_uniform((4, count), next_seed(self.states[0])))
        angle = (2 * turn - 1) * self.max_angle
        return _moved(pixels, inside_frame(angle, size, 2 * across - 1, 2 * down - 1, height, width, self.min_scale))


class CropAround:
    """Cut each image at random to a part of the same aspect, which always holds its middle, and enlarge that.

    The central `keep` of both sides is never cut: for example a face in a crop with a margin.
    """

    def __init__(self, keep: float, seed: int | None = None) -> None:
        """Set the share of each side, around the middle, that stays; it is the smallest crop as well."""
        if not 0 < keep <= 1:
            raise InputError(f"augmentation keep={keep}: must be a share above 0 and at most 1, such as 0.72")
        self.keep = float(keep)
        self.states = [new_state(seed)]

    def __call__(self, pixels: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Crop the images (n, h, w, channels) when training, and keep their shape and dtype."""
        if not training:
            return pixels
        count, height, width = tf.unstack(tf.shape(pixels)[:3])
        size, across, down = tf.unstack(tf.random.stateless_uniform((3, count), next_seed(self.states[0])))
        return _moved(pixels, crop_around(size, across, down, height, width, self.keep))


def inside_frame(
    angle: tf.Tensor,
    size: tf.Tensor,
    across: tf.Tensor,
    down: tf.Tensor,
    height: tf.Tensor | int,
    width: tf.Tensor | int,
    min_scale: float,
) -> tf.Tensor:
    """Write the placements as projective transforms (n, 8) from the new image's pixels to the old one's.

    Args:
        angle: (n,) radians, clockwise as seen.
        size: (n,) in 0..1 from the smallest scale to the largest that the angle allows.
        across: (n,) in -1..1 from the left end of the margin to the right.
        down: (n,) in -1..1 from the upper end of the margin to the lower.
        height: of the images.
        width: of the images.
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


def crop_around(
    size: tf.Tensor,
    across: tf.Tensor,
    down: tf.Tensor,
    height: tf.Tensor | int,
    width: tf.Tensor | int,
    keep: float,
) -> tf.Tensor:
    """Write the crops as projective transforms (n, 8) from the new image's pixels to the old one's.

    Args:
        size: (n,) in 0..1 from the smallest crop, `keep` of each side, to the whole image.
        across: (n,) in 0..1 from the leftmost place that holds the middle to the rightmost.
        down: (n,) in 0..1 from the uppermost to the lowermost.
        height: of the images.
        width: of the images.
        keep: the share of each side, around the middle, that every crop holds.
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    share = keep + size * (1 - keep)
    first = tf.maximum(0.0, (1 + keep) / 2 - share)
    last = tf.minimum((1 - keep) / 2, 1 - share)
    left, top = (first + place * (last - first) for place in (across, down))
    zero = tf.zeros_like(share)
    # The middle of pixel 0 is half a pixel from the edge, in the old image as in the new.
    to_x, to_y = left * width + (share - 1) / 2, top * height + (share - 1) / 2
    return tf.stack([share, zero, to_x, zero, share, to_y, zero, zero], axis=1)


def _moved(pixels: tf.Tensor, transforms: tf.Tensor) -> tf.Tensor:
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels,
        transforms=transforms,
        output_shape=tf.shape(pixels)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    return tf.ensure_shape(moved, pixels.shape)
