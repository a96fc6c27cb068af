"""A decoder of a few weights, as a codec on PyTorch."""

from __future__ import annotations

import torch
from torch import nn

from dtool.models.codec import Codec
from tests.support.attending_networks import SHAPE


class TinyCodec(Codec):
    """Latents `SHAPE` to colour pictures of twice the height and width."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.latent_shape, self.picture_shape = SHAPE, (3, 2 * SHAPE[1], 2 * SHAPE[2])
        self.module = nn.Sequential(
            nn.Conv2d(SHAPE[0], 6, 3, padding=1), nn.SiLU(), nn.Upsample(scale_factor=2), nn.Conv2d(6, 3, 3, padding=1)
        ).eval()

    def to_module(self):
        """The decoder."""
        return self.module

    def _decode(self, latents):
        with torch.no_grad():
            return self.module(torch.from_numpy(latents).float()).numpy()
