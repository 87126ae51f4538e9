"""Choose the heatmap method to trust for each member, and give reasons against the others."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.control_maps import centre_map, random_maps
from facemask_ensemble.explanation.curves import Predict, curves
from facemask_ensemble.explanation.faithfulness import summarise
from facemask_ensemble.explanation.heatmaps import SMALLEST_USEFUL, Heatmaps
from facemask_ensemble.explanation.randomisation import REPEATS, Explain, randomisation
from facemask_ensemble.explanation.stability import stability
from facemask_ensemble.explanation.surrogate import last_map_size
from facemask_ensemble.explanation.trust_verdict import judge

CENTRE, RANDOM = "centre", "random"


def measure_trust(
    model: keras.Model,
    pixels: NDArray[np.uint8],
    classes: NDArray[np.integer],
    methods: Mapping[str, Explain],
    *,
    predict: Predict | None = None,
    block_ends: str | None = None,
    steps: int = 8,
    repeats: int = REPEATS,
    batch_size: int = 32,
    draws: int = 10_000,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure each method's maps for one member, and say which method to trust.

    An image takes 2 (steps - 1) (methods + 2) + 7 answers, and with each method 5 + 4 repeats maps. The maps of the
    images as they are, (methods + 2, n, h, w) of four bytes, are in memory at once.

    Args:
        model: the member, flat graph from raw RGB pixels to probabilities; it is left as it is.
        pixels: uint8 (n, h, w, 3).
        classes: to explain, int (n,), such as the member's own answers.
        methods: by name, what explains: `functools.partial(heatmaps, method=METHOD)`, METHOD of tf-keras-vis.
        predict: from uint8 (k, h, w, 3) to the member's probabilities; by default the model itself.
        block_ends: as in the backbone's YAML; by default every layer with weights is a block.
        steps: of the deletion and insertion curves.
        repeats: of the randomisation check.
        batch_size: altered images answered at once.
        draws: of the bootstrap.
        seed: fixes control maps, new weights and the bootstrap.
        progress: told `maps`, `faithfulness`, `randomisation` and `stability` when each is done.

    Returns:
        `images`; `silent`, by method how many images have no map by reason; `faithfulness`, of `summarise`;
        `randomisation` and `stability`, of the functions of that name; `trust`, of `judge`. No value is nan.
    """
    _refuse_wrong(pixels, methods)
    tell = progress or _say_nothing
    ask = predict or model.predict_on_batch
    maps = {name: explain(model, pixels, classes) for name, explain in methods.items()}
    tell("maps")
    controls = _controls(model, pixels, seed)
    found = curves(ask, pixels, classes, maps | controls, steps=steps, batch_size=batch_size, seed=seed)
    faithful = summarise(found, list(controls), draws=draws, seed=seed)
    tell("faithfulness")
    randomised = randomisation(model, pixels, classes, methods, maps, block_ends=block_ends, repeats=repeats, seed=seed)
    tell("randomisation")
    stable = stability(model, ask, pixels, classes, methods, maps, batch_size=batch_size)
    tell("stability")
    silent = {name: dict(Counter(reason for reason in one.reasons if reason)) for name, one in maps.items()}
    return {
        "images": len(pixels),
        "silent": silent,
        "faithfulness": faithful,
        "randomisation": randomised,
        "stability": stable,
        "trust": judge(faithful, randomised, stable, silent),
    }


def trust_table(measured: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Lay out a row for every member and method: `member`, `method`, and what `judge` says of the method.

    Args:
        measured: by member, what `measure_trust` gives.
    """
    return [
        {"member": member, "method": method, **row}
        for member, one in measured.items()
        for method, row in one["trust"]["methods"].items()
    ]


def _controls(model: keras.Model, pixels: NDArray[np.uint8], seed: int) -> dict[str, Heatmaps]:
    """Draw the control maps, the noise as coarse as the member's own maps."""
    count, height, width = pixels.shape[:3]
    rows, columns = (max(side, SMALLEST_USEFUL) for side in last_map_size(model, height, width))
    drawn = {
        RANDOM: random_maps(count, height, width, seed, (rows, columns)),
        CENTRE: np.broadcast_to(centre_map(height, width), (count, height, width)),
    }
    return {name: Heatmaps(maps, [None] * count) for name, maps in drawn.items()}


def _say_nothing(part: str) -> None:
    """Take the news of a part and drop it."""


def _refuse_wrong(pixels: NDArray[np.uint8], methods: Mapping[str, Explain]) -> None:
    if pixels.ndim != 4 or not len(pixels):
        raise InputError(f"pixels are uint8 (n, h, w, 3) of an image or more, received {pixels.shape}: pass some")
    if not methods or {CENTRE, RANDOM} & methods.keys():
        raise InputError(
            f"methods have names other than the controls {CENTRE} and {RANDOM}, received "
            f"{', '.join(methods) or 'none'}: pass at least one, such as gradcam"
        )
