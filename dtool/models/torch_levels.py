"""The noise level at a time, inside a network: `Schedule.level` in PyTorch, so that it is exported with the network."""

from __future__ import annotations

import torch
from torch import Tensor

from dtool.schedulers.levels import Coordinates


def interpolate_levels(table: Tensor, t: Tensor, coordinates: Coordinates) -> tuple[Tensor, Tensor]:
    """(α, σ), (B,) each, at the times t (B,) of a schedule whose α and σ are `table` (2, T).

    λ = log(α/σ) is interpolated, σ in flow coordinates; where there is no signal at the next time, α and σ themselves.
    """
    first = t.floor().clamp(0, table.shape[1] - 1).long()
    (alpha, sigma), (alpha_next, sigma_next) = table[:, first], table[:, (first + 1).clamp(max=table.shape[1] - 1)]
    share = t - first
    straight = alpha + share * (alpha_next - alpha), sigma + share * (sigma_next - sigma)
    if coordinates == "flow":
        return straight
    has_signal = alpha_next > 0
    ends = [(a.clamp(min=1e-30) / s).log() for a, s in ((alpha, sigma), (alpha_next, sigma_next))]
    lam = ends[0] + share * (ends[1] - ends[0])
    whole = share == 0
    curved = _find_levels(lam, coordinates)
    pairs = zip((alpha, sigma), curved, straight, strict=True)
    alpha, sigma = (torch.where(whole, a, torch.where(has_signal, c, s)) for a, c, s in pairs)
    return alpha, sigma


def _find_levels(lam: Tensor, coordinates: Coordinates) -> tuple[Tensor, Tensor]:
    """(α, σ) with log(α/σ) = λ, as `alpha_sigma_from_lam`."""
    if coordinates == "vp":
        return torch.sigmoid(2 * lam).sqrt(), torch.sigmoid(-2 * lam).sqrt()
    if coordinates == "ve":
        return torch.ones_like(lam), (-lam).exp()
    ratio, inverse = lam.exp(), (-lam).exp()  # sub-vp: α = σ·e^λ and σ = 1 - α²
    return 2 / (inverse + (inverse.square() + 4).sqrt()), 2 / (1 + (1 + 4 * ratio.square()).sqrt())
