"""A heatmap on demand: of one image, one member's or several members' together."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from facemask_ensemble.data.chunks import Chunk

if TYPE_CHECKING:
    from facemask_ensemble.prediction.ensemble import Ensemble


def heatmap(
    ensemble: "Ensemble", chunk: Chunk, place: int, member: int, label: int, method: Callable[[Any], Any]
) -> np.ndarray | str:
    """Show where one member sees a class in one image.

    The first one of a member takes seconds, since its network is traced; those that follow do not, as long as it stays
    in memory.

    Args:
        ensemble: that has the member.
        chunk: with the image to draw on in `shown`.
        place: of the image in the chunk; one that can be read.
        member: its place in the ensemble.
        label: the class to explain.
        method: of tf-keras-vis.

    Returns:
        The image with the heatmap over it, uint8 (h, w, 3), or why there is none.
    """
    from facemask_ensemble.tensorflow_import import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.explanation.overlays import overlays_of

    own = ensemble.members[member]
    pixels = chunk.pixels[own.size][[place]]
    [drawn] = overlays_of(own.network.model(), pixels, [chunk.shown[place]], np.array([label]), method)
    return drawn


def heatmap_together(
    ensemble: "Ensemble", chunk: Chunk, place: int, answers: Mapping[int, int], method: Callable[[Any], Any]
) -> np.ndarray | str:
    """Show where several members looked in one image: the mean of their heatmaps, each of its own answer.

    Args:
        ensemble: that has the members.
        chunk: with the image to draw on in `shown`.
        place: of the image in the chunk; one that can be read.
        answers: the members' own answers, by their places in the ensemble.
        method: of tf-keras-vis.

    Returns:
        The image with the heatmap over it, uint8 (h, w, 3), or why there is none.
    """
    from facemask_ensemble.tensorflow_import import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.explanation.overlays import overlay_together

    members = [ensemble.members[member] for member in answers]
    return overlay_together(chunk, members, np.array(list(answers.values())), place, method)
