"""The heatmaps of an evaluation: drawn with one member in memory at a time, and measured."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.config import block_ends
from facemask_ensemble.data.boxes import Boxes, Regions
from facemask_ensemble.data.pixel_cache import load_pixels
from facemask_ensemble.ensemble import voting
from facemask_ensemble.evaluation.rule_predictions import Judged
from facemask_ensemble.explanation.consensus import share
from facemask_ensemble.explanation.control_maps import centre_map, random_maps
from facemask_ensemble.explanation.explanation_report import (
    TOGETHER,
    explanation_report,
    grounded,
    locate,
    rank,
    sample,
)
from facemask_ensemble.explanation.heatmaps import Heatmaps, heatmaps
from facemask_ensemble.explanation.overlay import enlarge
from facemask_ensemble.explanation.overlays import GRID
from facemask_ensemble.explanation.trust import measure_trust
from facemask_ensemble.models.classifier import load_classifier
from facemask_ensemble.settings.task import BoxWords

Method = Callable[[keras.Model], Any]


class Explained(NamedTuple):
    """What is known of n test images: `indices` in the split, int (n,), and the members' maps of their own answers.

    `maps` are float32 (members, n, GRID, GRID) in 0..1; `reasons`, by member, say for every image why there is none.
    `why` is the contents of explanation.json, None where no images were to be judged.
    """

    indices: NDArray[np.intp]
    maps: NDArray[np.float32]
    reasons: list[list[str | None]]
    why: dict[str, Any] | None

    def of(self, index: int) -> tuple[NDArray[np.float32], list[str | None]]:
        """Give the members' maps (members, GRID, GRID) and reasons of an image by its place in the split."""
        place = int(np.flatnonzero(self.indices == index)[0])
        return self.maps[:, place], [reasons[place] for reasons in self.reasons]


def explain(
    models: Mapping[str, Path],
    files: Sequence[Path],
    test: Judged,
    winners: NDArray[np.integer],
    class_names: Sequence[str],
    methods: Mapping[str, Method],
    *,
    shown: Sequence[int],
    words: BoxWords,
    boxes: Boxes | None = None,
    images: int = 0,
    trust: int = 0,
) -> Explained:
    """Draw every member's heatmaps of its own answers, and judge them.

    Args:
        models: name and model file of every member, in the order of `test.probs`.
        files: of all test images.
        test: what the members answered to them.
        winners: the vote's answers, int (n,).
        class_names: in label order.
        methods: by name, of tf-keras-vis; the first is the one whose maps are shown, the others are judged beside it.
        shown: places of images that are explained whether they are judged or not.
        words: what boxes hold, and which speak for a class.
        boxes: of all test images by path, where the dataset has them.
        images: how many test images are judged, drawn alike from all classes; 0: none.
        trust: how many of these go through `measure_trust`; 0: none.
    """
    judged = sample(test.labels, images)
    indices = np.union1d(np.asarray(shown, int), judged)
    places = np.searchsorted(indices, judged)
    votes = voting.votes(test.probs)[:, indices]
    court = _court(test, judged, class_names, boxes, words)
    main = next(iter(methods))
    explaining = {name: partial(heatmaps, method=method) for name, method in methods.items()}
    maps, reasons, trusted = [], [], {}
    for (name, file), answers in zip(_tracked(models), votes, strict=True):
        model = load_classifier(file)
        pixels = np.asarray(load_pixels(Path(), [str(files[index]) for index in indices], model.input_shape[1]))
        own = _on_grid(heatmaps(model, pixels, answers, methods[main]))
        maps.append(own.maps)
        reasons.append(own.reasons)
        seen, given = pixels[places], answers[places]
        court.hear(name, main, own.maps[places], [own.reasons[place] for place in places], given)
        for other in list(methods)[1:]:
            court.hear(name, other, *_on_grid(heatmaps(model, seen, given, methods[other])), given)
        if trust:
            some = sample(court.test.labels, trust)
            trusted[name] = measure_trust(model, seen[some], given[some], explaining, block_ends=block_ends(name))
    stacked = np.stack(maps)
    why = None
    if images:
        ranked = court.rule(main, stacked[:, places], votes[:, places], winners[judged], judged)
        about = {"methods": list(methods), "images": len(judged), "boxes": boxes is not None, "trusted": trust}
        why = explanation_report(main, court.rows, ranked, court.silent, trusted, words.plural, **about)
    return Explained(indices, stacked, reasons, why)


@dataclass
class _Court:
    """What maps are judged by, and the findings so far, so that no method's maps have to be kept."""

    test: Judged
    class_names: Sequence[str]
    regions: Regions | None
    kinds: Mapping[str, str]
    controls: Mapping[str, NDArray[np.floating]]
    rows: list[dict[str, Any]] = field(default_factory=list)
    silent: list[dict[str, Any]] = field(default_factory=list)

    def hear(
        self,
        name: str,
        method: str,
        maps: NDArray[np.floating],
        reasons: Sequence[str | None],
        answers: NDArray[np.integer],
    ) -> None:
        """Judge one member's maps by one method, where its answers are right."""
        right = answers == self.test.labels
        rows = grounded(maps, right, self.regions, self.test.labels, self.class_names, self.controls, self.kinds)
        self.rows += [{"member": name, "method": method, **row} for row in rows]
        if any(reasons):
            told = next(reason for reason in reasons if reason)
            count = sum(reason is not None for reason in reasons)
            self.silent.append({"member": name, "method": method, "count": count, "reason": told})

    def rule(
        self,
        method: str,
        maps: NDArray[np.floating],
        answers: NDArray[np.integer],
        winners: NDArray[np.integer],
        indices: NDArray[np.integer],
    ) -> dict[str, Any]:
        """Judge the maps together, and rank the images."""
        shared = share(maps, answers, winners)
        self.hear(TOGETHER, method, shared.consensus, (), winners)
        return rank(maps, answers, winners, self.test, self.regions, indices)


def _court(
    test: Judged, judged: NDArray[np.intp], class_names: Sequence[str], boxes: Boxes | None, words: BoxWords
) -> _Court:
    paths = [test.paths[index] for index in judged]
    controls = {
        "centre": np.repeat(centre_map(GRID, GRID)[None], len(judged), axis=0),
        "random": random_maps(len(judged), GRID, GRID, seed=0),
    }
    images = Judged(test.probs[:, judged], test.labels[judged], paths=paths)
    return _Court(images, class_names, locate(paths, boxes, words.kinds, GRID), words.evidence, controls)


def _on_grid(found: Heatmaps) -> Heatmaps:
    """Bring maps to GRID cells a side."""
    grid = [enlarge(one, GRID, GRID) for one in found.maps]
    return Heatmaps(np.stack(grid) if grid else np.zeros((0, GRID, GRID), np.float32), found.reasons)


def _tracked(models: Mapping[str, Path]) -> Iterable[tuple[str, Path]]:
    from rich.progress import track

    return track(models.items(), "Heatmaps", transient=True, disable=not sys.stdout.isatty())
