"""Save the whole state of a training after every epoch, so that it can resume."""

import json
import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from facemask_ensemble.data.arrays import write_arrays
from facemask_ensemble.errors import InputError

CHECKPOINT = "checkpoint.npz"
Variables = Mapping[str, Sequence[keras.Variable]]


@dataclass
class Progress:
    """How far a training has come.

    `phase` is the number of the phase that is under way, `epoch` its finished epochs, `over` whether it has ended;
    `epochs` are the finished ones of all phases, `passes` how often the training images were gone through.
    `best_loss` and `best_epoch` are of the weights kept as the best; `controls` is what callbacks remember.
    """

    phase: int = 0
    epoch: int = 0
    over: bool = False
    epochs: int = 0
    passes: int = 0
    best_loss: float = math.inf
    best_epoch: int = 0
    controls: dict[str, dict[str, Any]] = field(default_factory=dict)


class Writer:
    """Write files beside the training, one after the other, in a thread; a fault is raised by the next `wait`.

    Used as a context: its end waits for what is being written, also after an error in the training.
    """

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(1, "checkpoint")
        self.begun: list[Future[None]] = []

    def __enter__(self) -> "Writer":
        """Be ready to write."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Wait for everything; the error that ended the training counts more than one of writing."""
        self.thread.shutdown()
        if kind is None:
            self.wait()

    def write(self, work: Callable[..., None], *arguments: object) -> None:
        """Call a function in the thread, unless one before it failed: a checkpoint may not name what is not there."""
        self.begun.append(self.thread.submit(_after, tuple(self.begun), work, *arguments))

    def wait(self) -> None:
        """Wait until all is written.

        Raises:
            OSError: the disk is full.
        """
        begun, self.begun = self.begun, []
        for work in begun:
            work.result()


def _after(earlier: Sequence[Future[None]], work: Callable[..., None], *arguments: object) -> None:
    for done in earlier:
        done.result()
    work(*arguments)


def state_of(progress: Progress, variables: Variables) -> dict[str, np.ndarray]:
    """Copy the whole state of a training."""
    arrays = {
        f"{name}/{number}": copy_of(variable)
        for name, group in variables.items()
        for number, variable in enumerate(group)
    }
    return {"progress": np.frombuffer(json.dumps(asdict(progress)).encode(), np.uint8), **arrays}


def copy_of(variable: keras.Variable) -> np.ndarray:
    """Copy a variable's value: a backend may hand out its own memory."""
    array = np.asarray(keras.ops.convert_to_numpy(variable))
    return array if array.flags.owndata else array.copy()


def save(folder: Path, state: Mapping[str, np.ndarray]) -> None:
    """Write `checkpoint.npz`; a training that is killed meanwhile leaves the one before."""
    write_arrays(folder / CHECKPOINT, state)


def load(folder: Path) -> tuple[Progress, dict[str, np.ndarray]]:
    """Read what `save` wrote; return a new state if there is no file.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return Progress(), {}
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        progress = Progress(**json.loads(arrays.pop("progress").tobytes()))
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError, TypeError, OSError) as error:
        raise InputError(
            f"{path} is damaged ({' '.join(str(error).split())[:100]}); delete it to train this member from the "
            "beginning, or restore a good copy"
        ) from error
    return progress, arrays


def restore(variables: Variables, arrays: Mapping[str, np.ndarray]) -> None:
    """Set variables to what was saved of them.

    Raises:
        InputError: they do not fit the saved training.
    """
    for name, group in variables.items():
        saved = [arrays.get(f"{name}/{number}") for number in range(len(group))]
        if f"{name}/{len(group)}" in arrays or any(
            array is None or array.shape != tuple(variable.shape) for variable, array in zip(group, saved, strict=True)
        ):
            raise InputError(
                f"{CHECKPOINT}: its {name} variables do not fit this network (another version of the program wrote "
                "it); delete it to train this member from the beginning"
            )
        for variable, array in zip(group, saved, strict=True):
            variable.assign(array)
