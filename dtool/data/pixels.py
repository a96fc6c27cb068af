"""A picture file's pixels in eight bits, grey or in colour, whatever the file holds."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

GREY = ("1", "L", "LA", "La")


def eight_bit(file: Image.Image) -> Image.Image:
    """An opened file upright, in mode L or RGB: 16 bits are scaled to 8, what is transparent becomes white.

    Raises ValueError for pixels that are no numbers of up to 16 bits.
    """
    image = ImageOps.exif_transpose(file)
    if image.mode.startswith("I"):  # Pillow's own conversion cuts 16 bits off at 255
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its pixels have more than 16 bits")
        image = Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers")
    mode = "L" if image.mode in GREY else "RGB"
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)
