"""The loss on images that are held out, by noise level: where a network has learnt something, and where it overfits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from dtool.data.images import Images
from dtool.errors import DtoolError
from dtool.training.batch import Batch
from dtool.training.captions import CaptionVectors
from dtool.training.loss import Loss
from dtool.training.random_numbers import Stream, make_generator
from dtool.training.tasks import Task

LEVELS = 8
AT_ONCE = 64  # images
MOST = 512  # images that are looked at


@dataclass(frozen=True)
class LevelLoss:
    """The mean loss of times first … last, unweighted: of each time's images, the mean square of the error."""

    first: int
    last: int
    loss: float


def hold_out(images: Images, share: float, seed: int) -> tuple[Images, Images | None]:
    """What is trained on, and `share` of the images, drawn by the seed, that is not; None for a share of 0.

    Raises DtoolError if one of them would be empty.
    """
    if not share:
        return images, None
    count = round(share * len(images))
    if not 1 <= count <= len(images) - 2:
        raise DtoolError(
            f"--validation {share:g} of {len(images)} images is {count}", "give more images, or another share"
        )
    order = torch.randperm(len(images), generator=make_generator(seed, Stream.HELD_OUT)).numpy()
    return images.pick(np.sort(order[count:])), images.pick(np.sort(order[:count]))


def measure(
    call: Callable[[Tensor, Batch], Tensor],
    images: Images,
    loss: Loss,
    task: Task | None,
    *,
    times: int,
    seed: int,
    text: CaptionVectors | None = None,
) -> list[LevelLoss]:
    """The loss of each of 8 equal ranges of times, the least noise first; always on the same images, times and noise.

    call: the network's output for x_t and its batch. text: the captions' vectors; an image's first caption is told.
    loss: with weights that are all 1.
    """
    edges = np.linspace(0, times, min(LEVELS, times) + 1).astype(int)
    results = []
    with torch.no_grad():
        for level, (first, end) in enumerate(pairwise(edges)):
            g = make_generator(seed, Stream.VALIDATION, level)
            total, count = 0.0, min(len(images), MOST)
            for start in range(0, count, AT_ONCE):
                part = slice(start, min(start + AT_ONCE, count))
                batch = _make_batch(images, part, task, (first, end), g)
                if text is not None and images.captions is not None:
                    batch.told[text.reference.name] = text.take_first(images.captions, part)
                batch = batch.to(loss.device)
                output = call(loss.add_noise(batch.x0, batch.eps, batch.t), batch)
                total += float(loss.compute_per_image(output, batch.x0, batch.eps, batch.t).sum())
            results.append(LevelLoss(int(first), int(end) - 1, total / count))
    return results


def _make_batch(images: Images, part: slice, task: Task | None, times: tuple[int, int], g: torch.Generator) -> Batch:
    pixels = torch.from_numpy(images.take(part))
    x0, told = task.split(pixels, g) if task else (pixels, {})
    labels = images.labels if images.class_names else None
    return Batch(
        x0=x0,
        eps=torch.randn(x0.shape, generator=g),
        t=torch.randint(int(times[0]), int(times[1]), (len(x0),), generator=g),
        label=None if labels is None else torch.from_numpy(labels[part]),
        told=told,
    )
