"""What EDM's two U-Nets have in common (arXiv:2206.00364, appendix F.2, table 7): their levels, down and up.

Names of parameters are those of the files: `enc.32x32_block0.norm0.weight`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from math import sqrt

import torch
from torch import nn

from dtool.models.readers.edm_layers import Block, Change, Convolution, Taps


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What a U-Net is made of. channels: of the first level; multiples: a number each level, times that.

    attention: sizes of images at which there is attention. label_dim, augment_dim: numbers that a class and an
    augmentation are told by, 0 of none. fourier: the noise level is told by random frequencies, not by fixed ones.
    encoder: "standard", "skip" (the image goes down beside) or "residual" (what comes down beside is added and goes
    on); decoder: "standard" or "skip" (each level adds to the image).
    """

    resolution: int
    in_channels: int
    out_channels: int
    label_dim: int
    augment_dim: int
    channels: int
    multiples: tuple[int, ...]
    embedding_multiple: int
    blocks: int
    attention: tuple[int, ...]
    fourier: bool = False
    noise_multiple: int = 1
    encoder: str = "standard"
    decoder: str = "standard"
    taps: Taps = (1.0, 1.0)

    @property
    def names(self) -> tuple[str, ...]:
        """How the names of each level's layers begin, the largest image first."""
        return tuple(f"{size}x{size}" for size in self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The size of the images at each level."""
        return tuple(self.resolution >> level for level in range(len(self.multiples)))


class Levels(nn.Module, ABC):
    """Levels down and up, with a way across from each block to one on the other side."""

    attends_throughout = True  # on the way up, every block of a level with attention has it, not the last alone
    map_label: nn.Linear | None

    def __init__(self, shape: Architecture, noise_channels: int, first: int) -> None:
        """noise_channels: that the noise level is told by; first: channels of the first convolution."""
        super().__init__()
        self.shape = shape
        width = shape.channels * shape.embedding_multiple
        self.map_layer0, self.map_layer1 = nn.Linear(noise_channels, width), nn.Linear(width, width)
        if shape.augment_dim:  # told zeros here, of which it makes zeros
            self.map_augment = nn.Linear(shape.augment_dim, noise_channels, bias=False)
        self.enc, self.dec = nn.ModuleDict(), nn.ModuleDict()
        self._add_decoder(*self._add_encoder(first))

    @abstractmethod
    def _make_block(self, inputs: int, outputs: int, *, change: Change = None, attention: bool = False) -> Block:
        """A block from so many channels to so many."""

    def _add_encoder(self, first: int) -> tuple[int, list[int]]:
        """Returns the channels of the lowest level, and those that go across, the last of them first to be used."""
        shape = self.shape
        channels, beside, across = first, shape.in_channels, [first]
        for level, (name, size) in enumerate(zip(shape.names, shape.sizes, strict=True)):
            if level == 0:
                self.enc[f"{name}_conv"] = Convolution(shape.in_channels, first, 3)
            else:
                self.enc[f"{name}_down"] = self._make_block(channels, channels, change="down")
                beside = self._add_beside(name, beside, channels)
                across.append(channels)
            for i in range(shape.blocks):
                outputs = shape.channels * shape.multiples[level]
                self.enc[f"{name}_block{i}"] = self._make_block(channels, outputs, attention=size in shape.attention)
                channels = outputs
                across.append(channels)
        return channels, across

    def _add_beside(self, name: str, beside: int, channels: int) -> int:
        """The layers that go down beside the blocks; returns the channels of what does."""
        make = partial(Convolution, beside, taps=self.shape.taps)
        if self.shape.encoder == "skip":
            self.enc[f"{name}_aux_down"] = make(beside, 0, change="down")
            self.enc[f"{name}_aux_skip"] = make(channels, 1)
        if self.shape.encoder == "residual":
            self.enc[f"{name}_aux_residual"] = make(channels, 3, change="down", fused=True)
            return channels
        return beside

    def _add_decoder(self, channels: int, across: list[int]) -> None:
        shape = self.shape
        last = len(shape.multiples) - 1
        for level in reversed(range(len(shape.multiples))):
            name = shape.names[level]
            if level == last:
                self.dec[f"{name}_in0"] = self._make_block(channels, channels, attention=True)
                self.dec[f"{name}_in1"] = self._make_block(channels, channels)
            else:
                self.dec[f"{name}_up"] = self._make_block(channels, channels, change="up")
            outputs = shape.channels * shape.multiples[level]
            for i in range(shape.blocks + 1):
                attention = shape.sizes[level] in shape.attention and (self.attends_throughout or i == shape.blocks)
                self.dec[f"{name}_block{i}"] = self._make_block(channels + across.pop(), outputs, attention=attention)
                channels = outputs
            self._add_answer(level, channels)

    def _add_answer(self, level: int, channels: int) -> None:
        """The layers that make the answer of a level, if it gives one."""

    def forward(self, x: torch.Tensor, noise: torch.Tensor, classes: torch.Tensor | None = None) -> torch.Tensor:
        """F, `(B, out_channels, H, W)`, of x `(B, in_channels, H, W)`, c_noise `(B,)` and classes `(B, label_dim)`."""
        embedding = self._embed(noise, classes)
        x, across = self._go_down(x, embedding)
        return self._go_up(x, across, embedding)

    @abstractmethod
    def _embed(self, noise: torch.Tensor, classes: torch.Tensor | None) -> torch.Tensor:
        """What every block is told, of c_noise `(B,)` and classes `(B, label_dim)`."""

    def _go_down(self, x: torch.Tensor, embedding: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        beside, across = x, []
        for level, name in enumerate(self.shape.names):
            if level == 0:
                x = self.enc[f"{name}_conv"](x)
            else:
                x = self.enc[f"{name}_down"](x, embedding)
                x, beside = self._join_beside(name, x, beside)
            across.append(x)
            for i in range(self.shape.blocks):
                x = self.enc[f"{name}_block{i}"](x, embedding)
                across.append(x)
        return x, across

    def _join_beside(self, name: str, x: torch.Tensor, beside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.shape.encoder == "skip":
            beside = self.enc[f"{name}_aux_down"](beside)
            return x + self.enc[f"{name}_aux_skip"](beside), beside
        if self.shape.encoder == "residual":
            x = (x + self.enc[f"{name}_aux_residual"](beside)) / sqrt(2)
            return x, x
        return x, beside

    def _go_up(self, x: torch.Tensor, across: list[torch.Tensor], embedding: torch.Tensor) -> torch.Tensor:
        image: torch.Tensor | None = None
        for name in reversed(self.shape.names):
            entry = ("in0", "in1") if name == self.shape.names[-1] else ("up",)
            for part in entry:
                x = self.dec[f"{name}_{part}"](x, embedding)
            for i in range(self.shape.blocks + 1):
                x = self.dec[f"{name}_block{i}"](torch.cat([x, across.pop()], dim=1), embedding)
            image = self._add_to_answer(name, x, image)
        assert image is not None, "the largest level gives one"
        return image

    @abstractmethod
    def _add_to_answer(self, name: str, x: torch.Tensor, image: torch.Tensor | None) -> torch.Tensor | None:
        """The answer so far, with what a level on the way up adds to it; None before any level has."""
