"""Editing: a run that begins at an image with noise, and keeps the part of it that is known.

The image y is given the noise of the plan's first row, x = α·y + σ·z with z the run's own noise, so that x has exactly
the law that a network expects there (SDEdit, arXiv:2108.01073). With a mask, what is known is put back after every row
at the level that x then has: x ← known·(α'·y + σ'·z) + (1 - known)·x, and y itself after the last (RePaint,
arXiv:2201.09865, eq. 8a). z is the noise that the run drew last: that of the start, and then that of every row which
adds some. So a deterministic sampler sees the known region on a straight path, a stochastic one sees it noised anew at
every step, and no further noise is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.errors import UsageError
from dtool.models.filling import fills_pictures, tell_edit
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.plan.late_start import check_strength
from dtool.run.given_start import is_tensor
from dtool.util.arguments import as_numbers

STRENGTH, MASKED_STRENGTH = 0.8, 1.0  # where none is named, as in diffusers
DRAWN = 0.5  # from which number on a mask says that a pixel is drawn anew


@dataclass(frozen=True, kw_only=True)
class GivenImage:
    """What the caller gives of an edit, as `dtool.sample` has it."""

    image: Any = None
    mask: Any = None
    strength: float | None = None

    def count(self, network: Network) -> int | None:
        """How many images are given; None if none is."""
        several = self.image is not None and np.ndim(_to_host(self.image)) > len(network.edited_shape)
        return None if self.image is None else len(self.image) if several else 1


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What a run begins at: `image` `(n, *shape)` float32 as the network samples it, how strongly it is changed.

    drawn: `(n, 1, H, W)` or as wide as the image, 1 where it is drawn anew and 0 where it is known; None without mask.
    """

    image: NDArray[np.float32]
    strength: float
    drawn: NDArray[np.float32] | None = None

    def take(self, index: Any) -> Edit:
        """That of the images at `index`."""
        drawn = None if self.drawn is None else self.drawn[index]
        return Edit(image=self.image[index], strength=self.strength, drawn=drawn)


class EditedRun:
    """One micro-batch of an edit: its start, and the noise of its rows, made of standard normal z `(B, *shape)`."""

    def __init__(self, network: Network, plan: Plan, edit: Edit, noise: Iterator[Any]) -> None:
        """noise: z of the start, then of each row that adds some."""
        self._plan, self._noise, self._row = plan, noise, 0
        self._scales = iter(plan.c[plan.c != 0].tolist())
        self._image, self._z = network.array(edit.image), next(noise)
        self._drawn = None if edit.drawn is None else network.array(edit.drawn)
        self._known = None if self._drawn is None else 1 - self._drawn
        self._from_noise = edit.strength == 1
        self.keep: Callable[[Any], Any] | None = None if self._drawn is None else self._put_back

    def make_start(self) -> Any:
        """x at the first row: the image with its noise, or at strength 1 noise alone where the image is not known."""
        noised = self._make_noised(0)
        if not self._from_noise:
            return noised
        start = self._plan.init * self._z
        return start if self._drawn is None else self._known * noised + self._drawn * start

    def _make_noised(self, row: int) -> Any:
        """The image at the level of this row, with the noise that was drawn last."""
        return float(self._plan.alpha[row]) * self._image + float(self._plan.sigma[row]) * self._z

    def _put_back(self, x: Any) -> Any:
        """x after a row, with what is known at the level of the next; after the last, the image itself."""
        self._row += 1
        level = self._image if self._row == self._plan.rows else self._make_noised(self._row)
        return self._known * level + self._drawn * x

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """c·z of the next row that adds noise."""
        self._z = next(self._noise)
        return self._z * next(self._scales)


def resolve_edit(
    network: Network, given: GivenImage, conditions: Mapping[str, Any] | None, count: int
) -> tuple[Edit | None, Mapping[str, Any] | None]:
    """The edit of `count` images, and the conditions that they are told.

    There is none without an image, and none at strength 1 without a mask, which is a usual run. A network that takes a
    mask and a picture as conditions is told them, and nothing is put back. Raises UsageError for what does not fit.
    """
    if given.image is None:
        for name, value in (("mask", given.mask), ("strength", given.strength)):
            if value is not None:
                raise UsageError(f"{name} is given without an image", "give the image, too: --image (image=)")
        return None, conditions
    require_edits(network, given)
    strength = given.strength
    if strength is None:
        strength = STRENGTH if given.mask is None else MASKED_STRENGTH
    check_strength(strength)
    drawn = None if given.mask is None else read_mask(network, given.mask, count)
    pictures = read_images(network, given.image, count)
    if drawn is not None and fills_pictures(network):
        conditions, drawn = tell_edit(network, pictures, drawn, conditions), None
    if drawn is not None:
        drawn = _shrink(network, drawn)
    elif strength == 1:
        return None, conditions
    kept = None if drawn is None else _spread(drawn, count)
    return Edit(image=_spread(_encode(network, pictures), count), strength=strength, drawn=kept), conditions


def require_edits(network: Network, given: GivenImage) -> None:
    """Raise UsageError for a sampler's file that cannot begin at the image, unless it need only be told of it."""
    usual = given.mask is not None and given.strength in (None, MASKED_STRENGTH)
    if not (usual and fills_pictures(network)):
        network.require_edits([name for name, value in vars(given).items() if value is not None])


def restore_known(network: Network, pictures: NDArray[Any], given: GivenImage) -> NDArray[Any]:
    """Decoded pictures `(n, *picture_shape)` with the pixels of the image where it is known; all of them at strength 0.

    What a codec makes of latents that are known is not the picture that they were made of.
    """
    image = read_images(network, given.image, len(pictures))
    if given.strength == 0:
        return np.broadcast_to(image, pictures.shape)
    return pictures if given.mask is None else np.where(read_mask(network, given.mask, len(pictures)), pictures, image)


def read_images(network: Network, image: ArrayLike, count: int) -> NDArray[np.float32]:
    """Pictures `(1 or count, *edited_shape)` in the network's range; raises UsageError for what are none of its."""
    shape, bounds = network.edited_shape, network.edited_range
    array = as_numbers("image", _to_host(image), f"of shape {shape}, or one each", whole=True)
    if array.shape == shape:
        array = array[None]
    if array.shape[1:] != shape or len(array) not in (1, count):
        raise UsageError(
            f"image has shape {np.shape(image)} for {count} results; the network's pictures are {shape}",
            "give one for all, or one each; dtool sample --image FILE --fit cuts and resizes it",
        )
    low, high = bounds or network.picture_range
    if array.dtype == np.uint8 and not network.decodes:
        return (array.astype(np.float32) / np.float32(255) * np.float32(high - low) + np.float32(low)).clip(low, high)
    if array.dtype.kind != "f":
        raise UsageError(f"image is of type {array.dtype}", "give floating-point numbers, or uint8 of 0 to 255")
    if bounds is not None and not (low <= array.min() and array.max() <= high):
        raise UsageError(
            f"image holds numbers from {array.min():.4g} to {array.max():.4g}; the network's are {low:g} to {high:g}",
            "scale them, or give whole numbers of 0 to 255 as uint8",
        )
    return array.astype(np.float32)


def read_mask(network: Network, mask: ArrayLike, count: int) -> NDArray[np.bool_]:
    """Where each picture is drawn anew, `(1 or count, *shape of one)`; raises UsageError for masks of another size.

    One that leaves nothing of a picture, or changes nothing in it, is refused too.
    """
    shape = network.edited_shape
    flat = (1, *shape[1:])
    array = as_numbers("mask", _to_host(mask), f"of shape {flat}", whole=True)
    if len(shape) == 3 and array.shape == shape[1:]:
        array = array[None]
    array = array[None] if array.shape in (flat, shape) else array
    if array.shape[1:] not in (flat, shape) or len(array) not in (1, count):
        raise UsageError(
            f"mask has shape {np.shape(mask)} for {count} results; the network's pictures are {shape}",
            f"give one of shape {flat} for all, or one each; dtool sample --mask FILE --fit cuts and resizes it",
        )
    if array.dtype == np.uint8 and array.max() > 1:
        array = array / 255
    if not (array.min() >= 0 and array.max() <= 1):
        raise UsageError("mask holds numbers outside 0 … 1", "1 is where the image is drawn anew, 0 where it is kept")
    drawn = np.asarray(array >= DRAWN, dtype=np.bool_)
    by_image = drawn.reshape(len(drawn), -1)
    if not by_image.any(axis=1).all():
        raise UsageError("mask is empty: it draws nothing anew", "give one that is above a half (white) somewhere")
    if by_image.all(axis=1).any():
        raise UsageError("mask is full: nothing of the image is kept", "leave out image and mask, or keep some of it")
    return drawn


def _shrink(network: Network, drawn: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask of the latents' size: a place is drawn anew if any pixel of it is, so that what is known is known."""
    if network.codec is None:
        return drawn
    height, width = network.shape[-2:]
    tall, wide = drawn.shape[-2] // height, drawn.shape[-1] // width
    blocks = drawn.any(axis=1).reshape(len(drawn), 1, height, tall, width, wide)
    small = np.asarray(blocks.any(axis=(3, 5)), dtype=np.bool_)
    if small.reshape(len(small), -1).all(axis=1).any():
        raise UsageError(
            f"mask keeps no whole place of {tall}x{wide} pixels, which is one latent", "keep a larger part of the image"
        )
    return small


def _encode(network: Network, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pictures as the network samples them: encoded one by one, so that none depends on the others."""
    if network.codec is None:
        return pictures
    return np.concatenate([network.codec.encode(pictures[i : i + 1]) for i in range(len(pictures))])


def _to_host(values: Any) -> Any:
    """A tensor, wherever it is, as numpy's; anything else as it is."""
    return values.detach().cpu().numpy() if is_tensor(values) else values


def _spread(array: NDArray[Any], count: int) -> NDArray[np.float32]:
    """One entry for every result, as float32."""
    return np.broadcast_to(array, (count, *array.shape[1:])).astype(np.float32)
