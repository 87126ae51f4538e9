"""The bare face: skin, ears, eyes, brows, nose, mouth and beard."""

import numpy as np

from facemask_ensemble.scenes.brush import Brush, loop, smooth
from facemask_ensemble.scenes.cast import Person
from facemask_ensemble.scenes.palette import INK, WHITE, darker, glaze, lighter, mix
from facemask_ensemble.scenes.pose import FACES, Pose

LASH = smooth([(-0.17, 0.02), (-0.1, -0.09), (0.04, -0.12), (0.17, -0.03)], closed=False)
BROW = smooth([(-0.2, 0.02), (-0.06, -0.07), (0.12, -0.05), (0.2, 0.02), (0.1, 0.0), (-0.06, -0.01)])
NOSE = smooth([(0.02, 0.0), (0.1, 0.24), (0.14, 0.36), (0.02, 0.4), (-0.1, 0.37), (0.03, 0.3)])
SMILE = smooth([(-0.26, 0.53), (-0.12, 0.63), (0.1, 0.64), (0.26, 0.52)], closed=False)
CALM = smooth([(-0.2, 0.6), (-0.06, 0.62), (0.08, 0.61), (0.2, 0.58)], closed=False)
LAUGH = smooth([(-0.3, 0.5), (0, 0.54), (0.3, 0.5), (0.2, 0.7), (0, 0.77), (-0.2, 0.7)])
TEETH = smooth([(-0.24, 0.52), (0, 0.555), (0.24, 0.52), (0.14, 0.61), (-0.14, 0.61)])
LIP = smooth([(-0.12, 0.67), (0, 0.65), (0.12, 0.67), (0, 0.74)])
CHEEK_SHADE = (0.86, 0.94)
BEARD = loop(
    (0, 0.42), (0.26, 0.4), (0.44, 0.5), (0.7, 0.34), (0.97, -0.02),
    (1.02, 0.3), (0.96, 0.66), (0.62, 1.02), (0.26, 1.17), (0, 1.2),
)  # fmt: skip
MOUSTACHE = loop((0, 0.4), (0.2, 0.4), (0.36, 0.52), (0.34, 0.58), (0.14, 0.52), (0, 0.5))


def paint_skin(brush: Brush, pose: Pose, person: Person) -> None:
    """Paint ears and face with a soft shade on one side."""
    skin, outline = person.skin, FACES[person.shape]
    for side in (-1, 1):
        if pose.turn * side < 0.9:
            ear = complex(side * (1.0 - 0.06 * abs(pose.turn)), 0.06)
            brush.oval(pose.head, ear, 0.16, 0.23, darker(skin, 0.07))
            brush.oval(pose.head, ear, 0.08, 0.13, darker(skin, 0.22))
    brush.fill(pose.head, outline, skin)
    half = len(outline) // 2
    right = outline[: half + 1]
    for inset in CHEEK_SHADE:
        inner = (right - 0.05j) * inset + (inset - 1) * 0.5
        brush.fill(pose.head, np.concatenate([right, inner[::-1]]), glaze(darker(skin, 0.5), 0.16))
    brush.oval(pose.face, -0.2 - 0.46j, 0.34, 0.16, glaze(lighter(skin, 0.6), 0.12))


def paint_eyes(brush: Brush, pose: Pose, person: Person) -> None:
    """Paint eyes and brows."""
    dark = darker(person.hair, 0.35)
    for side in (-1, 1):
        eye = pose.face.within(complex(side * 0.31, -0.04), sx=side)
        brush.oval(eye, 0j, 0.15, 0.11, mix(WHITE, person.skin, 0.1))
        gaze = complex(side * 0.045 * pose.turn, 0.0)
        brush.disc(eye, gaze, 0.098, person.eyes)
        brush.disc(eye, gaze, 0.055, (24, 18, 22))
        brush.disc(eye, gaze - (0.035 * side + 0.04j), 0.028, WHITE)
        brush.line(eye, LASH, INK, 0.05)
        brush.fill(eye.within(complex(0, -0.21 + person.brow), 1.05, 1.1), BROW, dark)


def paint_nose_and_mouth(brush: Brush, pose: Pose, person: Person) -> None:
    """Paint what a mask would hide."""
    face, skin = pose.face, person.skin
    if person.blush:
        for side in (-1, 1):
            brush.oval(face, complex(side * 0.42, 0.3), 0.16, 0.1, glaze((226, 84, 84), 0.2))
    brush.fill(face.within(sx=1 if pose.turn >= 0 else -1), NOSE, darker(skin, 0.16))
    lips = mix(darker(skin, 0.3), (206, 78, 82), 0.55)
    if person.mouth == "laugh":
        brush.fill(face, LAUGH, (112, 34, 44))
        brush.fill(face, TEETH, (250, 247, 240))
        brush.fill(face, LIP, (216, 104, 104))
    else:
        brush.line(face, SMILE if person.mouth == "smile" else CALM, lips, 0.07)


def paint_beard(brush: Brush, pose: Pose, person: Person) -> None:
    """Paint the beard, if any; it is left out of sight where a mask covers it."""
    if person.beard in ("full", "stubble"):
        colour = person.hair if person.beard == "full" else glaze(darker(person.hair, 0.3), 0.28)
        shape = (
            BEARD
            if person.beard == "full"
            else np.where(BEARD.imag > 0.9, BEARD.real + 1j * (0.7 + BEARD.imag * 0.25), BEARD)
        )
        brush.fill(pose.head, shape, colour)
    if person.beard in ("full", "moustache"):
        brush.fill(pose.face, MOUSTACHE, darker(person.hair, 0.12))
