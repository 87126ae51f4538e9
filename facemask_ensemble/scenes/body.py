"""Neck, clothes and what is worn around the neck."""

import numpy as np

from facemask_ensemble.scenes.brush import Brush, loop, smooth
from facemask_ensemble.scenes.cast import Person
from facemask_ensemble.scenes.palette import WHITE, darker, glaze, lighter
from facemask_ensemble.scenes.pose import Pose

SHOULDERS = loop(
    (0, 1.2), (0.38, 1.22), (0.7, 1.36), (1.25, 1.52), (1.6, 1.95), (1.7, 3), (1.75, 8), (1.4, 12), (0, 12)
)
SIDE = smooth([(0.95, 1.42), (1.25, 1.52), (1.6, 1.95), (1.7, 3), (1.75, 8), (1.3, 8), (1.3, 3), (1.22, 2)])
ARM = smooth([(1.12, 2.2), (1.2, 2.7), (1.18, 3.4)], closed=False)
NECK = loop((0, 0.5), (0.36, 0.55), (0.34, 1.1), (0.44, 1.32), (0.3, 1.5), (0, 1.55))
THROAT = loop((0, 0.6), (0.36, 0.6), (0.35, 1.02), (0.2, 1.2), (0, 1.26))
ROUND = loop((0, 1.1), (0.46, 1.18), (0.42, 1.4), (0.22, 1.56), (0, 1.6))
COLLARS = {
    "round": ROUND,
    "stripes": ROUND,
    "hood": loop((0, 1.1), (0.5, 1.2), (0.4, 1.5), (0.14, 1.74), (0, 1.8)),
    "vee": np.array([-0.48 + 1.2j, 0.48 + 1.2j, 0.06 + 2.0j, -0.06 + 2.0j]),
    "shirt": np.array([-0.42 + 1.2j, 0.42 + 1.2j, 0.04 + 1.75j, -0.04 + 1.75j]),
}
LAPEL = np.array([0.34 + 1.12j, 0.56 + 1.26j, 0.42 + 1.74j, 0.03 + 1.72j])
HOOD = loop((0, 0.7), (0.42, 0.82), (0.6, 1.08), (0.7, 1.4), (0.3, 1.7), (0, 1.7))
CORD = np.array([0.2 + 1.66j, 0.22 + 2.3j])
SCARF = loop((0, 1.06), (0.5, 0.94), (0.72, 1.12), (0.68, 1.42), (0.36, 1.6), (0, 1.66))
FOLD = smooth([(-0.62, 1.16), (-0.2, 1.4), (0.4, 1.36), (0.66, 1.2)], closed=False)
TAIL = smooth([(0.1, 1.45), (0.42, 1.42), (0.5, 2.1), (0.48, 2.5), (0.14, 2.5), (0.16, 2.1)])
ROLL = loop((0, 1.08), (0.4, 1.02), (0.46, 1.22), (0.5, 1.42), (0.24, 1.5), (0, 1.5))


def paint_body(brush: Brush, pose: Pose, person: Person) -> None:
    """Paint all below the head."""
    torso, cloth = pose.torso, person.clothes
    if person.collar == "hood":
        brush.fill(torso, HOOD, darker(cloth, 0.25))
    brush.fill(torso, SHOULDERS, cloth)
    if person.collar == "stripes":
        _stripes(brush, pose, person)
    brush.fill(torso, SIDE, glaze(darker(cloth, 0.6), 0.28))
    for mirror in (1, -1):
        brush.line(torso.within(sx=mirror), ARM, darker(cloth, 0.22), 0.05)
    if person.away:
        brush.fill(torso, NECK, darker(person.skin, 0.12))
        brush.fill(torso, ROLL, darker(cloth, 0.12))
        return
    _neckline(brush, pose, person)


def _stripes(brush: Brush, pose: Pose, person: Person) -> None:
    for y in (1.85, 2.35, 2.85, 3.35):
        half = 1.5 if y < 2 else 1.66
        brush.line(pose.torso, np.array([complex(-half, y), complex(half, y)]), person.trim, 0.16)


def _neckline(brush: Brush, pose: Pose, person: Person) -> None:
    torso, skin = pose.torso, person.skin
    brush.fill(torso, COLLARS[person.collar], darker(skin, 0.06))
    brush.fill(torso, NECK, skin)
    brush.fill(torso, THROAT, darker(skin, 0.24))
    if person.collar == "shirt":
        for mirror in (1, -1):
            brush.fill(torso.within(sx=mirror), LAPEL, lighter(person.clothes, 0.3))
    elif person.collar == "hood":
        for mirror in (1, -1):
            brush.line(torso.within(sx=mirror), CORD, lighter(person.clothes, 0.6), 0.06)


def paint_neckwear(brush: Brush, pose: Pose, person: Person) -> None:
    """Paint a scarf or a rolled collar, below the chin."""
    torso, colour = pose.torso, person.neck_colour
    if person.neckwear == "scarf":
        brush.fill(torso, TAIL, darker(colour, 0.12))
        brush.fill(torso, SCARF, colour)
        brush.line(torso, FOLD, darker(colour, 0.25), 0.06)
        brush.line(torso.within(-0.14j), FOLD, lighter(colour, 0.25), 0.05)
    elif person.neckwear == "roll":
        brush.fill(torso, ROLL, colour)
        brush.fill(torso.within(0.12j, sy=0.98), FOLD * 0.7 + 0.36j, glaze(WHITE, 0.25))
