"""A brush that paints shapes given in local coordinates, as complex numbers with y pointing down."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from facemask_ensemble.scenes.palette import Colour

Points = np.ndarray
# Keeps symmetric shapes off exact halves, where the last bit of a product would decide the rounding.
OFF_TIE = complex(0.0137, 0.0173)


def smooth(points: Sequence[tuple[float, float]], closed: bool = True, steps: int = 4) -> Points:
    """Join the points by a Catmull-Rom curve."""
    p = np.array([complex(x, y) for x, y in points])
    ends = (p[-1], p[0], p[1]) if closed else (2 * p[0] - p[1], 2 * p[-1] - p[-2], 0j)
    q = np.array([ends[0], *p, *ends[1:]])
    t = (np.arange(steps) / steps)[None, :]
    count = len(p) if closed else len(p) - 1
    a, b, c, d = (q[i : i + count, None] for i in range(4))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    flat = curve.reshape(-1)
    return flat if closed else np.append(flat, p[-1])


def loop(*right: tuple[float, float], steps: int = 4) -> Points:
    """Close the right half of a symmetric outline, given from its top to its bottom, both on the axis."""
    return smooth([*right, *((-x, y) for x, y in right[-2:0:-1])], steps=steps)


CIRCLE = loop((0, -1), (0.7071, -0.7071), (1, 0), (0.7071, 0.7071), (0, 1), steps=3)


class Frame(NamedTuple):
    """The linear map of a local point z to the canvas: `a z + b conj(z) + origin`."""

    a: complex
    b: complex
    origin: complex

    @classmethod
    def at(cls, origin: complex, unit: float) -> "Frame":
        """Start a frame of square units."""
        return cls(complex(unit), 0j, origin + OFF_TIE)

    def within(self, origin: complex = 0j, sx: float = 1, sy: float = 1, turn: complex = 1 + 0j) -> "Frame":
        """Describe a part: scaled, then turned, then moved, all in this frame."""
        a, b = turn * (sx + sy) / 2, turn * (sx - sy) / 2
        return Frame(self.a * a + self.b * b.conjugate(), self.a * b + self.b * a.conjugate(), self.point(origin))

    def point(self, z: complex) -> complex:
        """Map one point."""
        return self.a * z + self.b * z.conjugate() + self.origin

    def place(self, points: Points) -> list[float]:
        """Map points to whole canvas pixels: x, y, x, y and so on."""
        z = self.a * points + self.b * points.conj() + self.origin
        return np.rint(z.view(np.float64)).tolist()

    @property
    def unit(self) -> float:
        """Give the pixels of one unit upwards."""
        return abs(self.a - self.b)


def rotation(half_tangent: float) -> complex:
    """Turn by the angle of this half tangent, with no trigonometry a platform could round its own way."""
    t = half_tangent
    return complex(1 - t * t, 2 * t) / (1 + t * t)


class Brush:
    """Paint on one image; a colour of four numbers is blended in."""

    def __init__(self, image: Image.Image) -> None:
        """Open the image for opaque and for translucent paint."""
        self.opaque, self.translucent = ImageDraw.Draw(image), ImageDraw.Draw(image, "RGBA")

    def _draw(self, colour: Colour) -> ImageDraw.ImageDraw:
        return self.opaque if len(colour) == 3 else self.translucent

    def fill(self, frame: Frame, points: Points, colour: Colour) -> None:
        """Fill an outline."""
        self._draw(colour).polygon(frame.place(points), fill=colour)

    def line(self, frame: Frame, points: Points, colour: Colour, width: float) -> None:
        """Draw a line of a width in units."""
        self._draw(colour).line(frame.place(points), fill=colour, width=max(1, int(width * frame.unit + 0.5)))

    def oval(self, frame: Frame, centre: complex, rx: float, ry: float, colour: Colour) -> None:
        """Fill an ellipse."""
        self.fill(frame.within(centre, rx, ry), CIRCLE, colour)

    def disc(self, frame: Frame, centre: complex, radius: float, colour: Colour) -> None:
        """Fill a circle that stays round whatever the frame does."""
        c, r = frame.point(centre), max(1, int(radius * frame.unit + 0.5))
        x, y = round(c.real), round(c.imag)
        self._draw(colour).ellipse((x - r, y - r, x + r, y + r), fill=colour)
