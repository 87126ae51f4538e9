"""Hair, in front of the face and behind it."""

from facemask_ensemble.scenes.brush import Brush, loop, smooth
from facemask_ensemble.scenes.cast import Person
from facemask_ensemble.scenes.palette import darker, glaze, lighter
from facemask_ensemble.scenes.pose import Pose

BEHIND = {
    "long": loop((0, -1.24), (0.72, -1.12), (1.16, -0.55), (1.22, 0.3), (1.26, 1.1), (1.05, 1.75),
        (0.5, 1.8), (0, 1.7)),
    "waves": loop((0, -1.26), (0.8, -1.12), (1.22, -0.5), (1.16, 0.0), (1.36, 0.5), (1.22, 0.95),
        (1.36, 1.4), (0.9, 1.6), (0, 1.5)),
    "bob": loop((0, -1.24), (0.74, -1.12), (1.18, -0.5), (1.28, 0.3), (1.22, 0.85), (0.8, 0.95), (0, 0.7)),
    "afro": loop((0, -1.5), (0.75, -1.4), (1.28, -0.95), (1.46, -0.3), (1.3, 0.35), (0.9, 0.6), (0, 0.5)),
    "tail": loop((0, -1.2), (0.7, -1.08), (1.08, -0.5), (1.04, 0.1), (0.6, 0.3), (0, 0.3)),
    "bun": loop((0, -1.2), (0.7, -1.08), (1.08, -0.5), (1.04, 0.1), (0.6, 0.3), (0, 0.3)),
}  # fmt: skip
CROWN = loop((0, -1.2), (0.62, -1.1), (1.05, -0.6), (1.1, 0.1), (0.94, 0.6), (0.6, 0.92), (0, 0.98))
PONY = smooth([(0.85, -0.7), (1.3, -0.75), (1.52, -0.2), (1.5, 0.6), (1.3, 1.1), (1.2, 0.5), (1.12, -0.1)])
TOP = [(1.05, 0.02), (1.08, -0.5), (0.72, -1.06), (0, -1.22), (-0.72, -1.06), (-1.08, -0.5), (-1.05, 0.02)]
LINES = {
    "curtain": [(-0.95, 0.1), (-0.9, -0.3), (-0.6, -0.55), (-0.1, -0.84), (0, -0.9), (0.1, -0.84),
        (0.6, -0.55), (0.9, -0.3), (0.95, 0.1)],
    "fringe": [(-0.96, 0.25), (-0.86, -0.2), (-0.7, -0.36), (-0.3, -0.38), (0.1, -0.4),
        (0.5, -0.38), (0.74, -0.34), (0.88, -0.2), (0.96, 0.25)],
    "swept": [(-0.94, -0.1), (-0.88, -0.42), (-0.5, -0.6), (0, -0.52), (0.45, -0.62),
        (0.7, -0.78), (0.86, -0.5), (0.94, -0.1)],
    "neat": [(-0.93, -0.12), (-0.86, -0.45), (-0.5, -0.64), (0, -0.68), (0.5, -0.64), (0.86, -0.45), (0.93, -0.12)],
}  # fmt: skip
FRONT = {name: smooth(TOP + line, steps=3) for name, line in LINES.items()}
QUIFF = smooth(
    [(-0.86, -0.6), (-0.9, -1.05), (-0.3, -1.42), (0.5, -1.44), (1.0, -1.1), (0.9, -0.62), (0.3, -0.74), (-0.3, -0.66)]
)
STUBBLE = smooth([*TOP, (-0.95, -0.3), (-0.6, -0.78), (0, -0.86), (0.6, -0.78), (0.95, -0.3)], steps=3)
HAIRLINE = {
    "long": "curtain", "waves": "swept", "bob": "fringe", "afro": "neat", "tail": "swept", "bun": "neat",
    "short": "neat", "side": "swept", "quiff": "neat",
}  # fmt: skip
STRANDS = tuple(
    smooth([(0.1 * i, -1.0), (0.55 * i, -0.3), (0.6 * i, 0.55)], closed=False) for i in (-1.2, -0.5, 0.2, 0.8, 1.35)
)
SHINE = smooth([(-0.72, -0.78), (-0.3, -1.02), (0.2, -1.06), (0.2, -0.96), (-0.26, -0.92), (-0.62, -0.68)])


def paint_hair_behind(brush: Brush, pose: Pose, person: Person) -> None:
    """Paint what falls behind the face."""
    style, colour = person.style, darker(person.hair, 0.2)
    if style == "bun":
        brush.oval(pose.head, -1.3j, 0.46, 0.34, person.hair)
    elif style == "tail":
        brush.fill(pose.head.within(sx=1 if pose.turn <= 0 else -1), PONY, colour)
    if style in BEHIND:
        brush.fill(pose.head, BEHIND[style], colour)


def paint_hair_front(brush: Brush, pose: Pose, person: Person) -> None:
    """Paint the hair over the forehead."""
    style, hair = person.style, person.hair
    frame = pose.head.within(sx=1 if person.brow > 0 else -1)
    if style == "bald":
        brush.fill(frame, SHINE * 0.7 - 0.1j, glaze(lighter(person.skin, 0.8), 0.4))
    elif style == "buzz":
        brush.fill(frame, STUBBLE * 0.97, glaze(hair, 0.75))
    else:
        brush.fill(frame, FRONT[HAIRLINE[style]], hair)
        if style == "quiff":
            brush.fill(frame, QUIFF, hair)
        brush.fill(frame, SHINE, glaze(lighter(hair, 0.6), 0.3))


def paint_back_of_head(brush: Brush, pose: Pose, person: Person) -> None:
    """Paint a head that is turned away."""
    bald = person.style in ("bald", "buzz")
    skin, hair = person.skin, person.hair
    for side in (-1, 1):
        brush.oval(pose.head, complex(side * 1.02, 0.1), 0.15, 0.22, darker(skin, 0.1))
    brush.fill(pose.head, CROWN, skin if bald else hair)
    if person.style == "buzz":
        brush.fill(pose.head, CROWN * 0.98 - 0.12j, glaze(hair, 0.7))
    if not bald and person.style in BEHIND:
        brush.fill(pose.head, BEHIND[person.style], hair)
    if person.style == "bun":
        brush.oval(pose.head, -0.7j, 0.5, 0.38, darker(hair, 0.18))
    brush.fill(pose.head, SHINE, glaze(lighter(skin if bald else hair, 0.6), 0.25))
    if not bald:
        for strand in STRANDS:
            brush.line(pose.head, strand, darker(hair, 0.16), 0.035)
