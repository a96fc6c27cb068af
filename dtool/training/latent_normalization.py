"""An autoencoder's latents with mean 0 and deviation 1 in every channel, by its weights and not by its config."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dtool.data.images import Images

AT_ONCE = 32  # pictures that are encoded at a time


def normalize_latents(network: Any, images: Images, most: int) -> None:
    """Change the weights so that the latents have mean 0 and deviation 1 in every channel, and pictures are the same.

    The mean and deviation of the posterior's means over `most` of the pictures are folded into the 1x1 convolutions
    between the encoder, the latents and the decoder: so they hold in every library, of which many know of one scale
    alone. Afterwards scaling_factor is 1.
    """
    mean, deviation = _measure_latents(network, images, most)
    channels = len(mean)
    with torch.no_grad():
        out, back = network.quant_conv, network.post_quant_conv
        out.bias[:channels] -= mean
        out.weight[:channels] /= deviation[:, None, None, None]
        out.bias[:channels] /= deviation
        out.bias[channels:] -= 2 * deviation.log()
        back.bias += back.weight[:, :, 0, 0] @ mean
        back.weight *= deviation[None, :, None, None]
    network.register_to_config(scaling_factor=1.0, shift_factor=None, latents_mean=None, latents_std=None)


def _measure_latents(network: Any, images: Images, most: int) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel; that of one which hardly varies is a hundredth of the largest."""
    count = min(len(images), most)
    index = torch.linspace(0, len(images) - 1, count).round().long()
    weight = next(network.parameters())
    sums = torch.zeros(2, network.config.latent_channels, dtype=torch.float64)
    size = 0
    with torch.no_grad():
        for start in range(0, count, AT_ONCE):
            part = index[start : start + AT_ONCE].numpy()
            pixels = torch.from_numpy(images.take(part)).to(weight.device)
            latents = network.encode(pixels).latent_dist.mean.double().cpu()
            sums += torch.stack([latents.sum((0, 2, 3)), latents.square().sum((0, 2, 3))])
            size += latents[:, 0].numel()
    mean = sums[0] / size
    deviation = (sums[1] / size - mean.square()).clamp(min=0).sqrt()
    deviation = deviation.clamp(min=float(deviation.max()) / 100) if deviation.max() > 0 else torch.ones_like(deviation)
    return mean.to(weight), deviation.to(weight)
