"""What one step computes: noised images, their times and what the network is told, in parts where memory is short."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dtool.data.images import Images
from dtool.training.captions import CaptionVectors
from dtool.training.config import TrainConfig
from dtool.training.random_numbers import Stream, draw, make_generator
from dtool.training.tasks import Task
from dtool.training.times import TimeDistribution


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Images x0 (B, *), noise eps (B, *), times t (B,), labels (B,) if there are classes, conditions (B, …) by name."""

    x0: Tensor
    eps: Tensor
    t: Tensor
    label: Tensor | None
    told: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.x0)

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        label = None if self.label is None else self.label.to(device)
        told = {name: value.to(device) for name, value in self.told.items()}
        return Batch(x0=self.x0.to(device), eps=self.eps.to(device), t=self.t.to(device), label=label, told=told)

    def split(self, parts: int) -> Iterator[Batch]:
        """So many parts, of sizes as equal as they can be."""
        for index in torch.tensor_split(torch.arange(len(self)), parts):
            own = slice(int(index[0]), int(index[-1]) + 1)
            label = None if self.label is None else self.label[own]
            told = {name: value[own] for name, value in self.told.items()}
            yield Batch(x0=self.x0[own], eps=self.eps[own], t=self.t[own], label=label, told=told)


def make_batch(
    config: TrainConfig,
    images: Images,
    task: Task | None,
    step: int,
    times: TimeDistribution,
    text: CaptionVectors | None = None,
) -> Batch:
    """The batch of a step, on the CPU: a function of these arguments alone. text: the vectors of the captions."""
    shape = task.choose_shape(images.shape) if task else images.shape
    picked = draw(config.seed, step, config.batch_size, len(images), shape, times)
    pixels = torch.from_numpy(images.take(picked.index.numpy()))
    if config.flip:
        mirrored = torch.from_numpy(images.take_mirrored(picked.index.numpy()).copy())
        pixels = flip_half(pixels, make_generator(config.seed, Stream.FLIP, step), mirrored)
    x0, told = task.split(pixels, make_generator(config.seed, Stream.CONDITION, step)) if task else (pixels, {})
    if text is not None and images.captions is not None:
        generator = make_generator(config.seed, Stream.CAPTION, step)
        told[text.reference.name] = text.choose(
            images.captions, picked.index, config.caption_dropout, generator, config.caption_noise
        )
    label = _hide_labels(config, images, picked.index, picked.uniform)
    return Batch(x0=x0, eps=picked.noise, t=picked.t, label=label, told=told)


def flip_half(pixels: Tensor, generator: torch.Generator, mirrored: Tensor | None = None) -> Tensor:
    """Pixels (B, C, H, W), each mirrored left to right with probability 1/2.

    mirrored: all of them, where that is not the pixels' own mirror image, as of latents.
    """
    chosen = torch.rand(len(pixels), 1, 1, 1, generator=generator) < 0.5
    return torch.where(chosen, pixels.flip(-1) if mirrored is None else mirrored, pixels)


def _hide_labels(config: TrainConfig, images: Images, index: Tensor, uniform: Tensor) -> Tensor | None:
    """The labels (B,), some replaced by "no class" (classifier-free guidance, arXiv:2207.12598, algorithm 1)."""
    if images.labels is None or not images.class_names:
        return None
    labels = torch.from_numpy(images.labels[index.numpy()])
    return torch.where(uniform < config.label_dropout, len(images.class_names), labels)
