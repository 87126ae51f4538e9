"""A heatmap on demand: of one picture, one member's or several members' together."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from facemask_ensemble.data.chunks import Chunk

if TYPE_CHECKING:
    from facemask_ensemble.ensemble.ensemble import Ensemble


def heatmap(
    ensemble: "Ensemble", chunk: Chunk, place: int, member: int, label: int, method: Callable[[Any], Any]
) -> np.ndarray | str:
    """Show where one member sees a class in one picture.

    The first one of a member takes seconds, since its network is traced; those that follow do not, as long as it stays
    in memory.

    Args:
        ensemble: that has the member.
        chunk: with the picture to draw on in `shown`.
        place: of the picture in the chunk; one that can be read.
        member: its place in the ensemble.
        label: the class to explain.
        method: of tf-keras-vis.

    Returns:
        The picture with the heatmap over it, uint8 (h, w, 3), or why there is none.
    """
    from facemask_ensemble.models.quiet import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.saliency.gallery import overlays_of

    own = ensemble.members[member]
    pixels = chunk.pixels[own.size][[place]]
    [drawn] = overlays_of(own.network.model(), pixels, [chunk.shown[place]], np.array([label]), method)
    return drawn


def heatmap_together(
    ensemble: "Ensemble", chunk: Chunk, place: int, answers: Mapping[int, int], method: Callable[[Any], Any]
) -> np.ndarray | str:
    """Show where several members looked in one picture: the mean of their heatmaps, each of its own answer.

    Args:
        ensemble: that has the members.
        chunk: with the picture to draw on in `shown`.
        place: of the picture in the chunk; one that can be read.
        answers: the members' own answers, by their places in the ensemble.
        method: of tf-keras-vis.

    Returns:
        The picture with the heatmap over it, uint8 (h, w, 3), or why there is none.
    """
    from facemask_ensemble.models.quiet import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.saliency.gallery import overlay_together

    members = [ensemble.members[member] for member in answers]
    return overlay_together(chunk, members, np.array(list(answers.values())), place, method)
