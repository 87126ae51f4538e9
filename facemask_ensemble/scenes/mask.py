"""Face masks: three shapes, five patterns, on the face, under the chin or hanging from an ear."""

from functools import cache

import numpy as np

from facemask_ensemble.scenes.brush import Brush, Frame, Points
from facemask_ensemble.scenes.cast import Person
from facemask_ensemble.scenes.palette import Colour, darker, glaze, lighter
from facemask_ensemble.scenes.pose import Pose

ACROSS = np.linspace(-1, 1, 13)
# Half width at the top and at the bottom, then y: top at the side, top at the nose, bottom at the side, chin.
SHAPES = {
    "surgical": (0.95, 0.8, 0.2, 0.0, 0.62, 1.1),
    "cloth": (0.97, 0.72, 0.12, 0.02, 0.58, 1.12),
    "cone": (0.84, 0.66, 0.3, -0.04, 0.66, 1.1),
}


@cache
def edge(shape: str, turn: float, down: float) -> Points:
    """Find the curve from side to side at a share of the way down: 0 the top edge, 1 the bottom edge."""
    wide, narrow, side, nose, low, chin = SHAPES[shape]
    hump = (1 - ACROSS**2) ** (1.6 if shape == "cone" else 1.2)
    top = side + (nose - side) * hump
    bottom = low + (chin - low) * (1 - ACROSS**2) ** 0.6
    x = ACROSS * (wide + (narrow - wide) * down) + 0.14 * turn * (1 - ACROSS**2)
    return x + 1j * (top * (1 - down) + bottom * down)


@cache
def patch(shape: str, turn: float) -> Points:
    """Outline the whole mask."""
    return np.concatenate([edge(shape, turn, 0), edge(shape, turn, 1)[::-1]])


@cache
def seam(shape: str, turn: float, at: int) -> Points:
    """Find the line from the top edge to the bottom edge at one of the 13 places across."""
    return np.array([edge(shape, turn, down)[at] for down in (0, 0.25, 0.5, 0.75, 1)])


def paint_mask(brush: Brush, pose: Pose, person: Person) -> None:
    """Paint the mask where it is worn."""
    place = person.mask.place
    if place == "face":
        _straps(brush, pose, person)
        _sheet(brush, pose.head, pose.turn, person)
    elif place == "chin":
        _sheet(brush, pose.head.within(0.82j, 0.8, 0.42), pose.turn, person)
    elif place == "ear":
        side = 1 if pose.turn <= 0 else -1
        hang = pose.head.within(complex(side * 1.12, 0.5), 0.3, 0.62)
        brush.line(pose.head, np.array([side * (1 + 0.1j), side * 1.12 + 0.6j]), (250, 250, 250), 0.035)
        _sheet(brush, hang, 0, person)


def _straps(brush: Brush, pose: Pose, person: Person) -> None:
    turn, shape = pose.turn, person.mask.shape
    top, bottom = edge(shape, turn, 0), edge(shape, turn, 1)
    strap: Colour = person.mask.accent if shape == "cone" else lighter(person.mask.colour, 0.55)
    for end in (0, -1):
        side = 1 if end else -1
        ends = (side * 1.04 - 0.12j, side * 1.04 + 0.24j) if shape != "cone" else (side * 1.02 - 0.2j, side + 0.5j)
        brush.line(pose.head, np.array([ends[0], top[end]]), strap, 0.05)
        brush.line(pose.head, np.array([ends[1], bottom[end]]), strap, 0.05)


def _sheet(brush: Brush, frame: Frame, turn: float, person: Person) -> None:
    mask, shape = person.mask, person.mask.shape
    brush.fill(frame, patch(shape, turn), mask.colour)
    _pattern(brush, frame, turn, person)
    low = np.concatenate([edge(shape, turn, 0.72), edge(shape, turn, 1)[::-1]])
    brush.fill(frame, low, glaze(darker(mask.colour, 0.7), 0.2))
    right = np.concatenate([seam(shape, turn, 12), seam(shape, turn, 10)[::-1]])
    brush.fill(frame, right, glaze(darker(mask.colour, 0.7), 0.18))
    brush.line(frame, edge(shape, turn, 0), darker(mask.colour, 0.18), 0.035)


def _pattern(brush: Brush, frame: Frame, turn: float, person: Person) -> None:
    mask, shape = person.mask, person.mask.shape
    if mask.pattern == "pleats":
        for down in (0.28, 0.48, 0.68):
            brush.line(frame, edge(shape, turn, down), darker(mask.colour, 0.2), 0.04)
            brush.line(frame, edge(shape, turn, down - 0.05), lighter(mask.colour, 0.35), 0.03)
    elif mask.pattern == "seam":
        brush.line(frame, seam(shape, turn, 6), darker(mask.colour, 0.22), 0.045)
        brush.disc(frame, seam(shape, turn, 9)[2], 0.12, darker(mask.colour, 0.2))
        brush.disc(frame, seam(shape, turn, 9)[2], 0.08, mask.accent)
    elif mask.pattern == "stripes":
        for at in (1, 4, 7, 10):
            band = np.concatenate([seam(shape, turn, at), seam(shape, turn, at + 1)[::-1]])
            brush.fill(frame, band, mask.accent)
    elif mask.pattern == "dots":
        for down in (0.2, 0.45, 0.7):
            for at in range(2 if down == 0.45 else 1, 12, 2):
                brush.disc(frame, edge(shape, turn, down)[at], 0.05, mask.accent)
    elif mask.pattern == "bands":
        for down in (0.15, 0.5):
            band = np.concatenate([edge(shape, turn, down), edge(shape, turn, down + 0.16)[::-1]])
            brush.fill(frame, band, mask.accent)
