"""Ask members about pictures, and lay their answers out."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import track

from facemask_ensemble.data.pixels import load_pixels
from facemask_ensemble.ensemble import voting
from facemask_ensemble.errors import InputError

NO_ANSWER = ""


def predict_all(models: Mapping[str, Path], files: Sequence[Path], batch_size: int) -> np.ndarray:
    """Return every member's probabilities for every picture, float32 (members, n, classes).

    One model is in memory at a time; pictures are decoded once for each input size.
    """
    from facemask_ensemble.models.quiet import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.data.loaders import pictures
    from facemask_ensemble.models.classifier import load_classifier

    pixels: dict[int, np.ndarray] = {}
    probs = []
    for name in track(models, "Asking the members", transient=True, disable=not sys.stdout.isatty()):
        model = load_classifier(models[name])
        size = model.input_shape[1]
        if size not in pixels:
            pixels[size] = np.asarray(load_pixels(Path(), [str(file) for file in files], size))
        probs.append(model.predict(pictures(pixels[size], batch_size), verbose=0))
    return np.stack(probs).astype(np.float32)


def answers(
    probs: np.ndarray,
    members: Sequence[str],
    files: Sequence[Path],
    class_names: Sequence[str],
    rule: Callable[[np.ndarray], np.ndarray],
) -> pd.DataFrame:
    """Lay out one row a picture: path, prediction, confidence, agreement, every member's vote, tie.

    Args:
        probs: float (members, n, classes).
        members: names in the order of `probs`.
        files: the pictures, n of them.
        class_names: in label order.
        rule: voting rule; a picture that it gives no answer to gets an empty prediction, confidence and agreement.
    """
    names = np.array([*class_names, NO_ANSWER])  # the last is that of ABSTAIN, -1
    winners = rule(probs)
    columns = {
        "path": [str(file) for file in files],
        "prediction": names[winners],
        "confidence": voting.confidence(probs, winners).round(4),
        "agreement": voting.agreement(probs, winners).round(4),
    }
    votes = {f"vote_{member}": names[vote] for member, vote in zip(members, voting.votes(probs), strict=True)}
    return pd.DataFrame(columns | votes | {"tie": voting.ties(probs)})


def submission(
    answered: pd.DataFrame, unreadable: pd.DataFrame, class_names: Sequence[str]
) -> tuple[pd.DataFrame, str]:
    """Lay out the competition's file: `Id` and `Category`, one row a picture, sorted by Id.

    Args:
        answered: `path` and `prediction`.
        unreadable: `path` of the pictures without an answer; they are given the most frequent one.
        class_names: a class's place is its Category.

    Returns:
        The rows, and the most frequent answer: of several, the first in the order of the classes.

    Raises:
        InputError: two pictures share a name, and so an Id.
    """
    mute = answered["prediction"] == NO_ANSWER
    category = answered.loc[~mute, "prediction"].map(list(class_names).index)
    most = int(np.bincount(category).argmax()) if len(category) else 0
    unreadable = pd.concat([unreadable[["path"]], answered.loc[mute, ["path"]]])
    paths = [*answered.loc[~mute, "path"], *unreadable["path"]]
    rows = pd.DataFrame(
        {"Id": [Path(path).name for path in paths], "Category": [*category, *[most] * len(unreadable)]}
    ).sort_values("Id", ignore_index=True)
    twins = rows.loc[rows["Id"].duplicated(), "Id"]
    if len(twins):
        raise InputError(f"{len(twins)} pictures have the name of another, such as {twins.iloc[0]}: give one folder")
    return rows, class_names[most]
