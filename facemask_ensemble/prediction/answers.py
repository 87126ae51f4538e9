"""Get the members' answers about images, and arrange them in rows."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import track

from facemask_ensemble.data.pixel_cache import load_pixels
from facemask_ensemble.ensemble import voting
from facemask_ensemble.errors import InputError

NO_ANSWER = ""


def predict_all(models: Mapping[str, Path], files: Sequence[Path], batch_size: int) -> np.ndarray:
    """Return every member's probabilities for every image, float32 (members, n, classes).

    One model is in memory at a time; images are decoded once for each input size.
    """
    from facemask_ensemble.tensorflow_import import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.data.loaders import images
    from facemask_ensemble.models.classifier import load_classifier

    pixels: dict[int, np.ndarray] = {}
    probs = []
    for name in track(models, "Asking the members", transient=True, disable=not sys.stdout.isatty()):
        model = load_classifier(models[name])
        size = model.input_shape[1]
        if size not in pixels:
            pixels[size] = np.asarray(load_pixels(Path(), [str(file) for file in files], size))
        probs.append(model.predict(images(pixels[size], batch_size), verbose=0))
    return np.stack(probs).astype(np.float32)


def answers(
    probs: np.ndarray,
    members: Sequence[str],
    names: Sequence[str],
    class_names: Sequence[str],
    rule: Callable[[np.ndarray], np.ndarray],
    reasons: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Lay out one row an image: path, prediction, confidence, agreement, every member's vote, tie, reason.

    Args:
        probs: float (members, n, classes); nan where a member was not asked, because the others had decided a majority
            or because the image cannot be read.
        members: names in the order of `probs`.
        names: of the images, n of them.
        class_names: in label order.
        rule: voting rule; an image that it gives no answer to gets an empty prediction, confidence and agreement.
        reasons: why an image cannot be read, "" where it can; None where all can.
    """
    probs, labels = np.asarray(probs), np.array([*class_names, NO_ANSWER])  # the last is that of ABSTAIN, -1
    asked, images = ~np.isnan(probs[:, :, 0]), probs.shape[1]
    winners = np.full(images, voting.ABSTAIN)
    confidence, agreement = np.full((2, images), np.nan)
    tie = np.zeros(images, bool)
    for who, places in _by_members_asked(asked):
        given = probs[who][:, places]
        winners[places] = rule(given) if who.all() else voting.majority(given)
        confidence[places] = voting.confidence(given, winners[places])
        agreement[places] = voting.agreement(given, winners[places])
        tie[places] = voting.ties(given)
    columns = {
        "path": list(names),
        "prediction": labels[winners],
        "confidence": confidence.round(4),
        "agreement": agreement.round(4),
    }
    votes = np.where(asked, probs.argmax(axis=2), voting.ABSTAIN)
    columns |= {f"vote_{member}": labels[vote] for member, vote in zip(members, votes, strict=True)}
    return pd.DataFrame(columns | {"tie": tie, "reason": [""] * images if reasons is None else list(reasons)})


def winners_of(rows: pd.DataFrame, class_names: Sequence[str]) -> np.ndarray:
    """Give the predictions of `answers` as class indices, int (n,), `ABSTAIN` for none."""
    places = {name: label for label, name in enumerate(class_names)} | {NO_ANSWER: voting.ABSTAIN}
    return rows["prediction"].map(places).to_numpy(int)


def _by_members_asked(asked: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield which members were asked, bool (members,), and the places of the images they were asked about."""
    kinds, which = np.unique(asked, axis=1, return_inverse=True)
    for number, who in enumerate(kinds.T):
        if who.any():
            yield who, np.flatnonzero(which.reshape(-1) == number)


def submission(
    answered: pd.DataFrame, unreadable: pd.DataFrame, class_names: Sequence[str], columns: tuple[str, str]
) -> tuple[pd.DataFrame, str]:
    """Lay out a competition's file: an image's name and the number of its class, one row an image, sorted by name.

    Args:
        answered: `path` and `prediction`.
        unreadable: `path` of the images without an answer; they are given the most frequent one.
        class_names: a class's place is its number.
        columns: what name and number are called.

    Returns:
        The rows, and the most frequent answer: of several, the first in the order of the classes.

    Raises:
        InputError: two images share a name.
    """
    image, label = columns
    mute = answered["prediction"] == NO_ANSWER
    category = answered.loc[~mute, "prediction"].map(list(class_names).index)
    most = int(np.bincount(category).argmax()) if len(category) else 0
    unreadable = pd.concat([unreadable[["path"]], answered.loc[mute, ["path"]]])
    paths = [*answered.loc[~mute, "path"], *unreadable["path"]]
    rows = pd.DataFrame(
        {image: [Path(path).name for path in paths], label: [*category, *[most] * len(unreadable)]}
    ).sort_values(image, ignore_index=True)
    twins = rows.loc[rows[image].duplicated(), image]
    if len(twins):
        raise InputError(f"{len(twins)} images have the name of another, such as {twins.iloc[0]}: give one folder")
    return rows, class_names[most]
