"""Random changes of training images that keep their label true.

They run in tf.data, whatever backend Keras computes with. Layers of Keras and of our own may be mixed; those of our own
draw from a random state each, so that a training can be stopped and go on with the same draws.
"""

from facemask_ensemble.data.augmentation.frame import CropAround, InsideFrame
from facemask_ensemble.data.augmentation.mixup import MixUp
from facemask_ensemble.data.augmentation.pipeline import Augmentation, augmentation
from facemask_ensemble.data.augmentation.rand_augment import RandAugment

__all__ = ["Augmentation", "CropAround", "InsideFrame", "MixUp", "RandAugment", "augmentation"]
