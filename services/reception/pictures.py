"""What a camera or a pen on a screen gives us, made into pictures that hold nothing but what is seen.

Every picture is decoded and encoded again: what a camera or a stranger wrote into the file is gone.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import puremagic
from PIL import Image, ImageOps

from access.problems import Problem

MOST_PIXELS = 50_000_000
"""Of a photo; one with more is refused by its header, before a pixel is decoded."""
LONGER_SIDE = 2048
"""Of a photo as it is kept."""
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
WIDEST, HIGHEST = 2_000, 1_000
"""Of a signature."""
LEAST_INK = 60
"""Dark pixels without which nobody has signed: a dot is no name."""
SHORTEST_STROKE = 24
"""Pixels from end to end."""
Image.MAX_IMAGE_PIXELS = None  # its own limit is higher than ours and only warns at first


@dataclass(frozen=True, slots=True)
class Picture:
    content: bytes
    media_type: str
    width: int
    height: int


def photo(body: bytes) -> Picture:
    """A JPEG of at most `LONGER_SIDE` pixels, upright. Raises the problem of what is no photo."""
    try:
        found = puremagic.from_string(body, mime=True)
    except (puremagic.PureError, ValueError):
        found = ""
    if found not in FORMATS:
        raise Problem(415, "Only photos in JPEG, PNG or WebP are kept.")
    taken = _opened(body, FORMATS[found], _within_pixels)
    taken.thumbnail((LONGER_SIDE, LONGER_SIDE))
    # A new picture: a comment of the old one would be written into its copy.
    kept = Image.new("RGB", taken.size, "white")
    kept.paste(taken, mask=taken.getchannel("A") if taken.mode == "RGBA" else None)
    return _encoded(kept, "JPEG", "image/jpeg", quality=85)


def signature(drawn: str) -> Picture:
    """What was drawn on the screen, as a PNG in base64. Raises the problem of what is no signature."""
    if not drawn:
        raise _nothing()
    try:
        body = base64.b64decode(drawn, validate=True)
    except (binascii.Error, ValueError):
        raise Problem(422, "The signature is not a PNG in base64.") from None
    if not body.startswith(b"\x89PNG"):
        raise Problem(422, "The signature is not a PNG in base64.")
    written = _opened(body, "PNG", _within_pad)
    paper = Image.new("RGBA", written.size, "white")
    paper.alpha_composite(written.convert("RGBA"))
    grey = paper.convert("L")
    ink = grey.point(lambda light: 255 if light < 128 else 0)
    box = ink.getbbox()
    amount = ink.histogram()[255]
    if (
        box is None
        or amount < LEAST_INK
        or amount > grey.width * grey.height // 2
        or max(box[2] - box[0], box[3] - box[1]) < SHORTEST_STROKE
    ):
        raise _nothing()
    return _encoded(grey, "PNG", "image/png", optimize=True)


def _nothing() -> Problem:
    return Problem(422, "Nothing was signed: please let the customer sign in the field.")


def _opened(body: bytes, format: str, check: Callable[[Image.Image], None]) -> Image.Image:
    """Decoded, upright, in RGB or RGBA; `check` sees the size before."""
    try:
        image = Image.open(BytesIO(body), formats=(format,))
        check(image)
        image.draft("RGB", (LONGER_SIDE, LONGER_SIDE))  # a large JPEG is decoded smaller at once
        upright = ImageOps.exif_transpose(image)
        return upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    except Problem:
        raise
    except Exception:  # whatever a decoder makes of a damaged file
        raise Problem(422, "This picture is damaged and cannot be read.") from None


def _within_pixels(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise Problem(422, f"This picture has more than {MOST_PIXELS // 1_000_000} megapixels.")


def _within_pad(image: Image.Image) -> None:
    if image.width > WIDEST or image.height > HIGHEST:
        raise Problem(422, f"A signature has at most {WIDEST} by {HIGHEST} pixels.")


def _encoded(image: Image.Image, format: str, media_type: str, **how: int) -> Picture:
    written = BytesIO()
    image.save(written, format, **how)
    return Picture(written.getvalue(), media_type, image.width, image.height)
