"""What `train` takes: one member of an ensemble."""

from typing import Annotated, Literal

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.fields import (
    Folder,
    NotNegative,
    Positive,
    Rule,
    ShareFrom0,
    Switch,
    Target,
    Text,
    group,
)
from facemask_ensemble.settings.groups import Augmentation, Backbone, Dataset, Loader, Optimizer, Tags, Tracking
from facemask_ensemble.settings.task import Task


@group
class TrainSettings:
    """The settings of one training; `conf/train.yaml` has their defaults.

    Attributes:
        backbone: the network, and where its weights come from.
        task: what the classes are about.
        dataset: the labelled images, and how they are split.
        loader: how batches are read.
        schedule: which layers train, for how long and at which rate: a call that gives phases.
        optimizer: of every phase.
        augmentation: of the training images.
        tracking: where runs are logged.
        study: MLflow experiment of the run.
        image_size: side of the square input, pixels.
        batch_size: images per step, over all devices.
        label_smoothing: share of every one-hot label that is spread over all classes.
        class_weights: `balanced` gives every class the same total weight.
        precision: of the numbers; `auto` is measured once for this machine and backbone.
        devices: GPUs that train this member together, or shares of the CPU.
        seed: of weights, shuffling and augmentation.
        deterministic: the same command always gives the same weights, but trains slower.
        output_dir: of the store, datasets, runs and reports.
        again: train again, even if the same command has finished before.
        tags: of the MLflow run.
        parent_run: MLflow run id of the sweep.
    """

    backbone: Backbone
    task: Task
    dataset: Dataset
    loader: Loader
    schedule: Target
    optimizer: Optimizer
    augmentation: Augmentation
    tracking: Tracking
    study: Text
    image_size: Positive
    batch_size: Positive
    label_smoothing: ShareFrom0
    class_weights: Annotated[Literal["balanced"] | None, Rule("balanced or null")]
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"]
    devices: Annotated[Positive | Literal["all"], Rule("a whole number of at least 1, or all")]
    seed: NotNegative
    deterministic: Switch
    output_dir: Folder
    again: Switch
    tags: Tags
    parent_run: Text | None

    def __post_init__(self) -> None:
        """Refuse images that are too small for the backbone, and label smoothing or mixup without one-hot labels."""
        if self.image_size < self.backbone.smallest_side:
            raise InputError(
                f"image_size={self.image_size}: must be a whole number of at least {self.backbone.smallest_side} "
                f"(the smallest side {self.backbone.name} takes)"
            )
        shared = {"label_smoothing": self.label_smoothing, "augmentation.mixup": self.augmentation.mixup}
        for key, value in shared.items():
            if value and self.loader.labels == "integers":
                raise InputError(
                    f"{key}{f'={value}' if key == 'label_smoothing' else ''}: needs one-hot labels; "
                    "give loader.labels=one_hot loader.loss=categorical_crossentropy"
                )
