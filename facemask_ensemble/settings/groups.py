"""The groups of settings that several commands share; each is a folder of `conf`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.fields import (
    Above0,
    NotNegative,
    Positive,
    PositiveOrNull,
    Rule,
    Share,
    ShareFrom0,
    Target,
    Text,
    group,
)

LOSSES = {"one_hot": "categorical_crossentropy", "integers": "sparse_categorical_crossentropy"}
Tags = Mapping[str, Any]  # of an MLflow run


@group
class Tracking:
    """The store: `uri` of MLflow's, null for the embedded one below `output_dir`."""

    uri: Text | None


@group
class Dataset:
    """Labelled images and how they are split; `conf/dataset/_images.yaml` explains the keys.

    A dataset's own keys, such as `count` of the drawn scenes, are arguments of `source`.
    """

    name: Text
    root: Text | None
    limit: PositiveOrNull
    validation: Share
    test: Share
    folds: Annotated[int | None, Field(strict=True, ge=2), Rule("a whole number of at least 2, or null")]
    fold: NotNegative
    split_seed: NotNegative
    near_duplicates: Annotated[
        int | None, Field(strict=True, ge=0, le=16), Rule("a whole number of bits from 0 to 16, or null")
    ]
    boxes: Target | None
    source: Target

    def check_root(self) -> None:
        """Refuse a missing folder of images."""
        if self.root is not None and not Path(self.root).expanduser().is_dir():
            raise InputError(f"dataset.root={self.root}: no such folder; give the folder that holds the images")


@group
class Head:
    """The layers between the features of the backbone and the probabilities."""

    pooling: Literal["average", "flatten"]
    hidden: Annotated[tuple[Positive, ...], Rule("a list of whole numbers of at least 1, [] for none")]


@group
class Official:
    """A network's official weights without top: file name, md5 or sha256, and the folder it is fetched from."""

    file: Text
    address: Text
    md5: Text | None = None
    sha256: Text | None = None

    @property
    def checksum(self) -> tuple[str, str]:
        """Give the kind of check sum that Keras knows the file by, and its value."""
        return ("sha256", self.sha256) if self.sha256 is not None else ("md5", self.md5 or "")


@group
class Backbone:
    """An architecture; `features` builds it, `conf/backbone/_pretrained.yaml` explains the keys."""

    name: Text
    weights: Text | None
    smallest_side: Positive
    dropout: ShareFrom0
    head: Head
    block_ends: Text | None
    official: Official | None
    features: Target


@group
class Loader:
    """How a training's batches are read: `batches` gives them, with `labels` that fit the `loss`."""

    name: Text
    labels: Literal["one_hot", "integers"]
    loss: Text
    resize: Literal["ours", "reader"]
    batches: Target

    def __post_init__(self) -> None:
        """Refuse labels and a loss that do not go together."""
        if self.loss != LOSSES[self.labels]:
            raise InputError(f"loader.loss={self.loss}: loader.labels={self.labels} need {LOSSES[self.labels]}")
        if self.name == "tf_data" and self.resize == "reader":
            raise InputError(
                "loader.resize=reader: loader=tf_data takes loader.resize=ours only; give "
                "loader=directory or loader=generator"
            )


@group
class Optimizer:
    """`make` takes a learning rate and gives Keras's optimizer."""

    name: Text
    make: Target


@group
class Mixup:
    """How images of a batch are mixed: the shape of the Beta distribution, and with whom."""

    alpha: Above0 = 0.2
    classes: Literal["same", "any"] = "same"


@group
class Augmentation:
    """Layers that change images while training, and mixup after them."""

    name: Text
    layers: tuple[Target, ...]
    mixup: Mixup | None
