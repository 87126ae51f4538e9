"""The frames in which the parts of one figure are painted."""

from dataclasses import dataclass

from facemask_ensemble.scenes.brush import Frame, loop, rotation
from facemask_ensemble.scenes.cast import Person

# Faces as right halves, 1 wide and from -1 (hairline and skull) to 1 (chin).
FACES = (
    loop((0, -1), (0.55, -0.9), (0.92, -0.52), (1, 0), (0.92, 0.45), (0.64, 0.82), (0.28, 0.98), (0, 1)),
    loop((0, -1), (0.58, -0.88), (0.95, -0.5), (1.02, 0.05), (0.96, 0.48), (0.72, 0.82), (0.34, 0.98), (0, 1)),
    loop((0, -1), (0.57, -0.9), (0.94, -0.55), (1, 0), (0.95, 0.45), (0.76, 0.8), (0.4, 0.98), (0, 1)),
    loop((0, -1), (0.58, -0.9), (0.96, -0.52), (1, -0.05), (0.86, 0.42), (0.54, 0.8), (0.22, 0.98), (0, 1)),
)


@dataclass(frozen=True)
class Pose:
    """Three frames around the middle of the face, in half heights of the face.

    `torso` is upright, `head` is tilted and 1 wide at the temples, `face` is tilted and follows the turn.
    """

    torso: Frame
    head: Frame
    face: Frame
    turn: float


def pose_of(person: Person, canvas: int) -> Pose:
    """Set the frames up on a canvas of this many pixels."""
    spot, tilt, turn = person.spot, rotation(person.tilt), person.turn / 2
    torso = Frame.at(complex(spot.x, spot.y) * canvas, spot.unit * canvas)
    pivot = 0.9j
    middle = pivot - tilt * pivot
    head = torso.within(middle, sx=person.width, turn=tilt)
    face = torso.within(middle + tilt * (0.15 * turn), sx=(1 - 0.1 * abs(turn)) * person.width / 0.76, turn=tilt)
    return Pose(torso, head, face, turn)
