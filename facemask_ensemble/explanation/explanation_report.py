"""Measurements of the members' heatmaps, as the contents of explanation.json."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.data.boxes import ANY, Boxes, Regions, regions_of
from facemask_ensemble.evaluation.rule_predictions import Judged
from facemask_ensemble.evaluation.verdict import plain
from facemask_ensemble.explanation.consensus import overlap, share
from facemask_ensemble.explanation.localization import EVERY_CLASS, energy_in, ground, points_at

TOGETHER = "winners together"
LISTED = 12  # images of each ranking
SURE = 0.05  # p-value below which a difference to a control is said to be one
CONTROLS = {"centre": "the middle of the image", "random": "smooth noise"}
Controls = Mapping[str, NDArray[np.floating]]


def sample(labels: NDArray[np.integer], count: int, seed: int = 0) -> NDArray[np.intp]:
    """Draw so many images, as even over the classes as they allow; give their places, int (m,), in order."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    turns = np.zeros(len(labels), int)
    for label in np.unique(labels):
        of_class = labels[shuffled] == label
        turns[of_class] = np.arange(of_class.sum())
    drawn: NDArray[np.intp] = np.sort(shuffled[np.argsort(turns, kind="stable")[:count]])
    return drawn


def locate(paths: Sequence[str], boxes: Boxes | None, kinds: Iterable[str], side: int) -> Regions | None:
    """Mark the boxes of images on maps of `side` cells, by kind; None where the dataset has no boxes."""
    return None if boxes is None else regions_of([boxes.get(path, ()) for path in paths], kinds, side, side)


def grounded(
    maps: NDArray[np.floating],
    right: NDArray[np.bool_],
    regions: Regions | None,
    labels: NDArray[np.integer],
    class_names: Sequence[str],
    controls: Controls,
    kinds: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Judge maps, (n, h, w), of the images that are answered right, by the boxes; [] without any."""
    if regions is None or not right.any():
        return []
    chosen = {kind: marked[right] for kind, marked in regions.items()}
    classes = [class_names[label] for label in labels[right]]
    return ground(maps[right], chosen, classes, {name: drawn[right] for name, drawn in controls.items()}, kinds)


def rank(
    maps: NDArray[np.floating],
    answers: NDArray[np.integer],
    winners: NDArray[np.integer],
    test: Judged,
    regions: Regions | None,
    indices: NDArray[np.integer],
) -> dict[str, Any]:
    """Rank images by what the members' maps say together.

    Args:
        maps: (members, n, h, w), each of the member's own answer; all zero where there is none.
        answers: of the members, int (members, n).
        winners: the vote's, int (n,).
        test: the same n images.
        regions: of their boxes, or None.
        indices: by which the ranking names the n images, int (n,).

    Returns:
        `wrong_reason` (None without boxes): `right`, how many images the vote answers right, with a map and a box to
        see; `off`, of how many the consensus has its peak off every box; and `images`, those, the least energy in
        boxes first, each with `index` and `energy`. `different_reasons`: `agreed`, how many images all members give
        the same right answer to; `overlap`, the mean share of mass that two members' maps of them have in common; and
        `images`, those of the least, each with `index` and `overlap`. `lost`: the images answered wrong, those of
        the most votes first, each with `index`.
    """
    shared = share(maps, answers, winners)
    right, seen = winners == test.labels, shared.consensus.any(axis=(1, 2))
    agreed = right & (answers == winners).all(axis=0)
    common = overlap(maps)
    listed = np.flatnonzero(agreed & ~np.isnan(common))
    first = listed[np.argsort(common[listed], kind="stable")]
    lost = np.flatnonzero(~right)
    behind = (answers == winners).sum(axis=0)
    return {
        "wrong_reason": None if regions is None else _wrong_reasons(shared.consensus, right & seen, regions, indices),
        "different_reasons": {
            "agreed": len(listed),
            "overlap": float(common[listed].mean()) if len(listed) else None,
            "images": [{"index": int(indices[place]), "overlap": float(common[place])} for place in first[:LISTED]],
        },
        "lost": [{"index": int(indices[place])} for place in lost[np.argsort(-behind[lost], kind="stable")][:LISTED]],
    }


def beyond_controls(rows: Sequence[Mapping[str, Any]], plural: str) -> dict[str, Any] | None:
    """Count the members that point at boxes more often than the controls do, and how many do so significantly.

    Args:
        rows: what `ground` gives, with `member` and `method`, of single members and one method.
        plural: what the boxes hold.

    Returns:
        `members`, how many were judged; by control `above`, `sure`, `below` and `significantly_below`, counts of them;
        and the `sentence`. None if no member was judged.
    """
    judged = [row for row in rows if row["class"] == EVERY_CLASS and row["images"]]
    if not judged:
        return None
    found = {control: _beyond(judged, control) for control in CONTROLS}
    centre, noise = found["centre"], found["random"]
    less = [
        f" {one['below']} point there less often than {CONTROLS[control]} ({one['significantly_below'] or 'none'} "
        "significantly)."
        for control, one in found.items()
        if one["below"]
    ]
    sentence = (
        f"The maps of {centre['above']} of {len(judged)} members point at the {plural} of their answer more often than "
        f"{CONTROLS['centre']} does ({centre['sure'] or 'none'} significantly), and those of {noise['above']} more "
        f"often than {CONTROLS['random']} does ({noise['sure'] or 'none'} significantly).{''.join(less)} "
        f"Significant means p < {SURE} in an exact McNemar test."
    )
    return {"members": len(judged), **found, "sentence": sentence}


def _beyond(judged: Sequence[Mapping[str, Any]], control: str) -> dict[str, int]:
    better = [row["pointing"] - row["controls"][control]["pointing"] for row in judged]
    sure = [row["controls"][control]["p_value"] < SURE for row in judged]
    return {
        "above": sum(more > 0 for more in better),
        "sure": sum(more > 0 and known for more, known in zip(better, sure, strict=True)),
        "below": sum(more < 0 for more in better),
        "significantly_below": sum(more < 0 and known for more, known in zip(better, sure, strict=True)),
    }


def explanation_report(
    main: str,
    rows: Sequence[Mapping[str, Any]],
    ranked: Mapping[str, Any],
    silent: Sequence[Mapping[str, Any]],
    trust: Mapping[str, Any],
    plural: str,
    **about: Any,
) -> dict[str, Any]:
    """Put the findings together, without nan.

    Args:
        main: the method whose maps are shown and ranked.
        rows: what `ground` gives, each with `member` and `method`.
        ranked: what `rank` gives.
        silent: by member and method, how many maps explain nothing (`count`), and the first `reason`.
        trust: by member, what `measure_trust` gives; may be empty.
        plural: what the boxes hold.
        about: what else the page tells.
    """
    single = [row for row in rows if row["method"] == main and row["member"] != TOGETHER]
    return plain(
        {
            "method": main,
            **about,
            "grounding": list(rows),
            "beyond_controls": beyond_controls(single, plural),
            **ranked,
            "silent": list(silent),
            "trust": dict(trust),
        }
    )


def _wrong_reasons(
    consensus: NDArray[np.floating], right: NDArray[np.bool_], regions: Regions, indices: NDArray[np.integer]
) -> dict[str, Any]:
    boxed = right & regions[ANY].any(axis=(1, 2))
    off = np.flatnonzero(boxed & ~points_at(consensus, regions[ANY]))
    energy = energy_in(consensus[off], regions[ANY][off])
    order = np.argsort(energy, kind="stable")
    return {
        "right": int(boxed.sum()),
        "off": len(off),
        "images": [{"index": int(indices[off[place]]), "energy": float(energy[place])} for place in order[:LISTED]],
    }
