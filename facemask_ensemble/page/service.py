"""The service of the page: an ensemble that answers for uploaded files, one caller at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from facemask_ensemble.data.chunks import read_chunks
from facemask_ensemble.data.decoding import ImageError
from facemask_ensemble.data.display_images import show
from facemask_ensemble.data.input_images import Item
from facemask_ensemble.page.card import Card
from facemask_ensemble.prediction.ensemble import Ensemble
from facemask_ensemble.report.encoding import encode
from facemask_ensemble.serving.heatmap import heatmap, heatmap_together
from facemask_ensemble.serving.uploads import Limits, ask, shown_name, upload
from facemask_ensemble.settings.task import Task

if TYPE_CHECKING:
    import pandas as pd

THUMBNAIL, SHOWN = 176, 720  # longest sides, pixels
IMAGE, BEHIND, OTHERS = -1, -2, -3  # in place of a member: no heatmap; those behind the answer; the others together


class Sent(NamedTuple):
    """A file that was sent: its name as the sender gave it, and where it lies."""

    name: str
    file: Path


@dataclass(frozen=True)
class Answered:
    """Files that were answered: the table of answers, probabilities (members, n, classes), small images as addresses.

    An image that cannot be read has no address.
    """

    sent: Sequence[Sent]
    table: "pd.DataFrame"
    probs: np.ndarray
    thumbnails: Sequence[str]

    @property
    def first(self) -> int:
        """Give the place of the first image that could be read, or 0."""
        return next((place for place, address in enumerate(self.thumbnails) if address), 0)


@dataclass(frozen=True)
class Desk:
    """An ensemble with its introduction, its ship card if it has one, what may be sent, and how heatmaps are made.

    `task` is what it is about.
    """

    ensemble: Ensemble
    introduction: str
    card: Card
    limits: Limits
    method: Callable[[Any], Any] | None
    task: Task

    def answer(self, sent: Sequence[Sent]) -> Answered:
        """Answer files, those beyond the limits with a reason."""
        chunk, probs, table = ask(self.ensemble, self._items(sent), THUMBNAIL)
        small = [
            "" if reason else encode(shown)["src"] for shown, reason in zip(chunk.shown, chunk.reasons, strict=True)
        ]
        return Answered(sent, table, probs, small)

    def rows(self, sent: Sequence[Sent], probabilities: bool) -> list[dict[str, Any]]:
        """Answer files with the fields of the table of `predict`, as JSON can hold them.

        What is `path` there is `file` here: gradio_client takes whatever has a `path` for a file to fetch.

        Args:
            sent: the files.
            probabilities: whether each row has `probabilities`, a class's by member and class, too.
        """
        _, probs, table = ask(self.ensemble, self._items(sent))
        named = table.rename(columns={"path": "file"})
        rows = [{str(key): _plain(value) for key, value in row.items()} for row in named.to_dict("records")]
        if probabilities:
            for place, row in enumerate(rows):
                row["probabilities"] = {
                    name: dict(zip(self.ensemble.class_names, map(_plain, own[place]), strict=True))
                    for name, own in zip(self.ensemble.names, probs, strict=True)
                    if not np.isnan(own[place]).any()
                }
        return rows

    def look(self, answered: Answered, place: int, member: int = IMAGE) -> np.ndarray | str:
        """Give an image as it is shown, with a member's heatmap of its own answer if one is named, or why not.

        For `BEHIND` and `OTHERS` it is the mean of several members' heatmaps.
        """
        [item] = self._items([answered.sent[place]])
        [chunk] = read_chunks(iter([item]), self.ensemble.sizes, partial(show, longest=SHOWN), 1)
        if chunk.reasons[0]:
            return chunk.reasons[0]
        if member == IMAGE or self.method is None:
            return chunk.shown[0]
        if member in (BEHIND, OTHERS):
            return heatmap_together(self.ensemble, chunk, 0, self.sides(answered, place)[member], self.method)
        label = int(answered.probs[member, place].argmax())
        return heatmap(self.ensemble, chunk, 0, member, label, self.method)

    def sides(self, answered: Answered, place: int) -> dict[int, dict[int, int]]:
        """Give the answers, by member, of those behind the ensemble's answer (`BEHIND`) and of the `OTHERS`."""
        own, prediction = answered.probs[:, place], answered.table["prediction"].iloc[place]
        sides = dict[int, dict[int, int]]({BEHIND: {}, OTHERS: {}})
        for member in np.flatnonzero(~np.isnan(own[:, 0])):
            label = int(own[member].argmax())
            sides[BEHIND if self.ensemble.class_names[label] == prediction else OTHERS][int(member)] = label
        return sides

    def _items(self, sent: Sequence[Sent]) -> list[Item]:
        return [Item(shown_name(one.name), partial(self._read, number, one)) for number, one in enumerate(sent)]

    def _read(self, number: int, sent: Sent) -> bytes:
        if number >= self.limits.images:
            raise ImageError(f"not answered: more than {self.limits.images} files at once; send fewer")
        try:
            data = sent.file.read_bytes()
        except OSError:
            raise ImageError("no longer stored; send it again") from None
        return upload(sent.name, data, self.limits).read()


def _plain(value: Any) -> Any:
    """Turn a cell into what JSON has, nan into nothing."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and np.isnan(value) else value
