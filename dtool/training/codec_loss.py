"""What an autoencoder is trained to lose little of, and how much it did: the loss, and the PSNR."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 1e-6  # mean squared error, below which the root is cut off: its slope at 0 has no end


def compute_reconstruction_loss(pictures: Tensor, truth: Tensor, edges: float) -> Tensor:
    """The mean over the batch of √(mean e² + edges · (mean (∂e)² down + across)); e = pictures - truth, (B, C, H, W).

    The root counts every picture by the share that its error falls by, as the PSNR does; the differences between
    neighbours are what edges are made of.
    """
    error = pictures.float() - truth.float()
    square = error.square().mean((1, 2, 3))
    if edges:
        square = square + edges * sum(error.diff(dim=axis).square().mean((1, 2, 3)) for axis in (-2, -1))
    return (square + LEAST).sqrt().mean()


def compute_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """The divergence of N(mean, exp(log_variance)) from the standard normal, a picture's, averaged over the batch.

    ½ Σ (μ² + σ² - 1 - ln σ²): Auto-Encoding Variational Bayes, arXiv:1312.6114, appendix B.
    """
    each = mean.square() + log_variance.exp() - 1 - log_variance
    return each.flatten(1).sum(1).mean() / 2


def compute_psnr(pictures: Tensor, truth: Tensor) -> Tensor:
    """The peak signal-to-noise ratio of each picture in dB, (B,), for numbers in -1 … 1: 10 log10(2² / mean e²)."""
    error = (pictures.float().clamp(-1, 1) - truth.float()).square().flatten(1).mean(1)
    return 10 * torch.log10(4 / error)
