"""How many members of a sweep train at a time: what cores, memory and GPUs allow."""

import os
from collections.abc import Mapping, Sequence

from omegaconf import OmegaConf

from facemask_ensemble.resources import usable_cores, usable_memory
from facemask_ensemble.training.devices import visible_gpus
from facemask_ensemble.training.sweep_jobs import labels_of

NETWORK = 2.0e9  # bytes: a process with TensorFlow, the largest of the seven and its graphs
PIXEL = 4500  # bytes of a network's layers for each pixel of a batch, kept for the way back
CHOSEN = "FACEMASK_ENSEMBLE_MEMBERS_AT_ONCE"


def members_at_once(swept: Mapping[str, str] | None, overrides: Sequence[str], image_size: int, batch_size: int) -> int:
    """Choose how many members train at a time, at least 1.

    No more than a core each, than fit into the memory that is free, than GPUs where there are any, and than there are
    members. Without a GPU a member takes `NETWORK` and `PIXEL` bytes for every pixel of a batch.

    The first answer holds for the processes that this one starts: the memory that they take is not counted again.

    Args:
        swept: the keys that an experiment sweeps over, each with its values: `{"backbone": "xception,resnet50v2"}`.
        overrides: of the command line, which may sweep over more.
        image_size: side of the input, pixels.
        batch_size: images a step.
    """
    if CHOSEN not in os.environ:
        members = len(labels_of([*(f"{key}={values}" for key, values in (swept or {}).items()), *overrides]))
        gpus = len(visible_gpus())
        most = gpus or usable_memory() // int(NETWORK + PIXEL * batch_size * image_size**2)
        os.environ[CHOSEN] = str(max(1, min(usable_cores(), most, members)))
    return int(os.environ[CHOSEN])


OmegaConf.register_new_resolver("members_at_once", members_at_once, replace=True)
