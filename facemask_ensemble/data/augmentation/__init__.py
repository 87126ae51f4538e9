"""Random changes of training images that keep their label true.

They run in tf.data with every Keras backend. Layers of Keras and of this package can be mixed. Each layer of this
package has its own random state, so that a training that is stopped resumes with the same random numbers.
"""

from facemask_ensemble.data.augmentation.frame import CropAround, InsideFrame
from facemask_ensemble.data.augmentation.mixup import MixUp
from facemask_ensemble.data.augmentation.pipeline import Augmentation, augmentation
from facemask_ensemble.data.augmentation.rand_augment import RandAugment

__all__ = ["Augmentation", "CropAround", "InsideFrame", "MixUp", "RandAugment", "augmentation"]
