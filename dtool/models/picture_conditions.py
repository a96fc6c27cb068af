"""From pictures to the conditions of a network whose input holds another image: its latents, and a small mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.models.codec import Codec


@dataclass(frozen=True, kw_only=True)
class PictureConditions:
    """Makes the condition called `latents`, and that called `mask` if there is one, of pictures of the codec's size.

    A mask `(1, H, W)` is above 0 where the picture is drawn anew; there the other picture is left out before it is
    encoded. from_codec: what the network takes, of the codec's latents.
    """

    codec: Codec
    latents: str
    mask: str | None = None
    from_codec: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The pictures' shapes `(C, H, W)`, by the names of the conditions that are made of them."""
        shape = self.codec.picture_shape
        return {self.latents: shape} | ({self.mask: (1, *shape[1:])} if self.mask else {})

    def prepare(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """`values` by name, one for all images `(C, H, W)` or `(n, C, H, W)`, with those that are pictures encoded.

        What has another shape stays as it is. Raises UsageError for masks and pictures of different numbers.
        """
        prepared, shapes = dict(values), self.shapes
        arrays = {name: np.asarray(values[name], dtype=np.float32) for name in shapes if name in values}
        pictures = {name for name, array in arrays.items() if array.shape[-3:] == shapes[name]}
        if self.latents in pictures:
            picture = arrays[self.latents]
            if self.mask in arrays:
                picture = self._cut_out(picture, arrays[self.mask])
            several = picture.reshape(-1, *picture.shape[-3:])
            latents = self.from_codec(self.codec.encode(several))
            prepared[self.latents] = latents.reshape(*picture.shape[:-3], *latents.shape[1:])
        if self.mask in pictures:
            prepared[self.mask] = self._shrink(arrays[self.mask])
        return prepared

    def _cut_out(self, picture: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
        """The picture, 0 where the mask, of its own size or of the latents', is above 0."""
        factor = max(1, self.codec.picture_shape[-1] // mask.shape[-1]) if mask.ndim >= 2 else 1
        whole = mask.repeat(factor, axis=-2).repeat(factor, axis=-1) if factor > 1 else mask
        try:
            hidden: NDArray[Any] = np.where(whole > 0, np.float32(0), picture)
        except ValueError as error:
            raise UsageError(
                f"{self.mask} has shape {mask.shape}, and {self.latents} {picture.shape}",
                "give a mask for each picture",
            ) from error
        return hidden

    def _shrink(self, mask: NDArray[Any]) -> NDArray[np.float32]:
        """The mask of the latents' size: 1 where the first pixel of a place is above 0, as in diffusers."""
        factor = self.codec.picture_shape[-1] // self.codec.latent_shape[-1]
        small: NDArray[np.float32] = (mask[..., ::factor, ::factor] > 0).astype(np.float32)
        return small
