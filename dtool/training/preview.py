"""Look at the network while it trains: a grid of samples, one column a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from dtool.files import write_atomically
from dtool.networks.spec import NetworkSpec
from dtool.schedulers.schedule import Schedule
from dtool.training.draw import Stream, generator


@torch.no_grad()
def samples(
    network: nn.Module, spec: NetworkSpec, schedule: Schedule, *, rows: int, seed: int, steps: int = 25
) -> Tensor:
    """DDIM samples (arXiv:2010.02502, eq. 12 with η = 0) as (rows · columns, C, H, W) in [-1, 1], column = class."""
    columns = min(spec.classes, 16) or 8
    device = next(network.parameters()).device
    x = torch.randn((rows * columns, *spec.shape), generator=generator(seed, Stream.PREVIEW)).to(device)
    label = torch.arange(columns, device=device).repeat(rows) if spec.classes else None
    times = np.unique(np.linspace(0, schedule.T - 1, min(steps, schedule.T)).round().astype(int))[::-1]
    for now, to in zip(times, [*times[1:], None], strict=True):
        alpha, sigma = float(schedule.alpha[now]), float(schedule.sigma[now])
        t = torch.full((len(x),), float(now), device=device)
        x0 = _x0(network(x, t, label), x, alpha, sigma, spec.prediction).clamp(-1, 1)
        eps = (x - alpha * x0) / sigma
        x = x0 if to is None else float(schedule.alpha[to]) * x0 + float(schedule.sigma[to]) * eps
    return x.cpu()


def _x0(output: Tensor, x: Tensor, alpha: float, sigma: float, prediction: str) -> Tensor:
    if prediction == "x0":
        return output
    if prediction == "v":
        return alpha * x - sigma * output
    return (x - sigma * output) / max(alpha, 1e-8)


def grid(images: Tensor, columns: int) -> NDArray[np.uint8]:
    """Images (N, C, H, W) in [-1, 1], row by row → one picture (rows·H, columns·W, C) uint8; the first 3 channels."""
    pixels = ((images[:, :3].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    count, channels, height, width = pixels.shape
    rows = count // columns
    tiled = pixels[: rows * columns].reshape(rows, columns, channels, height, width).permute(0, 3, 1, 4, 2)
    array: NDArray[np.uint8] = tiled.reshape(rows * height, columns * width, channels).numpy()
    return array if channels == 3 else array[..., :1]


def write(
    path: Path, network: nn.Module, spec: NetworkSpec, schedule: Schedule, *, seed: int = 0, rows: int = 6
) -> None:
    """Write a PNG of samples, each pixel enlarged if the images are small."""
    picture = grid(samples(network, spec, schedule, rows=rows, seed=seed), min(spec.classes, 16) or 8)
    scale = max(1, 48 // min(spec.shape[1:]))
    image = Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture)
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    write_atomically(path, lambda temporary: image.save(temporary, format="PNG"))
