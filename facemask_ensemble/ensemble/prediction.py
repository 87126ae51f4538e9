"""Ask members about pictures, and lay their answers out."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import track

from facemask_ensemble.data.pixels import load_pixels
from facemask_ensemble.ensemble import voting


def predict_all(models: Mapping[str, Path], files: Sequence[Path], batch_size: int) -> np.ndarray:
    """Return every member's probabilities for every picture, float32 (members, n, classes).

    One model is in memory at a time; pictures are decoded once for each input size.
    """
    from facemask_ensemble.models.quiet import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.models.classifier import load_classifier

    pixels: dict[int, np.ndarray] = {}
    probs = []
    for name in track(models, "Asking the members", transient=True, disable=not sys.stdout.isatty()):
        model = load_classifier(models[name])
        size = model.input_shape[1]
        if size not in pixels:
            pixels[size] = load_pixels(Path(), [str(file) for file in files], size)
        probs.append(model.predict(pixels[size], batch_size=batch_size, verbose=0))
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
        rule: voting rule.
    """
    names = np.array(class_names)
    winners = rule(probs)
    columns = {
        "path": [str(file) for file in files],
        "prediction": names[winners],
        "confidence": voting.confidence(probs, winners).round(4),
        "agreement": voting.agreement(probs, winners).round(4),
    }
    votes = {f"vote_{member}": names[vote] for member, vote in zip(members, voting.votes(probs), strict=True)}
    return pd.DataFrame(columns | votes | {"tie": voting.ties(probs)})
