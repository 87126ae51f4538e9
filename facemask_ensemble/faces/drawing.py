"""Boxes and answers drawn on an image, told apart without colour too: by their line and their words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from facemask_ensemble.faces.answers import Face
from facemask_ensemble.faces.labels import Area, free_area
from facemask_ensemble.faces.masks import sentence


@dataclass(frozen=True)
class Style:
    """How a face of one answer is drawn."""

    word: str
    colour: str
    ink: str
    dash: float  # lengths of a dash and of the gap behind it, in widths of the line; 0: none


# Blue and orange of M. Okabe and K. Ito, "Color Universal Design" (2008).
STYLES = {
    True: Style("mask", "#0072B2", "white", 0),
    False: Style("no mask", "#E69F00", "black", 4),
    None: Style("undecided", "#C8C8C8", "black", 1.5),
}
STRIP, STRIP_INK = "#1A1A1A", "white"
LEAST_TEXT = 12  # pixels; smaller letters cannot be read
EDGE = "black"  # around every line, so that it shows on any ground


def draw_faces(image: NDArray[np.uint8], faces: Sequence[Face], note: str = "") -> NDArray[np.uint8]:
    """Draw faces, and the answer about all of them in a strip above the image.

    Args:
        image: uint8 (h, w, 3), RGB; it stays as it is.
        faces: in pixels of the image.
        note: at the strip's right end.

    Returns:
        uint8 (h + `strip_height`, w, 3).
    """
    height, width = image.shape[:2]
    top = strip_height(width, height)
    canvas = Image.new("RGB", (width, height + top), STRIP)
    canvas.paste(Image.fromarray(image), (0, top))
    brush = ImageDraw.Draw(canvas)
    line = max(2, round(max(width, height) / 320))
    for face in faces:
        left, upper, right, lower = face.box.corners
        _draw_box(brush, (left, upper + top, right - 1, lower + top - 1), line, STYLES[face.worn])
    _draw_labels(brush, faces, top, line, canvas.size)
    _draw_strip(brush, sentence([face.worn for face in faces]), note, (width, top))
    return np.asarray(canvas)


def strip_height(width: int, height: int) -> int:
    """Give the height in pixels of the strip above an image; both together are even, as video codecs want it."""
    wanted = round(1.9 * _text_size(width, height))
    return wanted + (height + wanted) % 2


def _text_size(width: int, height: int) -> int:
    return max(LEAST_TEXT + 2, round(max(width, height) / 42))


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _draw_box(brush: ImageDraw.ImageDraw, box: Area, line: int, style: Style) -> None:
    for colour, extra in ((EDGE, 2), (style.colour, 0)):
        for start, end in _dashes(box, style.dash * line):
            brush.line([start, end], colour, line + extra)


def _dashes(box: Area, dash: float) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """Cut a box's outline into lines as long as a dash, or its whole sides where that is 0; corners are drawn."""
    left, top, right, bottom = box
    for start, end in (
        ((left, top), (right, top)),
        ((right, top), (right, bottom)),
        ((right, bottom), (left, bottom)),
        ((left, bottom), (left, top)),
    ):
        length = abs(end[0] - start[0]) + abs(end[1] - start[1])
        count = 2 * round((length / dash - 1) / 2) + 1 if dash and length > 2 * dash else 1  # odd: it ends in a dash
        across, down = (end[0] - start[0]) / count, (end[1] - start[1]) / count
        for number in range(0, count, 2):
            yield (
                (start[0] + across * number, start[1] + down * number),
                (start[0] + across * (number + 1), start[1] + down * (number + 1)),
            )


def _draw_labels(brush: ImageDraw.ImageDraw, faces: Sequence[Face], top: int, line: int, size: tuple[int, int]) -> None:
    """Write what each face was answered, the largest first; one without room has its line alone to tell."""
    largest = _text_size(size[0], size[1] - top)
    boxes = [_moved(face.box.corners, top) for face in faces]
    taken: list[Area] = []
    for place in sorted(range(len(faces)), key=lambda place: -faces[place].box.width):
        face = faces[place]
        style = STYLES[face.worn]
        text = style.word if face.confidence is None else f"{style.word} {face.confidence:.0%}"
        font = _font(max(LEAST_TEXT, min(largest, round(face.box.width / 4))))
        letters = font.size if isinstance(font, ImageFont.FreeTypeFont) else LEAST_TEXT
        label = brush.textlength(text, font) + letters * 0.6, letters * 1.35
        area = free_area(boxes[place], label, line / 2 + 1, (0, top, *size), taken, boxes)
        if area:
            taken.append(area)
            brush.rectangle(area, style.colour, EDGE)
            brush.text(((area[0] + area[2]) / 2, (area[1] + area[3]) / 2), text, style.ink, font, "mm")


def _moved(corners: Area, top: int) -> Area:
    left, upper, right, lower = corners
    return left, upper + top, right, lower + top


def _draw_strip(brush: ImageDraw.ImageDraw, answer: str, note: str, size: tuple[int, int]) -> None:
    width, high = size
    letters = round(high / 1.9)
    while letters > 6 and brush.textlength(f"{answer}   {note}", _font(letters)) > width - high:
        letters -= 1
    font, middle = _font(letters), high / 2
    brush.text((high / 3, middle), answer, STRIP_INK, font, "lm")
    brush.text((width - high / 3, middle), note, STRIP_INK, font, "rm")
