"""Decoding picture files: any kind of file becomes an upright RGB picture, or a reason why not."""

import io
import struct
import warnings
import zlib

import numpy as np
from PIL import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
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


class PictureError(ValueError):
    """Say in a few words why some bytes are not a picture that can be read."""


def decode(data: bytes, at_least: int | None = None) -> Image.Image:
    """Decode a file's first frame as an upright RGB picture on a white ground.

    Args:
        data: the whole file.
        at_least: a side in pixels; a JPEG may come at a half, quarter or eighth of its size that is no smaller.
    """
    if not data:
        raise PictureError("empty file")
    try:
        with Image.open(io.BytesIO(data)) as image:
            if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
                raise Image.DecompressionBombError
            if at_least:
                image.draft("RGB", (at_least, at_least))
            image.load()
            return _rgb(_upright(image))
    except Image.DecompressionBombError:
        limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise PictureError(f"more than {limit:.0f} million pixels") from None
    except Image.UnidentifiedImageError:
        raise PictureError("not a picture") from None
    except DAMAGE as error:
        raise PictureError("truncated" if "truncated" in str(error).lower() else f"damaged: {error}") from None


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(0x0112)
    except DAMAGE:  # broken camera data beside sound pixels
        orientation = None
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def _rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale a deep grey picture to 0..255, which Pillow would cut off instead."""
    grey = np.nan_to_num(np.asarray(image, dtype=np.float64))
    peak = grey.max(initial=0)
    steps = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    top = 65535.0 if image.mode.startswith("I;16") else next((step for step in steps if peak <= step), peak)
    return Image.fromarray((grey.clip(0, top) * (255 / top)).round().astype(np.uint8))
