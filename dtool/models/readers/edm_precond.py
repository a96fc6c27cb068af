"""The four ways in which EDM's networks are told x and σ: arXiv:2206.00364, table 1, columns VP, VE, iDDPM and EDM.

EDM's own is a prediction of dtool's, F(c_in·x, ln(σ)/4), and the others are networks that predict the noise of
x0 + σ·ε: c_skip is 1 there, and c_out is σ or -σ.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1, pi, sin, sqrt
from typing import Any

import torch
from torch import nn

from dtool.models.readers.edm_settings import Settings


class ClassNetwork(nn.Module):
    """F(x, c_noise[, label]): the class one-hot, all zeros where the label means none."""

    def __init__(self, unet: nn.Module, classes: int) -> None:
        super().__init__()
        self.unet, self.classes = unet, classes

    def forward(self, x: torch.Tensor, noise: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        """One call, `(B, C, H, W)`."""
        if label is None:
            return self.unet(x, noise)  # type: ignore[no-any-return]
        table = torch.eye(self.classes + 1, self.classes, device=x.device)
        return self.unet(x, noise, table[label])  # type: ignore[no-any-return]


class NoiseNetwork(nn.Module):
    """ε of x0 + σ·ε, of (x, σ[, label]): x is scaled by c_in, and the network inside told c_noise."""

    levels: torch.Tensor

    def __init__(self, network: nn.Module, settings: Settings, levels: Sequence[float]) -> None:
        """levels: of improved DDPM, σ from the noisiest to 0; not looked at of others."""
        super().__init__()
        self.network, self.settings = network, settings
        self.is_scaled = settings.class_name != "VEPrecond"
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float32))

    def forward(self, x: torch.Tensor, sigma: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        """One call, `(B, C, H, W)`."""
        scaled = x / (sigma**2 + 1).sqrt().reshape(-1, 1, 1, 1) if self.is_scaled else x
        output = self.network(scaled, self._tell(sigma), label)[:, : x.shape[1]]
        return output if self.is_scaled else -output  # type: ignore[no-any-return]

    def _tell(self, sigma: torch.Tensor) -> torch.Tensor:
        """c_noise."""
        own = self.settings
        if own.class_name == "VEPrecond":
            return (sigma / 2).log()
        if own.class_name == "VPPrecond":
            root = (own.beta_min**2 + 2 * own.beta_d * torch.log1p(sigma**2)).sqrt()
            return (own.M - 1) * (root - own.beta_min) / own.beta_d
        nearest = (self.levels - sigma[:, None]).abs().argmin(dim=1)
        return own.M - 1 - nearest.to(sigma.dtype)


def compute_iddpm_levels(settings: Settings) -> list[float]:
    """u_0 … u_M of improved DDPM's cosine, falling to 0: its `u`, where a file does not hold it."""
    levels = [0.0]
    for j in range(settings.M, 0, -1):
        now, before = (sin(pi / 2 * i / (settings.M * (settings.C_2 + 1))) ** 2 for i in (j, j - 1))
        levels.append(sqrt((levels[-1] ** 2 + 1) / max(before / now, settings.C_1) - 1))
    return levels[::-1]


def find_sigma_range(settings: Settings, levels: Sequence[float]) -> tuple[float, float]:
    """The levels that the network was trained for, at most 0 … ∞; `levels` are those of improved DDPM."""
    if settings.class_name == "VPPrecond":
        ends = (settings.epsilon_t, 1.0)
        low, high = (sqrt(expm1(settings.beta_d * t**2 / 2 + settings.beta_min * t)) for t in ends)
        return low, high
    return (levels[-2], levels[0]) if settings.class_name == "iDDPMPrecond" else settings.sigma_range


def precondition(
    unet: nn.Module, settings: Settings, classes: int, levels: Sequence[float]
) -> tuple[nn.Module, dict[str, Any]]:
    """The network that dtool calls, and the fields of its spec that say how: prediction and time."""
    network = ClassNetwork(unet, classes)
    if settings.class_name == "EDMPrecond":
        return network, {"prediction": f"edm:sigma_data={settings.sigma_data!r}", "time": "log-sigma/4"}
    return NoiseNetwork(network, settings, levels), {"prediction": "eps", "time": "sigma"}
