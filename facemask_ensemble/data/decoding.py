"""Decode image files: every file gives an upright RGB image, or the reason why it cannot."""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
SUFFIXES = frozenset(FORMATS)
SAME = {"MPO": "JPEG", "DIB": "BMP"}  # a phone's JPEG with a preview behind it; a bitmap without its header
TINY = 32  # pixels of the shorter side below which an image is remarked on
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow's remarks on odd files (palettes, EXIF, size) are answered below: refused, or read with no harm.
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageError(ValueError):
    """Say in a few words why some bytes are not an image that can be read."""


@dataclass(frozen=True)
class DecodedImage:
    """A decoded file: an upright RGB image, its size in the file, and what was odd about it."""

    image: Image.Image
    width: int
    height: int
    format: str
    odd: str


def decode(data: bytes, at_least: int | None = None) -> Image.Image:
    """Decode a file's first frame as an upright RGB image on a white ground.

    Args:
        data: the whole file.
        at_least: a side in pixels; a JPEG may come at a half, quarter or eighth of its size that is no smaller.

    Raises:
        ImageError: it is not an image, is damaged, or is too large.
    """
    return examine(data, at_least).image


def examine(data: bytes, at_least: int | None = None, suffix: str = "") -> DecodedImage:
    """Decode like `decode`, and also report the format of the file and what was unusual about it.

    Args:
        data: the whole file.
        at_least: as in `decode`.
        suffix: of the file's name; a file of another format than its suffix is odd. "" is not checked.
    """
    if not data:
        raise ImageError("empty file")
    try:
        with Image.open(io.BytesIO(data)) as image:
            if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
                raise Image.DecompressionBombError
            kind, size, odd = SAME.get(image.format or "", image.format or ""), image.size, _oddities(image)
            if at_least:
                image.draft("RGB", (at_least, at_least))
            image.load()
            turn = _orientation(image)
            if turn:
                odd.append("turned upright by its EXIF orientation")
            upright = _rgb(image.transpose(TURNS[turn]) if turn else image)
    except Image.DecompressionBombError:
        limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise ImageError(f"more than {limit:.0f} million pixels") from None
    except Image.UnidentifiedImageError:
        raise ImageError("not an image") from None
    except DAMAGE as error:
        raise ImageError("truncated" if "truncated" in str(error).lower() else f"damaged: {error}") from None
    if FORMATS.get(suffix.lower(), kind) != kind:
        odd.append(f"{kind} named {suffix}: read by its content")
    width, height = size[::-1] if turn >= 5 else size
    return DecodedImage(upright, width, height, kind, "; ".join(odd))


def drafted(data: bytes, at_least: int) -> tuple[int, int]:
    """Tell the width and height at which `decode` would have the file from its decoder, without decoding it.

    Raises:
        ImageError: it is not an image.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (at_least, at_least))
            return image.size
    except (Image.DecompressionBombError, Image.UnidentifiedImageError, *DAMAGE):
        return decode(data, at_least).size  # says why not


def _oddities(image: Image.Image) -> list[str]:
    """Say in words what an opened file needs beside decoding."""
    odd, mode = [], image.mode
    if mode == "P":
        odd.append("palette colours: read as RGB")
    elif mode in ("1", "L", "LA"):
        odd.append("grey: read as RGB")
    elif _is_deep(image):
        odd.append("16 bits a channel: scaled to 8")
    elif mode not in ("RGB", "RGBA"):
        odd.append(f"{mode}: read as RGB")
    if image.has_transparency_data:
        odd.append("transparent: put on white")
    frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
    if frames > 1:
        odd.append(f"animation of {frames} frames: the first is read")
    if min(image.size) < TINY:
        odd.append(f"smaller than {TINY} pixels")
    return odd


def _is_deep(image: Image.Image) -> bool:
    """Tell whether the file has more than eight bits a channel; Pillow cuts deep colours down while it reads."""
    tiles = getattr(image, "tile", [])
    stored = str(tiles[0].args) if tiles else ""
    return image.mode in ("I", "F") or image.mode.startswith("I;16") or ";16" in stored


def _orientation(image: Image.Image) -> int:
    """Read which turn makes the image upright, 0 for none."""
    try:
        found = image.getexif().get(0x0112)
    except DAMAGE:  # broken camera data beside sound pixels
        return 0
    return found if found in TURNS else 0


def _rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale a deep grey image to 0..255, which Pillow would cut off instead."""
    grey = np.nan_to_num(np.asarray(image, dtype=np.float64))
    peak = grey.max(initial=0)
    steps = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    top = 65535.0 if image.mode.startswith("I;16") else next((step for step in steps if peak <= step), peak)
    return Image.fromarray((grey.clip(0, top) * (255 / top)).round().astype(np.uint8))
