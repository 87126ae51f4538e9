"""Stop a majority vote early, once the remaining members cannot change it."""

from collections.abc import Callable, Sequence

import numpy as np

from facemask_ensemble.errors import InputError

Ask = Callable[[int, np.ndarray], np.ndarray]


def decided(votes: np.ndarray, left: int, classes: int) -> np.ndarray:
    """Mark the images whose winner is certain before the last votes are cast, bool (n,).

    A class has won when it is ahead of every other by more votes than are left. Level is not ahead: an image that may
    still end in a tie is not decided, since what breaks a tie may need every member's probabilities. With no vote left
    every image is decided.

    Args:
        votes: so far, int (k, n), class indices; k may be 0.
        left: votes to come.
        classes: number of classes.

    Raises:
        InputError: the votes are no class indices, or the number left is negative.
    """
    votes = np.asarray(votes)
    if votes.ndim != 2 or left < 0 or (votes.size and not 0 <= votes.min() <= votes.max() < classes):
        raise InputError(
            f"A decision needs votes of shape (members, images) for classes 0 to {classes - 1} and 0 or more left, "
            f"received {votes.shape} and {left}: give every member's class indices."
        )
    if not left or classes == 1:
        return np.ones(votes.shape[1], bool)
    counts = np.stack([(votes == label).sum(axis=0) for label in range(classes)])
    *_, second, first = np.sort(counts, axis=0)
    return np.asarray(first > second + left)


def ask_until_decided(ask: Ask, order: Sequence[int], images: int, classes: int) -> np.ndarray:
    """Ask one member after another about the images that are not decided yet.

    Args:
        ask: given a member's place and the images' places, int (m,), answers float (m, classes).
        order: the members' places, in the order in which they are asked.
        images: how many there are.
        classes: number of classes.

    Returns:
        Probabilities, float32 (members, n, classes); nan where a member was not asked.
    """
    probs = np.full((len(order), images, classes), np.nan, np.float32)
    votes = np.empty((len(order), images), np.int64)
    open_ = np.arange(images)
    for turn, member in enumerate(order):
        probs[member, open_] = ask(member, open_)
        votes[turn, open_] = probs[member, open_].argmax(axis=1)
        open_ = open_[~decided(votes[: turn + 1, open_], len(order) - turn - 1, classes)]
        if not len(open_):
            break
    return probs
