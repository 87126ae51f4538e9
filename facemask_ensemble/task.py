"""Tasks by their names, as runs and shipped ensembles record them."""

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.config import options, read_choice
from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.task import Task


def task_named(name: str) -> Task:
    """Make a task by its name.

    Raises:
        InputError: this installation has no such task.
    """
    if name not in options("task"):
        raise InputError(f"task={name}: there is no such task; choose one of {', '.join(options('task'))}")
    return read_choice(Task, "task", name)


def chosen_task(chosen: Task | None, recorded: str) -> Task:
    """Give the task of the command; without one, the task that was recorded with the members."""
    return task_named(recorded) if chosen is None else chosen


def example_image(side: int = 64) -> NDArray[np.uint8]:
    """Draw red growing to the right and green growing downwards, uint8 (side, side, 3)."""
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    red, green = np.broadcast_to(ramp, (side, side)), np.broadcast_to(ramp[:, None], (side, side))
    return np.stack([red, green, np.full((side, side), 128, np.uint8)], axis=2)
