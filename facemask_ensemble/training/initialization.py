"""The network that a training starts from: random, pretrained, or another member's with a fresh head."""

from dataclasses import dataclass
from pathlib import Path

import hydra
import keras

from facemask_ensemble import tracking
from facemask_ensemble.models.classifier import build_classifier
from facemask_ensemble.models.initialization import RANDOM, of_member
from facemask_ensemble.models.transfer import start_from_member
from facemask_ensemble.settings.groups import Backbone
from facemask_ensemble.weights import is_member, member_run


@dataclass(frozen=True)
class Start:
    """Where the weights come from: a word for people, and the file of the member where it is one."""

    init: str
    member_file: Path | None = None


def start_of(weights: str | None, store: tracking.Store, cache: Path) -> Start:
    """Say where weights come from, and fetch those of a run.

    Args:
        weights: as `backbone.weights` has them.
        store: that a run is looked for in.
        cache: for a model from a server.

    Raises:
        InputError: the run is not a finished member, or its model cannot be downloaded.
    """
    if weights is None:
        return Start(RANDOM)
    run_id = member_run(weights)
    if run_id is None:
        return Start(Path(weights).name, Path(weights) if is_member(weights) else None)
    (member,) = tracking.finished_members(store, run_ids=run_id)
    file = tracking.artifact(store, run_id, "model.keras", cache)
    return Start(of_member(member.tags["dataset"], run_id, member.tags["init"]), file)


def build(backbone: Backbone, image_size: int, classes: int, member_file: Path | None = None) -> keras.Model:
    """Build a classifier.

    Args:
        backbone: the architecture.
        image_size: side of the square input, pixels.
        classes: number of classes.
        member_file: a saved member to take the backbone from.
    """
    shape = (image_size, classes, backbone.dropout)
    pooling, hidden = backbone.head.pooling, backbone.head.hidden
    if member_file is not None:
        return start_from_member(member_file, backbone.name, *shape, pooling=pooling, hidden=hidden)
    features = hydra.utils.instantiate(backbone.features.call)
    return build_classifier(backbone.name, features, *shape, pooling=pooling, hidden=hidden)
