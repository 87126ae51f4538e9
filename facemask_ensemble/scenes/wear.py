"""Glasses, hats, headbands and veils."""

import numpy as np

from facemask_ensemble.scenes.brush import Brush, loop, smooth
from facemask_ensemble.scenes.cast import Person
from facemask_ensemble.scenes.palette import WHITE, darker, glaze, lighter
from facemask_ensemble.scenes.pose import Pose

LENS = loop((0, -0.16), (0.18, -0.16), (0.24, 0.0), (0.14, 0.16), (0, 0.18))
RING = np.append(LENS, LENS[0])
BRIDGE = smooth([(-0.09, -0.08), (0, -0.11), (0.09, -0.08)], closed=False)
TEMPLE = smooth([(0.52, -0.1), (0.76, -0.1)], closed=False)
DOME = loop((0, -1.42), (0.62, -1.34), (1.06, -0.9), (1.14, -0.48), (0.6, -0.55), (0, -0.58))
CUFF = loop((0, -0.76), (0.7, -0.7), (1.14, -0.56), (1.16, -0.3), (0.7, -0.42), (0, -0.48))
RIB = smooth([(0.4, -0.74), (0.42, -0.46)], closed=False)
BRIM = smooth(
    [(-1.02, -0.5), (0, -0.66), (1.02, -0.5), (1.22, -0.36), (0.7, -0.4), (0, -0.44), (-0.7, -0.4), (-0.98, -0.36)]
)
BAND = loop((0, -0.86), (0.55, -0.8), (1.0, -0.58), (1.07, -0.3), (0.98, -0.3), (0.55, -0.52), (0, -0.58))
KERCHIEF = loop((0, -1.28), (0.62, -1.16), (1.04, -0.7), (1.08, -0.36), (0.55, -0.56), (0, -0.62))
KNOT = smooth([(0.98, -0.45), (1.36, -0.62), (1.42, -0.32), (1.08, -0.32)])
VEIL = loop((0, -1.34), (0.7, -1.22), (1.16, -0.6), (1.2, 0.2), (1.16, 0.9), (1.5, 1.7), (0.7, 2.0), (0, 2.1))
HEM = [(0, -0.72), (-0.55, -0.62), (-0.86, -0.25), (-0.88, 0.3), (-0.72, 0.72), (-0.4, 1.02), (0, 1.1)]
RIM = [(0, 1.7), (-0.8, 1.55), (-1.15, 0.9), (-1.2, 0.2), (-1.16, -0.6), (-0.7, -1.22), (0, -1.34)]
HALF_VEIL = smooth([*HEM, *RIM], steps=3)


def paint_glasses(brush: Brush, pose: Pose, person: Person) -> None:
    """Paint glasses or sunglasses."""
    if person.glasses == "none":
        return
    sun = person.glasses == "sun"
    frame = (34, 32, 40) if sun else darker(person.trim, 0.45)
    for side in (-1, 1):
        lens = pose.face.within(complex(side * 0.31, -0.03), sx=side)
        if sun:
            brush.fill(lens, LENS * 1.12, frame)
            brush.oval(lens, -0.08 - 0.06j, 0.07, 0.04, glaze(WHITE, 0.4))
        else:
            brush.fill(lens, LENS, glaze(WHITE, 0.2))
            brush.line(lens, RING if person.glasses == "clear" else RING * 1.12, frame, 0.045)
        brush.line(pose.face.within(-0.04j, sx=side), TEMPLE, frame, 0.045)
    brush.line(pose.face.within(-0.02j), BRIDGE, frame, 0.05)


def paint_veil_behind(brush: Brush, pose: Pose, person: Person) -> None:
    """Paint the part of a veil that lies behind the face."""
    if person.headwear == "veil":
        brush.fill(pose.head, VEIL, darker(person.head_colour, 0.2))


def paint_headwear(brush: Brush, pose: Pose, person: Person) -> None:
    """Paint what is worn on the head."""
    head, colour, kind = pose.head, person.head_colour, person.headwear
    if kind == "beanie":
        brush.fill(head, DOME, colour)
        brush.fill(head, CUFF, lighter(colour, 0.18))
        for x in (-0.9, -0.4, 0.1):
            brush.line(head.within(complex(x, 0)), RIB, darker(colour, 0.12), 0.05)
        brush.disc(head, -1.42j, 0.16, lighter(colour, 0.3))
    elif kind == "cap":
        brush.fill(head, DOME, colour)
        brush.fill(head.within(sx=-1 if pose.turn < 0 else 1), BRIM, darker(colour, 0.28))
        brush.disc(head, -1.42j, 0.05, darker(colour, 0.3))
    elif kind == "band":
        brush.fill(head, BAND, colour)
        brush.line(head, BAND[1:13], lighter(colour, 0.35), 0.03)
    elif kind == "bandana":
        brush.fill(head, KNOT, darker(colour, 0.2))
        brush.fill(head, KERCHIEF, colour)
        for x, y in ((-0.6, -0.8), (-0.2, -0.92), (0.2, -0.76), (0.55, -0.9), (0.0, -1.1)):
            brush.disc(head, complex(x, y), 0.05, lighter(colour, 0.6))
    elif kind == "veil":
        for side in (-1, 1):
            brush.fill(head.within(sx=side), HALF_VEIL, colour if side > 0 else lighter(colour, 0.12))
        brush.line(head, BAND[1:13] + 0.1j, darker(colour, 0.15), 0.03)
