"""EDM's two U-Nets: DDPM++ and NCSN++ (arXiv:2011.13456), and ADM (arXiv:2105.05233).

Written from the papers, and from what arXiv:2206.00364 says of both in appendix F.2 and table 7.
"""

from __future__ import annotations

from math import pi, sqrt

import torch
from torch import nn
from torch.nn import functional

from dtool.models.readers.edm_layers import Block, Change, Convolution, make_norm
from dtool.models.readers.edm_levels import Architecture, Levels

CHANNELS_PER_HEAD = 64  # of ADM's attention
PERIODS = 10_000  # of the sinusoids that a noise level is told by


class Sinusoids(nn.Module):
    """Cosines and sines of a noise level, at frequencies that fall from 1: to 1/10000 itself if `closed`."""

    def __init__(self, channels: int, *, closed: bool) -> None:
        super().__init__()
        self.pairs, self.closed = channels // 2, closed

    def forward(self, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`(B,)` to two `(B, channels/2)`."""
        share = torch.arange(self.pairs, dtype=torch.float32, device=noise.device) / (self.pairs - self.closed)
        angle = noise[:, None] * (1 / PERIODS) ** share
        return angle.cos(), angle.sin()


class RandomSinusoids(nn.Module):
    """Cosines and sines of a noise level at the frequencies that the file holds."""

    freqs: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("freqs", torch.empty(channels // 2))

    def forward(self, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`(B,)` to two `(B, channels/2)`."""
        angle = noise[:, None] * (2 * pi * self.freqs)
        return angle.cos(), angle.sin()


class SongUNet(Levels):
    """DDPM++ and NCSN++: one head of attention, sums divided by √2, the embedding added."""

    attends_throughout = False

    def __init__(self, shape: Architecture) -> None:
        noise_channels = shape.channels * shape.noise_multiple
        super().__init__(shape, noise_channels, shape.channels)
        self.map_noise = RandomSinusoids(noise_channels) if shape.fourier else Sinusoids(noise_channels, closed=True)
        self.map_label = nn.Linear(shape.label_dim, noise_channels) if shape.label_dim else None

    def _make_block(self, inputs: int, outputs: int, *, change: Change = None, attention: bool = False) -> Block:
        shape = self.shape
        return Block(
            inputs, outputs, shape.channels * shape.embedding_multiple, heads=int(attention), change=change,
            adaptive=False, past=True, scale=sqrt(0.5), eps=1e-6, taps=shape.taps,
        )  # fmt: skip

    def _add_answer(self, level: int, channels: int) -> None:
        shape, name = self.shape, self.shape.names[level]
        if shape.decoder == "skip" and level < len(shape.multiples) - 1:
            self.dec[f"{name}_aux_up"] = Convolution(
                shape.out_channels, shape.out_channels, 0, change="up", taps=shape.taps
            )
        if shape.decoder == "skip" or level == 0:
            self.dec[f"{name}_aux_norm"] = make_norm(channels, 1e-6)
            self.dec[f"{name}_aux_conv"] = Convolution(channels, shape.out_channels, 3)

    def _embed(self, noise: torch.Tensor, classes: torch.Tensor | None) -> torch.Tensor:
        cosine, sine = self.map_noise(noise)
        told = torch.cat([sine, cosine], dim=1)
        if self.map_label is not None and classes is not None:
            told = told + self.map_label(classes * sqrt(self.shape.label_dim))
        return functional.silu(self.map_layer1(functional.silu(self.map_layer0(told))))

    def _add_to_answer(self, name: str, x: torch.Tensor, image: torch.Tensor | None) -> torch.Tensor | None:
        if f"{name}_aux_conv" not in self.dec:
            return image
        answer: torch.Tensor = self.dec[f"{name}_aux_conv"](functional.silu(self.dec[f"{name}_aux_norm"](x)))
        return answer if image is None else answer + self.dec[f"{name}_aux_up"](image)


class DhariwalUNet(Levels):
    """ADM: heads of 64 channels at every block of a level with attention; the embedding scales and shifts."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__(shape, shape.channels, shape.channels * shape.multiples[0])
        width = shape.channels * shape.embedding_multiple
        self.map_noise = Sinusoids(shape.channels, closed=False)
        self.map_label = nn.Linear(shape.label_dim, width, bias=False) if shape.label_dim else None
        last = shape.channels * shape.multiples[0]
        self.out_norm, self.out_conv = make_norm(last, 1e-5), Convolution(last, shape.out_channels, 3)

    def _make_block(self, inputs: int, outputs: int, *, change: Change = None, attention: bool = False) -> Block:
        heads = outputs // CHANNELS_PER_HEAD if attention else 0
        if attention and outputs % CHANNELS_PER_HEAD:
            raise ValueError(f"attention of {outputs} channels in heads of {CHANNELS_PER_HEAD}")
        return Block(
            inputs, outputs, self.shape.channels * self.shape.embedding_multiple, heads=heads, change=change,
            adaptive=True, past=False, scale=1.0, eps=1e-5,
        )  # fmt: skip

    def _embed(self, noise: torch.Tensor, classes: torch.Tensor | None) -> torch.Tensor:
        told = self.map_layer1(functional.silu(self.map_layer0(torch.cat(self.map_noise(noise), dim=1))))
        if self.map_label is not None and classes is not None:
            told = told + self.map_label(classes)
        return functional.silu(told)

    def _add_to_answer(self, name: str, x: torch.Tensor, image: torch.Tensor | None) -> torch.Tensor | None:
        if name != self.shape.names[0]:
            return image
        answer: torch.Tensor = self.out_conv(functional.silu(self.out_norm(x)))
        return answer


def make_unet(kind: str, shape: Architecture) -> Levels:
    """The U-Net of EDM's class of this name."""
    return SongUNet(shape) if kind == "SongUNet" else DhariwalUNet(shape)
