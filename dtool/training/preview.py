"""Look at the network while it trains: a grid of samples, one column per class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from dtool.models.codec import Codec
from dtool.models.spec import NetworkSpec, resolve_schedule
from dtool.run.load import load
from dtool.run.sampling import sample
from dtool.util.files import write_atomically
from dtool.util.pictures import get_max_tiles

STEPS, ROWS, COLUMNS = 25, 6, 16


def write(
    path: Path,
    network: nn.Module,
    spec: NetworkSpec,
    *,
    seed: int = 0,
    told: Mapping[str, NDArray[np.float32]] | None = None,
    codec: Codec | None = None,
) -> None:
    """Write a PNG of DDIM samples from `network`, small pixels enlarged; always from the same noise.

    told: its conditions for some images `(n, *shape)`, which are told in turn. codec: what decodes its samples.
    """
    shape = spec.shape if codec is None else codec.picture_shape
    columns = min(spec.classes, COLUMNS) or 8
    room = get_max_tiles(shape, 48)
    columns = min(columns, room)
    count, steps = max(1, min(ROWS, room // columns)) * columns, min(STEPS, resolve_schedule(spec).T)
    labels = [i % columns for i in range(count)] if spec.classes else None
    net = load(network, spec=spec, device="cuda" if next(network.parameters()).is_cuda else "cpu")
    net.is_builtin = True  # what it predicts need not be tried out: it was told so
    conditions = {name: values[np.arange(count) % len(values)] for name, values in (told or {}).items()}
    samples = sample(
        net, "ddim", steps=steps, n=count, seed=seed, labels=labels, batch_size=min(count, 32),
        conditions=conditions or None,
    )  # fmt: skip
    net.codec = codec
    picture = tile_images(net.to_pictures(samples.x0), columns)
    scale = max(1, 48 // min(shape[1:]))
    image = Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture)
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    write_atomically(path, lambda temporary: image.save(temporary, format="PNG"))


def tile_images(images: NDArray[np.float32], columns: int) -> NDArray[np.uint8]:
    """Images (N, C, H, W) in [-1, 1], row by row → one picture (rows·H, columns·W, 1 or 3) uint8."""
    pixels: NDArray[np.uint8] = np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8)
    pixels = pixels if pixels.shape[1] == 3 else pixels[:, :1]
    count, channels, height, width = pixels.shape
    rows = count // columns
    tiled = pixels[: rows * columns].reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    return tiled.reshape(rows * height, columns * width, channels)
