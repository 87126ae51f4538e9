"""Heatmaps as columns of a table of answers: the chosen member, and the image as text."""

import base64
import io
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import hydra
import numpy as np
import pandas as pd
from PIL import Image

from facemask_ensemble.config import heatmap_method
from facemask_ensemble.data.chunks import Chunk
from facemask_ensemble.serving.heatmap import heatmap
from facemask_ensemble.serving.uploads import one_at_a_time

if TYPE_CHECKING:
    from facemask_ensemble.prediction.ensemble import Ensemble

COLUMNS = ("heatmap", "heatmap_member", "heatmap_reason")
NOT_ASKED = "not asked, because the other members had decided; give votes=all to ask all members"
METHOD = "gradcam"


def explained(
    ensemble: "Ensemble", chunk: Chunk, probs: np.ndarray, answers: Sequence[str], member: int | None
) -> pd.DataFrame:
    """Draw a heatmap an image, of a member's own answer.

    Args:
        ensemble: that was asked.
        chunk: of n images, with those to draw on.
        probs: float (members, n, classes); nan where a member was not asked.
        answers: of the vote, n; "" where there is none.
        member: its place; None for the most certain of those that gave the answer of the vote.

    Returns:
        `heatmap`, PNG in base64, `heatmap_member`, and `heatmap_reason` where there is none, a row an image.
    """
    method = _method()
    rows: list[tuple[str | None, str | None, str]] = []
    for place, (why, answer) in enumerate(zip(chunk.reasons, answers, strict=True)):
        if why:
            rows.append((None, None, why))
            continue
        own = probs[:, place]
        who = spokesman(own, list(ensemble.class_names).index(answer) if answer else None) if member is None else member
        drawn: np.ndarray | str = NOT_ASKED
        if not np.isnan(own[who, 0]):
            with one_at_a_time:
                drawn = heatmap(ensemble, chunk, place, who, int(own[who].argmax()), method)
        map_, reason = (None, drawn) if isinstance(drawn, str) else (_png(drawn), "")
        rows.append((map_, ensemble.names[who], reason))
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)  # strings would turn None into nan


def spokesman(probs: np.ndarray, label: int | None) -> int:
    """Choose the most certain member among those that answer a class; without a class, among all.

    Args:
        probs: of the members for one image, (members, classes); nan where one was not asked.
        label: the class.
    """
    known = np.nan_to_num(probs, nan=-1)
    if label is None:
        return int(known.max(axis=1).argmax())
    return int(np.where(known.argmax(axis=1) == label, 1 + known[:, label], known[:, label]).argmax())


@cache
def _method() -> Callable[[Any], Any]:
    method: Callable[[Any], Any] = hydra.utils.instantiate(heatmap_method(METHOD))
    return method


def _png(pixels: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()
