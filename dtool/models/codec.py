"""From a network's own space to pictures and back: an autoencoder, with the scale and shift of its latents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.models.micro_batch import choose_micro_batch
from dtool.models.tiles import Call, Tiles, choose_tiles

NUMBERS_AT_ONCE = 1 << 20  # of the pictures of one call: what lies between holds some hundred times as many


class Codec(ABC):
    """Decodes latents to pictures, and encodes pictures as latents. A subclass implements `_decode` and `_encode`.

    latent_shape: one latent, as the network samples it. picture_shape: its picture `(C, H, W)`, in -1 … 1.
    takes_any_size: whether `_decode` and `_encode` take other heights and widths, so that tiles are possible.
    tile: latent pixels along the side of the tiles that a picture is decoded and encoded in, 0 for none; None lets the
    picture's size decide (`dtool.models.tiles`).
    """

    latent_shape: tuple[int, ...]
    picture_shape: tuple[int, ...]
    takes_any_size: bool = False
    tile: int | None = None

    @property
    def batch_size(self) -> int:
        """How many pictures, or tiles of them, are decoded or encoded at a time."""
        tiles = self.choose_tiles()
        shape = self.picture_shape
        if tiles is not None:
            shape = (shape[0], *(min(tiles.size, length) * tiles.factor for length in tiles.latent_size))
        return max(1, choose_micro_batch(shape, NUMBERS_AT_ONCE))

    def describe(self) -> str:
        """What it is, in a word."""
        return type(self).__name__

    def choose_tiles(self) -> Tiles | None:
        """The tiles of a picture; None if it stays whole. Raises UsageError for a tile that cannot be."""
        if self.tile and not self.takes_any_size:
            raise UsageError(
                f"this decoder takes latents of {self.latent_shape} alone, and no tiles of them",
                "leave out --decoder-tile (tile=), or export it with a free height and width",
            )
        return choose_tiles(self.latent_shape, self.picture_shape, self.tile) if self.takes_any_size else None

    def decode(self, latents: NDArray[Any]) -> NDArray[np.float32]:
        """Pictures `(B, *picture_shape)` in -1 … 1, cut off there, of latents `(B, *latent_shape)`."""
        _require_shape("latents", latents, self.latent_shape)
        [pictures] = self._run(lambda part: (self._decode(part),), latents, decodes=True)
        return pictures.clip(-1, 1, out=pictures)

    def encode(self, pictures: NDArray[Any], noise: NDArray[Any] | None = None) -> NDArray[np.float32]:
        """Latents `(B, *latent_shape)` of pictures `(B, *picture_shape)` in -1 … 1.

        noise: standard normal, of the latents' shape, for a sample of the posterior instead of its mode.
        """
        _require_shape("pictures", pictures, self.picture_shape)
        mean, deviation = self._run(self._encode, pictures, decodes=False)
        if noise is None:
            return mean
        _require_shape("noise", noise, self.latent_shape)
        if len(noise) != len(pictures):
            raise UsageError(f"noise is for {len(noise)} pictures, and there are {len(pictures)}",
                             "give an array of one entry per image")  # fmt: skip
        sample: NDArray[np.float32] = (mean + deviation * noise).astype(np.float32)
        return sample

    def to_module(self) -> Any:
        """The decoder as an nn.Module on tensors, from latents to pictures that are not cut off yet, for an export.

        Raises UsageError for a codec that is none.
        """
        raise UsageError(
            f"the decoder of this model ({type(self).__name__}) is no PyTorch module that can be exported",
            "leave it out of the file, with decode=False (--no-decode)",
        )

    def _run(self, call: Call, values: NDArray[Any], *, decodes: bool) -> tuple[NDArray[np.float32], ...]:
        """What `call` makes of the values, some of them at a time, whole or in tiles."""
        tiles, size = self.choose_tiles(), self.batch_size

        def run(part: NDArray[Any]) -> tuple[NDArray[Any], ...]:
            return call(part) if tiles is None else tiles.run(call, part, decodes=decodes)

        parts = [run(values[first : first + size]) for first in range(0, len(values), size)]
        return tuple(np.concatenate(each).astype(np.float32, copy=False) for each in zip(*parts, strict=True))

    @abstractmethod
    def _decode(self, latents: NDArray[Any]) -> NDArray[Any]:
        """Pictures of a few latents."""

    def _encode(self, pictures: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Mean and standard deviation of the latents of a few pictures, in the network's own scale."""
        del pictures
        raise UsageError("this model decodes only: it has no encoder", "open the whole model, its encoder included")


def _require_shape(name: str, values: NDArray[Any], shape: tuple[int, ...]) -> None:
    if tuple(np.shape(values)[1:]) != shape or not len(values):
        raise UsageError(f"{name} have shape {np.shape(values)}; the model's are (B, {', '.join(map(str, shape))})",
                         "give an array of one entry per image")  # fmt: skip
