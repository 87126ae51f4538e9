"""Where the figures stand, so that no face is lost behind another head."""

from dataclasses import dataclass

from facemask_ensemble.scenes.difficulty import Difficulty
from facemask_ensemble.scenes.rng import Rng

# Half widths of a face and of a head with its hair, and the height of a hat, in half heights of the face.
FACE_WIDTH, HEAD_WIDTH, HEAD_TOP = 0.76, 1.0, 1.5


@dataclass(frozen=True)
class Spot:
    """The middle of a face and half its height, as shares of the image."""

    x: float
    y: float
    unit: float


def arrange(rng: Rng, count: int, level: Difficulty) -> list[Spot]:
    """Place the figures, from the back to the front; who is in front has the lower chin."""
    rows = 1 if count <= 2 or (count == 3 and rng.chance(0.7)) or (count == 4 and rng.chance(0.2)) else 2
    for attempt in range(12):
        spots = _place(rng, count, rows, level, 1 - 0.03 * attempt)
        if attempt == 11 or hidden_share(spots) <= level.overlap:
            break
    return spots


def _place(rng: Rng, count: int, rows: int, level: Difficulty, shrink: float) -> list[Spot]:
    back = 0 if rows == 1 else count // 2
    band = (0.4, 0.52) if rows == 1 else (0.58, 0.66)
    spots = _row(rng, count - back, band, level, shrink)
    if back:
        spots += _row(rng, back, (0.24, 0.3), level, shrink * 0.94)
    return sorted(spots, key=lambda spot: spot.y + spot.unit)


def _row(rng: Rng, count: int, band: tuple[float, float], level: Difficulty, shrink: float) -> list[Spot]:
    slot = 1 / count
    largest = min(level.height[1], 1.16 * slot if band[0] == 0.4 else min(0.92 * slot, 0.33)) * shrink
    smallest = min(level.height[0], 0.85 * largest)
    y = rng.between(*band)
    spots = []
    for i in range(count):
        unit = rng.between(smallest, largest) / 2
        room = max(0.012, slot / 2 - unit * 0.9)
        x = (i + 0.5) * slot + rng.between(-room, room)
        edge = unit * FACE_WIDTH + 0.02
        up = rng.between(-0.3, 0.3) * unit
        spots.append(Spot(min(max(x, edge), 1 - edge), max(y + up, unit * 1.25), unit))
    return spots


def hidden_share(spots: list[Spot]) -> float:
    """Find the largest share of the lower half of a face that the head of one figure in front of it covers."""
    worst = 0.0
    for i, behind in enumerate(spots):
        for front in spots[i + 1 :]:
            across = behind.unit * FACE_WIDTH + front.unit * HEAD_WIDTH - abs(behind.x - front.x)
            down = behind.y + behind.unit - (front.y - front.unit * HEAD_TOP)
            if across > 0 and down > 0:
                across = min(across, 2 * behind.unit * FACE_WIDTH)
                down = min(down, behind.unit)
                worst = max(worst, across * down / (2 * behind.unit**2 * FACE_WIDTH))
    return worst
