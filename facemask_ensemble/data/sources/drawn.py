"""Scenes drawn for the purpose."""

from pathlib import Path

from facemask_ensemble.data.listing import Listing


def scenes(
    folder: str | Path,
    count: int,
    size: int,
    difficulty: str,
    seed: int,
    people: tuple[int, int] | None = None,
) -> Listing:
    """Draw scenes into the folder, unless they lie there already, and list them."""
    from facemask_ensemble.scenes import CLASS_NAMES, draw_folder  # the other sources need no drawing

    target = Path(folder).absolute()
    rows = draw_folder(target, count, size=size, seed=seed, difficulty=difficulty, people=people)
    return Listing(target, tuple(CLASS_NAMES), rows[["path", "label"]].reset_index(drop=True))
