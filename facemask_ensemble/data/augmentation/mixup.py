"""Mixup: each image and its label laid over those of another of the batch."""

import math

import tensorflow as tf

from facemask_ensemble.data.augmentation.randomness import new_state, next_seed
from facemask_ensemble.errors import InputError


class MixUp:
    """Mix the images of a batch in pairs, and their labels in the same proportion.

    After Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018, https://arxiv.org/abs/1710.09412: an image
    keeps the share lambda, drawn from Beta(alpha, alpha), of itself and takes the rest from its partner.

    Of an image `none` and one `all` comes one that shows a bare face and a masked one, which is `some`: the mixed
    label says otherwise. With classes `same` the partner is of the image's own class and the label stays true;
    `any` takes any image of the batch, as in the paper.
    """

    def __init__(self, alpha: float = 0.2, classes: str = "same", seed: int | None = None) -> None:
        """Set the shape of the Beta distribution, and whether partners are of the `same` class or of `any`."""
        if not (math.isfinite(alpha) and alpha > 0):
            raise InputError(f"augmentation.mixup.alpha={alpha}: must be a number above 0, such as 0.2")
        if classes not in ("same", "any"):
            raise InputError(f"augmentation.mixup.classes={classes}: must be one of same, any")
        self.alpha = alpha
        self.classes = classes
        self.states = [new_state(seed)]

    def __call__(self, pixels: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mix float32 pixels (n, h, w, 3) and one-hot labels (n, classes)."""
        if len(labels.shape) != 2:
            raise InputError(
                f"augmentation.mixup needs one-hot labels (images, classes), received whole numbers {labels.shape}: "
                "give loader.labels=one_hot loader.loss=categorical_crossentropy"
            )
        count = tf.shape(pixels)[0]
        group = tf.argmax(labels, axis=1) if self.classes == "same" else tf.zeros(count, tf.int64)
        partner = partners(group, tf.random.stateless_uniform([count], next_seed(self.states[0])))
        share = self._shares(count)
        return _mixed(pixels, partner, share[:, None, None, None]), _mixed(labels, partner, share[:, None])

    def _shares(self, count: tf.Tensor) -> tf.Tensor:
        """Draw from Beta(alpha, alpha) as X / (X + Y) of two Gamma(alpha); float64, for a small one is below 1e-38."""
        drawn = tf.random.stateless_gamma((2, count), next_seed(self.states[0]), self.alpha, dtype=tf.float64)
        return tf.cast(drawn[0] / (drawn[0] + drawn[1]), tf.float32)


def partners(group: tf.Tensor, lots: tf.Tensor) -> tf.Tensor:
    """Give each image one of its own group, each of them to one image; it may be the image itself.

    Args:
        group: int (n,).
        lots: (n,) numbers that decide.
    """
    mixed = tf.argsort(lots)
    mixed = tf.gather(mixed, tf.argsort(tf.gather(group, mixed), stable=True))
    return tf.gather(mixed, tf.math.invert_permutation(tf.argsort(group, stable=True)))


def _mixed(values: tf.Tensor, partner: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    return share * values + (1 - share) * tf.gather(values, partner)
