"""Pictures as a camera or a pen on a screen makes them."""

import base64
from io import BytesIO

from PIL import Image, ImageDraw


def drawn(points: tuple[tuple[int, int], ...] = ((40, 120), (120, 40), (200, 130), (300, 60))) -> str:
    """A signature as the field on the page sends it."""
    pad = Image.new("RGBA", (400, 160), (0, 0, 0, 0))
    ImageDraw.Draw(pad).line(points, fill=(16, 32, 64, 255), width=4)
    return in_base64(pad)


def in_base64(image: Image.Image) -> str:
    return base64.b64encode(encoded(image, "PNG")).decode()


def encoded(image: Image.Image, format: str, **how: object) -> bytes:
    written = BytesIO()
    image.save(written, format, **how)
    return written.getvalue()


def photo(size: tuple[int, int] = (640, 480), colour: str = "teal") -> bytes:
    return encoded(Image.new("RGB", size, colour), "JPEG")


def written_into(text: str) -> bytes:
    """A photo, lying on its side, with a text and the place where it was taken beside the pixels."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = text
    exif.get_ifd(0x8825).update({1: "N", 2: (31.0, 13.0, 49.0), 3: "E", 4: (121.0, 28.0, 11.0)})
    return encoded(Image.new("RGB", (400, 300), "teal"), "JPEG", exif=exif, comment=text.encode())
