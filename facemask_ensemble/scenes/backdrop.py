"""What is behind the people: sky, street, a room, a gradient or shapes."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from facemask_ensemble.scenes.brush import Brush, Frame, smooth
from facemask_ensemble.scenes.palette import FABRIC, WALL, WHITE, Colour, darker, glaze, lighter, mix
from facemask_ensemble.scenes.rng import Rng

CLOUD = smooth(
    [(-1, 0.2), (-0.8, -0.1), (-0.45, -0.15), (-0.2, -0.5), (0.25, -0.45), (0.45, -0.15), (0.85, -0.1), (1, 0.2)]
)
SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((120, 182, 226), (216, 236, 244)), ((96, 150, 208), (240, 222, 196)), ((240, 156, 120), (250, 222, 170)),
    ((98, 104, 160), (232, 160, 150)), ((176, 192, 204), (226, 230, 230)),
)  # fmt: skip
GRASS: tuple[Colour, ...] = ((126, 168, 100), (96, 146, 108), (190, 178, 112), (222, 200, 150), (110, 130, 90))


def blend(size: int, top: Colour, bottom: Colour) -> Image.Image:
    """Fill a canvas with a gradient downwards."""
    ramp = np.arange(size)[:, None] * 256 // size
    first, last = np.array([top], np.int64), np.array([bottom], np.int64)
    column = (first * (256 - ramp) + last * ramp) // 256
    return Image.fromarray(column.astype(np.uint8)[:, None, :]).resize((size, size), Image.Resampling.NEAREST)


def box(brush: Brush, frame: Frame, x: float, y: float, right: float, bottom: float, colour: Colour) -> None:
    """Fill an upright rectangle."""
    brush.fill(frame, np.array([complex(x, y), complex(right, y), complex(right, bottom), complex(x, bottom)]), colour)


def paint_backdrop(rng: Rng, size: int) -> Image.Image:
    """Paint a background of a random kind."""
    paint: Callable[[Rng, int], Image.Image] = rng.pick((_sky, _street, _room, _gradient, _shapes))
    return paint(rng, size)


def _open(size: int, top: Colour, bottom: Colour) -> tuple[Image.Image, Brush, Frame]:
    image = blend(size, top, bottom)
    return image, Brush(image), Frame.at(0j, size)


def _sky(rng: Rng, size: int) -> Image.Image:
    image, brush, frame = _open(size, *rng.pick(SKIES))
    if rng.chance(0.5):
        sun = complex(rng.between(0.1, 0.9), rng.between(0.08, 0.25))
        brush.disc(frame, sun, 0.1, glaze((255, 244, 200), 0.35))
        brush.disc(frame, sun, 0.065, (255, 240, 190))
    for _ in range(rng.whole(1, 3)):
        cloud = frame.within(complex(rng.uniform(), rng.between(0.06, 0.4)), rng.between(0.1, 0.2), 0.1)
        brush.fill(cloud, CLOUD, glaze(WHITE, 0.75))
    green = rng.pick(GRASS)
    for y, tone in ((0.6, lighter(green, 0.25)), (0.7, green)):
        brush.oval(frame, complex(rng.uniform(), y + 0.5), rng.between(0.8, 1.2), 0.5, tone)
    return image


def _street(rng: Rng, size: int) -> Image.Image:
    sky = rng.pick(SKIES)
    image, brush, frame = _open(size, *sky)
    x = -0.05
    while x < 1:
        right, top, wall = x + rng.between(0.2, 0.34), rng.between(0.02, 0.4), rng.pick(WALL)
        box(brush, frame, x, top, right, 0.86, wall)
        pane = mix(wall, rng.pick(((60, 74, 96), (250, 236, 180), (170, 200, 214))), 0.7)
        step = (right - x) / 3
        for row in range(4):
            for column in range(2):
                left, up = x + step * (0.5 + 1.2 * column), top + 0.06 + 0.13 * row
                box(brush, frame, left, up, left + step * 0.75, up + 0.08, pane)
        box(brush, frame, right - 0.03, top, right, 0.86, glaze(darker(wall, 0.7), 0.25))
        x = right
    box(brush, frame, 0, 0.84, 1, 1.01, (150, 146, 148))
    box(brush, frame, 0, 0.84, 1, 0.86, (196, 192, 190))
    return image


def _room(rng: Rng, size: int) -> Image.Image:
    wall, floor = rng.pick(WALL), rng.pick(((150, 106, 74), (190, 150, 110), (120, 110, 110), (206, 190, 170)))
    image, brush, frame = _open(size, lighter(wall, 0.2), darker(wall, 0.08))
    box(brush, frame, 0, 0.8, 1, 1.01, floor)
    box(brush, frame, 0, 0.78, 1, 0.81, lighter(wall, 0.5))
    x, y, wide, high = (
        rng.between(0.02, 0.6),
        rng.between(0.04, 0.2),
        rng.between(0.22, 0.36),
        rng.between(0.22, 0.4),
    )
    brush_frame = darker(floor, 0.3) if rng.chance(0.5) else WHITE
    box(brush, frame, x - 0.02, y - 0.02, x + wide + 0.02, y + high + 0.02, brush_frame)
    top, bottom = rng.pick(SKIES)
    box(brush, frame, x, y, x + wide, y + high, bottom)
    box(brush, frame, x, y, x + wide, y + high / 2, top)
    if rng.chance(0.6):
        box(brush, frame, x + wide / 2 - 0.008, y, x + wide / 2 + 0.008, y + high, brush_frame)
    shelf = 0.92 - x if x < 0.3 else 0.02
    for i in range(rng.whole(2, 5)):
        tall = rng.between(0.08, 0.15)
        box(brush, frame, shelf + 0.05 * i, 0.4 - tall, shelf + 0.05 * i + 0.042, 0.4, rng.pick(FABRIC))
    box(brush, frame, shelf - 0.02, 0.4, shelf + 0.27, 0.42, darker(floor, 0.2))
    return image


def _gradient(rng: Rng, size: int) -> Image.Image:
    colour = rng.pick(WALL)
    image, brush, frame = _open(size, lighter(colour, 0.3), mix(rng.pick(WALL), colour, 0.4))
    for radius in (0.5, 0.36):
        brush.disc(frame, 0.5 + 0.45j, radius, glaze(WHITE, 0.12))
    return image


def _shapes(rng: Rng, size: int) -> Image.Image:
    colour = rng.pick(WALL)
    image, brush, frame = _open(size, colour, darker(colour, 0.1))
    kind = rng.pick(("discs", "bars", "confetti"))
    for i in range(7):
        tone = glaze(rng.pick(FABRIC), 0.45)
        place = complex(rng.uniform(), rng.uniform())
        if kind == "discs":
            brush.disc(frame, place, rng.between(0.06, 0.2), tone)
        elif kind == "bars":
            x = i / 6
            brush.fill(frame, np.array([x - 0.25, x - 0.17, x + 0.08 + 1j, x + 0j + 1j]), glaze(tone, 0.3))
        else:
            box(brush, frame, place.real, place.imag, place.real + 0.08, place.imag + 0.08, tone)
    return image
