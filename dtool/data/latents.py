"""Pictures as a codec encodes them, once and for all: what a network of latents is trained on."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.data.images import Images
from dtool.models.codec import Codec
from dtool.models.spec import PixelStatistics
from dtool.util import memory

AT_ONCE = 64  # pictures that are converted at a time


@dataclass(frozen=True)
class LatentImages(Images):
    """Latents in memory: `pixels` (N, C, H, W) float32, as the codec scales them, with the pictures' labels.

    pictures: what they were made of. codec_fingerprint: a checksum of what made them. mirrored: the latents of the
    mirrored pictures, which are not the mirrored latents; None if nobody asks for them.
    """

    pictures: Images | None = None
    codec_fingerprint: int = 0
    mirrored: NDArray[np.float32] | None = None

    def take_mirrored(self, index: Any = slice(None)) -> NDArray[np.float32]:
        """The latents at `index` of the mirrored pictures, (B, C, H, W)."""
        assert self.mirrored is not None, "encoded with mirrored=True"
        return np.asarray(self.mirrored[index], np.float32)

    def fingerprint(self) -> int:
        """A checksum of the pictures and the codec: the last bits of what it computes differ between machines."""
        assert self.pictures is not None, "made by encode_images"
        return zlib.crc32(self.codec_fingerprint.to_bytes(4, "little"), self.pictures.fingerprint())

    def statistics(self) -> PixelStatistics:
        """Mean and covariance of the pictures: what a sampled latent is decoded to is compared with them."""
        assert self.pictures is not None, "made by encode_images"
        return self.pictures.statistics()


def encode_images(images: Images, codec: Codec, fingerprint: int, *, mirrored: bool = False) -> LatentImages:
    """The mean of the codec's posterior for every picture, and for every mirrored one if asked.

    fingerprint: a checksum of the codec. Raises UsageError if there is no memory for them.
    """
    size = 4 * len(images) * prod(codec.latent_shape) * (1 + mirrored)
    memory.require_room(size, f"the latents of {len(images)} images", "give fewer images")
    return LatentImages(
        pixels=_encode(images, codec, mirrored=False), labels=images.labels, class_names=images.class_names,
        captions=images.captions, pictures=images, codec_fingerprint=fingerprint,
        mirrored=_encode(images, codec, mirrored=True) if mirrored else None,
    )  # fmt: skip


def _encode(images: Images, codec: Codec, *, mirrored: bool) -> NDArray[np.float32]:
    latents = np.empty((len(images), *codec.latent_shape), np.float32)
    take = images.take_mirrored if mirrored else images.take
    for start in range(0, len(images), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        latents[part] = codec.encode(take(part))
    return latents
