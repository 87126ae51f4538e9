"""Colours, shared so that no colour belongs to masks alone."""

from functools import lru_cache

Colour = tuple[int, ...]

SKIN: tuple[Colour, ...] = (
    (255, 222, 194), (247, 206, 174), (236, 188, 150), (219, 166, 124),
    (191, 134, 94), (160, 106, 72), (124, 80, 55), (94, 60, 44),
)  # fmt: skip
HAIR: tuple[Colour, ...] = (
    (38, 32, 34), (58, 42, 36), (86, 58, 42), (122, 80, 50), (164, 110, 62),
    (206, 158, 92), (232, 200, 140), (166, 76, 44), (150, 148, 150), (214, 210, 206),
)  # fmt: skip
# Masks, scarves, hats and clothes; several are close to skin or hair, and the mean is close to the mean of SKIN.
FABRIC: tuple[Colour, ...] = (
    (246, 244, 238), (240, 222, 192), (228, 190, 154), (240, 176, 146), (206, 114, 82),
    (168, 84, 56), (226, 172, 72), (236, 120, 100), (202, 64, 60), (242, 178, 182),
    (130, 46, 60), (118, 80, 58), (78, 54, 46), (46, 46, 54), (52, 70, 108),
    (126, 184, 214), (174, 212, 230), (70, 146, 142), (172, 214, 188), (134, 136, 84),
    (186, 162, 206), (156, 158, 164), (222, 150, 110), (192, 130, 96),
    (206, 124, 60), (240, 206, 150),
)  # fmt: skip
WALL: tuple[Colour, ...] = (
    (242, 229, 210), (226, 208, 184), (214, 224, 214), (200, 216, 226), (236, 206, 190),
    (178, 190, 180), (150, 172, 190), (196, 176, 196), (232, 214, 158), (120, 136, 148),
    (206, 160, 138), (108, 120, 112), (244, 240, 232), (140, 112, 100), (84, 92, 112),
)  # fmt: skip
WHITE: Colour = (255, 255, 255)
INK: Colour = (44, 34, 40)


@lru_cache(maxsize=8192)
def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """Blend a share of the other colour in."""
    return tuple(int(a + (b - a) * share + 0.5) for a, b in zip(colour[:3], other[:3], strict=True))


def darker(colour: Colour, share: float) -> Colour:
    """Shade a colour towards a warm black."""
    return mix(colour, (30, 16, 34), share)


def lighter(colour: Colour, share: float) -> Colour:
    """Tint a colour towards a warm white."""
    return mix(colour, (255, 250, 240), share)


def glaze(colour: Colour, share: float) -> Colour:
    """Make a colour translucent: it is blended into what lies below it."""
    return (*colour[:3], int(share * 255))


def distance(colour: Colour, other: Colour) -> int:
    """Measure how far two colours are apart: the sum over the channels."""
    return sum(abs(a - b) for a, b in zip(colour, other, strict=True))
