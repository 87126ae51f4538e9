"""The randomisation check: a member's map has to change if its weights are re-initialised.

Source: J. Adebayo, J. Gilmer, M. Muelly, I. Goodfellow, M. Hardt, B. Kim, "Sanity checks for saliency maps", NeurIPS
(2018): weights are re-initialised from the head down, each stage on top of the one before.
"""

import random
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.control_maps import edge_maps
from facemask_ensemble.explanation.heatmaps import Heatmaps
from facemask_ensemble.explanation.similarity import rank_correlation
from facemask_ensemble.models.classifier import FEATURES, backbone_layers
from facemask_ensemble.models.copying import copy_state
from facemask_ensemble.models.freezing import blocks

Explain = Callable[[keras.Model, NDArray[np.uint8], NDArray[np.integer]], Heatmaps]
HEAD, LAST_BLOCK, HALF, EVERYTHING = "head", "last block", "half of the blocks", "everything"
BOUND = 0.5  # similarity that may be left when everything is re-initialised
REPEATS = 3


def randomisation(
    model: keras.Model,
    pixels: NDArray[np.uint8],
    classes: NDArray[np.integer],
    methods: Mapping[str, Explain],
    maps: Mapping[str, Heatmaps],
    *,
    block_ends: str | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
    bound: float = BOUND,
) -> dict[str, dict[str, Any]]:
    """Compare each method's maps with those it draws when the head, the last block, half or all is re-initialised.

    One copy of the model is traced once; its weights are then assigned in place, for each repeat first new ones
    everywhere, the last stage, and then back what was learned. The model given is left as it is. What prepares the
    input is never re-initialised: it was not learned. One repeat can mislead: all maps of a network with a last map of
    2x2 cells turn the same way by chance.

    Args:
        model: flat graph with a layer `features`.
        pixels: uint8 (n, h, w, 3).
        classes: to explain, int (n,).
        methods: by name, what explains, such as `functools.partial(heatmaps, method=METHOD)`.
        maps: by the same names, what they drew for the model as it is.
        block_ends: names of the layers that end a block, as in the backbone's YAML; by default every layer with
            weights is one.
        repeats: how often everything is done with other new weights.
        seed: fixes the new weights.
        bound: mean similarity after everything is re-initialised above which a method fails.

    Returns:
        By method: `images` (compared), `without_map` (not compared), `repeats`, `stages`, `similarity` (of the last
        stage), `bound` and `passes`. Stages from the head to everything have `stage`, `similarity` (mean rank
        correlation), `by_repeat` (a mean for each) and `destroyed`, how many of images times repeats new maps are no
        explanation, which counts as similarity 0. Similarities and `passes` are None where no image is compared.
    """
    if repeats < 1:
        raise InputError(f"the randomisation check needs a repeat, received {repeats}: {REPEATS} are usual")
    stages = _stages(model, block_ends)
    copy = _reinitialised(model, seed)
    found: dict[str, dict[str, list[np.ndarray]]] = {name: {stage: [] for stage in stages} for name in methods}
    for repeat in range(repeats):
        if repeat:
            _assign(_reinitialised(model, seed, repeat), copy, {layer.name for layer in model.layers})
        for stage, kept in reversed(stages.items()):
            _assign(model, copy, kept)
            for name, explain in methods.items():
                found[name][stage].append(_compared(explain, copy, pixels, classes, maps[name]))
    return {name: _verdict(found[name], bound, len(pixels)) for name in methods}


def draw_edges(model: keras.Model, pixels: NDArray[np.uint8], classes: NDArray[np.integer]) -> Heatmaps:
    """Draw the edges of the images whatever the model: the planted method, which the check has to fail."""
    maps = edge_maps(pixels)
    return Heatmaps(maps, [None if one.any() else "the image has no edges" for one in maps])


def _stages(model: keras.Model, block_ends: str | None) -> dict[str, set[str]]:
    """Name by stage the layers that keep what they learned; a stage that would repeat another is left out."""
    if FEATURES not in [layer.name for layer in model.layers]:
        raise InputError(f"model {model.name!r} has no layer `{FEATURES}`: check a model trained by this project")
    weighted = [re.escape(layer.name) for layer in backbone_layers(model) if layer.weights]
    parts = blocks(model, "|".join(weighted) if block_ends is None else block_ends)
    counts = {HEAD: len(parts), LAST_BLOCK: len(parts) - 1, HALF: len(parts) // 2, EVERYTHING: 0}
    seen: dict[int, str] = {}
    for stage, count in reversed(counts.items()):
        seen.setdefault(count, stage)
    return {stage: {layer.name for part in parts[:count] for layer in part} for count, stage in reversed(seen.items())}


def _reinitialised(model: keras.Model, seed: int, repeat: int = 0) -> keras.Model:
    """Copy a model with new weights; Keras's initializers draw their seeds from Python's own generator."""
    before = random.getstate()
    random.seed((seed << 64) + repeat)  # any size will do; but shifted by 32, seed 1 begins as seed 0 in repeat 2
    try:
        copy = keras.models.clone_model(model)
    finally:
        random.setstate(before)
    _assign(model, copy, {one.name for one in model.layers if isinstance(one, keras.layers.Normalization)})
    return copy


def _assign(source: keras.Model, copy: keras.Model, names: Collection[str]) -> None:
    """Give layers the state of the source in place, so that a graph already traced computes with them."""
    layers = {layer.name: layer for layer in copy.layers}
    for layer in source.layers:
        if layer.name in names:
            copy_state(layer, layers[layer.name])


def _compared(
    explain: Explain, copy: keras.Model, pixels: NDArray[np.uint8], classes: NDArray[np.integer], old: Heatmaps
) -> NDArray[np.float64]:
    """Give the similarity of each image that had a map, nan where the new map is no explanation."""
    rows = [row for row, reason in enumerate(old.reasons) if reason is None]
    if not rows:
        return np.zeros(0)
    new = explain(copy, pixels[rows], classes[rows])
    destroyed = [reason is not None for reason in new.reasons]
    return np.where(destroyed, np.nan, rank_correlation(old.maps[rows], new.maps))


def _verdict(found: Mapping[str, list[np.ndarray]], bound: float, images: int) -> dict[str, Any]:
    stages = [{"stage": stage} | _mean(np.stack(similar)) for stage, similar in found.items()]
    repeats, compared = len(found[EVERYTHING]), len(found[EVERYTHING][0])
    last = stages[-1]["similarity"]
    return {
        "images": compared,
        "without_map": images - compared,
        "repeats": repeats,
        "stages": stages,
        "similarity": last,
        "bound": bound,
        "passes": None if last is None else last <= bound,
    }


def _mean(similar: NDArray[np.float64]) -> dict[str, Any]:
    """Average similarities (repeats, images)."""
    if not similar.size:
        return {"similarity": None, "by_repeat": None, "destroyed": 0}
    by_repeat = np.nan_to_num(similar).mean(axis=1)
    return {
        "similarity": float(by_repeat.mean()),
        "by_repeat": by_repeat.tolist(),
        "destroyed": int(np.isnan(similar).sum()),
    }
