"""What makes a scene easy or hard."""

from collections.abc import Sequence
from dataclasses import dataclass

from facemask_ensemble.errors import InputError


@dataclass(frozen=True)
class Difficulty:
    """Bounds of the random choices.

    `figures` fewest and most; `height` of a face as a share of the image; `away` chance to be turned away; `overlap`
    most of a mouth's half of the face that a head in front may cover; `tilt` half tangent of the angle; `turn` of the
    head, 1 being three quarters; `extras` chance of glasses; `scarves` chance of something round the neck; `beards`
    chance that a beard may be chosen; `contrast` least distance of a mask's colour from the skin; `decoy` chance of a
    mask worn wrongly; `light` and `warmth` the spread of the lighting; `noise` in grey levels; `blur` its chance.
    """

    figures: tuple[int, int]
    height: tuple[float, float]
    away: float
    overlap: float
    tilt: float
    turn: float
    extras: float
    scarves: float
    beards: float
    contrast: int
    decoy: float
    light: float
    warmth: float
    noise: int
    blur: float


DIFFICULTIES = {
    "easy": Difficulty((2, 2), (0.47, 0.58), 0, 0.06, 0.05, 0.5, 0.3, 0.2, 0, 200, 0, 0.16, 0.14, 3, 0),
    "medium": Difficulty((2, 4), (0.27, 0.46), 0.1, 0.1, 0.09, 0.8, 0.4, 0.38, 1, 75, 0, 0.2, 0.16, 6, 0.1),
    "hard": Difficulty((2, 6), (0.19, 0.4), 0.14, 0.25, 0.14, 1, 0.5, 0.38, 1, 75, 0.12, 0.28, 0.18, 10, 0.3),
}
MOST_PEOPLE, SMALLEST = 8, 32


def difficulty_named(name: str) -> Difficulty:
    """Look a difficulty up."""
    if name not in DIFFICULTIES:
        raise InputError(f"difficulty={name}: must be one of {', '.join(DIFFICULTIES)}.")
    return DIFFICULTIES[name]


def figure_range(level: Difficulty, people: tuple[int, int] | None) -> tuple[int, int]:
    """Take the asked number of people, or else the difficulty's."""
    if people is None:
        return level.figures
    if not _is_range(people):
        wanted = f"give the fewest and the most, 1 <= fewest <= most <= {MOST_PEOPLE}, such as (2, 4)."
        raise InputError(f"people={people!r} is not a range: {wanted}")
    return people[0], people[1]


def _is_range(people: object) -> bool:
    if not isinstance(people, Sequence) or len(people) != 2 or not all(type(count) is int for count in people):
        return False
    return 1 <= people[0] <= people[1] <= MOST_PEOPLE


def check_drawable(seed: int, size: int) -> None:
    """Refuse an impossible seed or size."""
    if seed < 0:
        raise InputError(f"seed={seed} is negative: give 0 or more.")
    if size < SMALLEST:
        raise InputError(f"size={size} is too small for a face: give at least {SMALLEST} pixels.")
