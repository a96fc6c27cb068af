"""A small training of an autoencoder that uses all that is random, and its pictures."""

from pathlib import Path
from typing import Any

import numpy as np

from dtool.data.images import Images
from dtool.training.codec_config import CodecConfig
from dtool.training.codec_session import CodecSession, start
from dtool.training.period import Period

SHAPE, LATENT = (3, 8, 12), (2, 4, 6)
SMALL = {"factor": 2, "latent_channels": 2, "width": 8}


def make_pictures(count: int = 24, seed: int = 0) -> Images:
    """Pictures in colour, of 8x12 pixels: a bright square on a ground, with a little noise."""
    rng = np.random.default_rng(seed)
    pixels = np.empty((count, *SHAPE), np.uint8)
    for one in pixels:
        one[:] = rng.integers(0, 100, (3, 1, 1))
        top, left = rng.integers(0, 5), rng.integers(0, 8)
        one[:, top : top + 4, left : left + 4] = rng.integers(120, 250, (3, 1, 1))
        one += rng.integers(0, 6, SHAPE).astype(np.uint8)
    return Images(pixels)


def write_pictures(path: Path, count: int = 24, seed: int = 0, classes: int = 0) -> Path:
    """The same as an .npz, with labels 0, 1, … if there are classes."""
    pictures = make_pictures(count, seed).pixels.transpose(0, 2, 3, 1)
    labels = {"y": np.arange(count) % classes} if classes else {}
    np.savez(path, x=pictures, **labels)
    return path


def make_config(**settings: Any) -> CodecConfig:
    """A small autoencoder's settings, that use all that is random."""
    usual = {"steps": 8, "batch_size": 4, "seed": 3, "flip": True, "validation": 0.25, **SMALL}
    return CodecConfig(**{**usual, **settings})


def codec_session(data: Path, output: Path, **settings: Any) -> CodecSession:
    """A run on the CPU that saves after every third step."""
    more = {name: settings.pop(name) for name in ("resume", "preview", "size") if name in settings}
    return start(str(data), output, make_config(**settings), device="cpu", save_every=Period(steps=3), **more)


def train_codec(data: Path, output: Path, **settings: Any) -> Path:
    """The folder of a small autoencoder, trained for a few steps."""
    for _ in codec_session(data, output, **settings).run():
        pass
    return output
