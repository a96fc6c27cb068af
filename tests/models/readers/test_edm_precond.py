"""How EDM's networks are told x and σ: table 1 of its paper, by hand."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dtool.models.readers.edm_precond import ClassNetwork, compute_iddpm_levels, find_sigma_range, precondition
from dtool.models.readers.edm_settings import Settings, parse_settings

SIGMAS = np.array([0.01, 0.5, 3.0, 70.0])


class Heard(nn.Module):
    """Remembers what it was told; answers 0.3·x and, for a second half, something else."""

    def forward(self, x: Any, noise: Any, classes: Any = None) -> Any:
        self.x, self.noise, self.classes = x, noise, classes
        return torch.cat([0.3 * x, x + 7], dim=1) if self.doubled else 0.3 * x

    doubled = False


def make(name: str, **arguments: Any) -> tuple[Heard, Settings, nn.Module, dict[str, Any], list[float]]:
    settings = parse_settings({"class_name": name, **arguments}, "here")
    levels = compute_iddpm_levels(settings) if name == "iDDPMPrecond" else []
    heard = Heard()
    heard.doubled = name == "iDDPMPrecond"
    return heard, settings, *precondition(heard, settings, 0, levels), levels


def tell_by_table(name: str, sigma: np.ndarray, levels: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """c_in, c_noise and c_out of table 1; c_skip is 1."""
    one = np.ones_like(sigma)
    if name == "VEPrecond":
        return one, np.log(sigma / 2), sigma
    scaled = 1 / np.sqrt(sigma**2 + 1)
    if name == "VPPrecond":
        t = (np.sqrt(0.1**2 + 2 * 19.9 * np.log(sigma**2 + 1)) - 0.1) / 19.9
        return scaled, 999 * t, -sigma
    return scaled, 999 - np.argmin(abs(np.array(levels) - sigma[:, None]), axis=1), -sigma


@pytest.mark.parametrize("name", ["VPPrecond", "VEPrecond", "iDDPMPrecond"])
def test_the_denoiser_is_that_of_the_table(name: str) -> None:
    heard, _, network, fields, levels = make(name)
    x = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor(SIGMAS, dtype=torch.float32)
    noise = network(x, sigma)
    scale, told, out = tell_by_table(name, SIGMAS, levels)
    wide = (-1, 1, 1, 1)
    torch.testing.assert_close(heard.x, x * torch.tensor(scale, dtype=torch.float32).reshape(wide))
    np.testing.assert_allclose(heard.noise, told, rtol=1e-5)
    denoised = x + torch.tensor(out * scale, dtype=torch.float32).reshape(wide) * 0.3 * x
    torch.testing.assert_close(x - sigma.reshape(wide) * noise, denoised, rtol=1e-5, atol=1e-5)
    assert fields == {"prediction": "eps", "time": "sigma"}


def test_edms_own_is_a_prediction_of_dtools() -> None:
    heard, _, network, fields, _ = make("EDMPrecond", sigma_data=0.25)
    x, noise = torch.ones(1, 3, 2, 2), torch.tensor([0.7])
    assert torch.equal(network(x, noise), 0.3 * x)
    assert torch.equal(heard.noise, noise)
    assert fields == {"prediction": "edm:sigma_data=0.25", "time": "log-sigma/4"}


def test_classes_are_one_hot_and_none_is_zeros() -> None:
    heard = Heard()
    ClassNetwork(heard, 3)(torch.ones(3, 1, 1, 1), torch.zeros(3), torch.tensor([2, 0, 3]))
    assert heard.classes.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_levels_of_improved_ddpm_fall_to_zero_by_its_cosine() -> None:
    settings = parse_settings({"class_name": "iDDPMPrecond"}, "here")
    levels = np.array(compute_iddpm_levels(settings))
    assert len(levels) == 1001
    assert levels[-1] == 0
    assert (np.diff(levels) < 0).all()
    alpha_bar = np.sin(np.pi / 2 * np.arange(1, 1001) / 1000 / 1.008) ** 2
    np.testing.assert_allclose(1 / (levels[1:] ** 2 + 1), alpha_bar / alpha_bar[-1], rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("EDMPrecond", 0.0, inf), ("VEPrecond", 0.02, 100.0), ("VPPrecond", 0.001, 152.0),
        ("iDDPMPrecond", 0.0064, 20291.0),
    ],
)  # fmt: skip
def test_what_levels_it_was_trained_for(name: str, low: float, high: float) -> None:
    _, settings, _, _, levels = make(name)
    assert find_sigma_range(settings, levels) == pytest.approx((low, high), rel=0.01)
