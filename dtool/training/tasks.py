"""Training with an image condition: from ordinary pictures to pairs of what is drawn and what the network is told.

A task takes pixels (B, C, H, W) in -1 … 1 apart. What the network is told is one of the pictures' own properties
(smaller, grey, with a hole), or the picture, where its mask is drawn. All randomness comes from the generator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from numpy.typing import NDArray
from torch import Tensor

from dtool.data.images import Images
from dtool.data.textures import Textures
from dtool.errors import UsageError, did_you_mean
from dtool.models.conditions import Condition
from dtool.models.unet_conditions import PictureInput
from dtool.training.backgrounds import paste_on_background
from dtool.training.random_numbers import Stream, make_generator

LUMA = (0.299, 0.587, 0.114)  # of grey in red, green and blue: ITU-R BT.601
EXAMPLES = 48  # of a preview
Shape = tuple[int, ...]
Pair = tuple[Tensor, dict[str, Tensor]]


class Task(Protocol):
    """What is drawn, and what the network is told; `needs_masks`: the pixels' last channel is a mask in -1 … 1."""

    @property
    def needs_masks(self) -> bool:
        """Whether the pixels' last channel is a mask."""
        ...

    def choose_shape(self, shape: Shape) -> Shape:
        """The shape (C, H, W) of what is drawn, for pixels of `shape`; raises UsageError for one that does not fit."""
        ...

    def list_pictures(self, shape: Shape) -> tuple[PictureInput, ...]:
        """The pictures that the network is told, for pixels of `shape`."""
        ...

    def list_numbers(self) -> Mapping[str, float]:
        """The numbers that it is told, and what they are where nobody says it."""
        ...

    def split(self, pixels: Tensor, generator: torch.Generator) -> Pair:
        """Pixels (B, *shape) → what is drawn, and the conditions by name."""
        ...


@dataclass(frozen=True)
class Upscale:
    """`low`, the means of squares of factor² pixels, → the picture.

    With probability 1/2 `low` has noise added, sqrt(1 - level²) low + level noise, level uniform in 0 … `augment`, and
    the network is told the `level` (noise augmentation: SR3, arXiv:2104.07636; CDM, arXiv:2106.15282, section 4.2).
    """

    factor: int
    augment: float = 0.3
    needs_masks: bool = field(default=False, init=False)

    def choose_shape(self, shape: Shape) -> Shape:
        """The pictures' own; raises UsageError if the factor does not divide their size."""
        if any(n % self.factor for n in shape[1:]):
            raise UsageError(
                f"--task upscale:{self.factor}: the pictures have {shape[1]}x{shape[2]} pixels",
                f"give --size HEIGHTxWIDTH, multiples of {self.factor}",
            )
        return shape

    def list_pictures(self, shape: Shape) -> tuple[PictureInput, ...]:
        """`low`."""
        return (PictureInput(name="low", channels=shape[0], factor=self.factor),)

    def list_numbers(self) -> Mapping[str, float]:
        """`level`, unless no noise is added."""
        return {"level": 0.0} if self.augment else {}

    def split(self, pixels: Tensor, generator: torch.Generator) -> Pair:
        """See the class."""
        low = F.avg_pool2d(pixels, self.factor)
        if not self.augment:
            return pixels, {"low": low}
        level = (2 * torch.rand(len(pixels), generator=generator) - 1).clamp(min=0) * self.augment
        noise, share = torch.randn(low.shape, generator=generator), level[:, None, None, None]
        return pixels, {"low": (1 - share**2).sqrt() * low + share * noise, "level": level}


@dataclass(frozen=True)
class Fill:
    """`known`, the picture, and `mask`, 1 in a random rectangle that is drawn anew and -1 elsewhere, → the picture.

    The sides of the rectangle are uniform in a quarter to three quarters of the picture's.
    """

    needs_masks: bool = field(default=False, init=False)

    def choose_shape(self, shape: Shape) -> Shape:
        """The pictures' own."""
        return shape

    def list_pictures(self, shape: Shape) -> tuple[PictureInput, ...]:
        """`known`, which the network sees only outside of `mask`."""
        return (
            PictureInput(name="known", channels=shape[0], hidden_by="mask"),
            PictureInput(name="mask", channels=1),
        )

    def list_numbers(self) -> Mapping[str, float]:
        """None."""
        return {}

    def split(self, pixels: Tensor, generator: torch.Generator) -> Pair:
        """See the class."""
        inside = torch.ones(len(pixels), 1, *pixels.shape[2:], dtype=torch.bool)
        for axis, size in ((2, pixels.shape[2]), (3, pixels.shape[3])):
            length, start = (torch.rand(len(pixels), generator=generator) for _ in range(2))
            side = ((0.25 + 0.5 * length) * size).round().clamp(min=1)
            first = (start * (size - side + 1)).floor()
            place = torch.arange(size)
            line = (place >= first[:, None]) & (place < (first + side)[:, None])
            inside &= line[:, None, :, None] if axis == 2 else line[:, None, None, :]
        return pixels, {"known": pixels, "mask": inside.float() * 2 - 1}


@dataclass(frozen=True)
class Colour:
    """`grey`, the picture's luma (ITU-R BT.601), → the picture."""

    needs_masks: bool = field(default=False, init=False)

    def choose_shape(self, shape: Shape) -> Shape:
        """The pictures' own; raises UsageError if they are grey."""
        if shape[0] != 3:
            raise UsageError("--task colour: the pictures are grey", "give pictures in colour")
        return shape

    def list_pictures(self, shape: Shape) -> tuple[PictureInput, ...]:  # noqa: ARG002 - a task's form
        """`grey`."""
        return (PictureInput(name="grey", channels=1),)

    def list_numbers(self) -> Mapping[str, float]:
        """None."""
        return {}

    def split(self, pixels: Tensor, generator: torch.Generator) -> Pair:  # noqa: ARG002 - a task's form
        """See the class."""
        weights = torch.tensor(LUMA, dtype=pixels.dtype)[None, :, None, None]
        return pixels, {"grey": (pixels * weights).sum(1, keepdim=True)}


@dataclass(frozen=True)
class Segment:
    """`picture` → its mask (1, H, W), 1 inside and -1 outside.

    cut_out: the mask is the pictures' alpha channel, and each is pasted on a background of its own, or else its edge
    would be seen without looking: see `dtool.training.backgrounds`. textures: of which most of these are parts.
    augment: the share of what is pasted that is moved, and of colours that are changed.
    """

    cut_out: bool = True
    textures: Textures | None = None
    augment: float = 0.5
    needs_masks: bool = field(default=True, init=False)

    def choose_shape(self, shape: Shape) -> Shape:
        """One channel."""
        return (1, *shape[1:])

    def list_pictures(self, shape: Shape) -> tuple[PictureInput, ...]:
        """`picture`, of all channels but the mask."""
        return (PictureInput(name="picture", channels=shape[0] - 1),)

    def list_numbers(self) -> Mapping[str, float]:
        """None."""
        return {}

    def split(self, pixels: Tensor, generator: torch.Generator) -> Pair:
        """See the class."""
        picture, mask = pixels[:, :-1], pixels[:, -1:]
        if self.cut_out:
            alpha = (mask + 1) / 2
            picture, alpha = paste_on_background(picture, alpha, generator, self.textures, self.augment)
            mask = 2 * alpha - 1
        return mask, {"picture": picture}


def parse_task(text: str, *, augment: float | None = None, masks: bool = False) -> Task:
    """`upscale:2`, `fill`, `colour` or `segment`; raises UsageError for another word, or for what has no meaning there.

    augment: the largest level of the noise of an upscaler's `low` [0.3], or the share of cut-outs, and of colours, that
    are varied [0.5]. masks: whether masks have files of their own.
    """
    name, _, option = text.partition(":")
    names: dict[str, Callable[..., Task]] = {"upscale": Upscale, "fill": Fill, "colour": Colour, "segment": Segment}
    if name not in names:
        raise UsageError(f"--task {text}: there is no such task", did_you_mean(name, names))
    if masks and name != "segment":
        raise UsageError(f"--masks are of --task segment, not of {text}", "leave --masks out")
    if augment is not None and (name not in ("upscale", "segment") or masks):
        raise UsageError(
            f"--augment is of --task upscale and of what --task segment cuts out, not of {text}", "leave --augment out"
        )
    if name == "upscale":
        if not option.isdecimal() or not 2 <= int(option) <= 64:
            raise UsageError(f"--task {text}: not a factor", "write upscale:2, at most 64")
        return Upscale(int(option), 0.3 if augment is None else augment)
    if option:
        raise UsageError(f"--task {text}: {name} has no options", f"write --task {name}")
    if name == "segment":
        return Segment(cut_out=not masks, augment=0.5 if augment is None else augment)
    return names[name]()


def describe_conditions(task: Task, shape: Shape) -> tuple[Condition, ...]:
    """The conditions of a network that is trained on pixels of `shape`, as its spec lists them."""
    height, width = shape[1:]
    level = "level" if isinstance(task, Upscale) and task.augment else None
    pictures = [
        Condition(name=one.name, shape=(one.channels, height // one.factor, width // one.factor), noised_by=level)
        for one in task.list_pictures(shape)
    ]
    return (*pictures, *(Condition(name=name, null=value) for name, value in task.list_numbers().items()))


def make_example_conditions(task: Task, images: Images, seed: int) -> dict[str, NDArray[np.float32]]:
    """What a network is told for the first few of the images, `(n, *shape)` by name."""
    pixels = torch.from_numpy(images.take(slice(0, EXAMPLES)))
    _, told = task.split(pixels, make_generator(seed, Stream.CONDITION))
    return {name: value.numpy() for name, value in told.items()}
