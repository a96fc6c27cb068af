"""The levels of diffusions in continuous time, against the package's functions, and what their networks are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import dtool
from dtool.models.readers.denoising_diffusion_continuous import (
    LEVELS,
    choose_log_snr,
    compute_log_snr,
    look_up,
    make_log_snr_network,
    make_weighted_network,
)
from tests.support.origin_packages import import_origin

PATH = Path("net.pt")
MODULE = "denoising_diffusion_pytorch.continuous_time_gaussian_diffusion"


@pytest.mark.parametrize(
    ("name", "theirs"), [("vdm-linear", "beta_linear_log_snr"), ("vdm-cosine", "alpha_cosine_log_snr")]
)
def test_the_levels_are_the_origins(name: str, theirs: str) -> None:
    expected = getattr(import_origin(MODULE), theirs)(torch.linspace(0, 1, LEVELS))
    np.testing.assert_allclose(compute_log_snr(name), expected, rtol=1e-4, atol=1e-4)
    assert (np.diff(compute_log_snr(name)) < 0).all()


@pytest.mark.parametrize("name", ["vdm-linear", "vdm-cosine"])
def test_the_levels_are_those_of_dtools_schedule_of_this_name(name: str) -> None:
    """Whose table begins one step after u = 0, and whose cosine ends by another rule."""
    np.testing.assert_allclose(
        compute_log_snr(name)[1:-1], dtool.get_scheduler(name).log_snr[:-1], rtol=1e-3, atol=1e-9
    )


def test_learned_levels_are_the_origins() -> None:
    torch.manual_seed(0)
    schedule = import_origin(MODULE).learned_noise_schedule(log_snr_max=9.21, log_snr_min=-10.0, hidden_dim=16).double()
    for name, values in schedule.named_parameters():
        values.data *= 0.1 if name.endswith("bias") else 6  # so that it is no line
    buffers = {f"log_snr.{name}": value for name, value in schedule.state_dict().items()}
    own = choose_log_snr(buffers, "eps", None, PATH)
    with torch.no_grad():
        share = (schedule(torch.linspace(0, 1, LEVELS, dtype=torch.float64)) - 9.21) / (-10.0 - 9.21)
    np.testing.assert_allclose((own - own[0]) / (own[-1] - own[0]), share, atol=1e-12)
    assert abs(share - np.linspace(0, 1, LEVELS)).max() > 0.002
    np.testing.assert_allclose(own[[0, -1]], compute_log_snr("vdm-linear")[[0, -1]])


@pytest.mark.parametrize("change", [{"log_snr.net.1.net.bias": None}, {"log_snr.net.2.fn.0.net.bias": torch.ones(3)}])
def test_a_learned_schedule_that_is_none(change: dict[str, Any]) -> None:
    schedule = import_origin(MODULE).learned_noise_schedule(log_snr_max=9.0, log_snr_min=-9.0, hidden_dim=16)
    buffers = {f"log_snr.{name}": value for name, value in schedule.state_dict().items()} | change
    with pytest.raises(dtool.DtoolError, match=r"log_snr\.net") as caught:
        choose_log_snr(buffers, "eps", None, PATH)
    assert caught.value.hint == "save the whole state dict"


def test_between_two_entries_a_table_is_a_line() -> None:
    table = torch.tensor([1.0, 3.0, 7.0])
    assert look_up(table, torch.tensor([0.0, 0.25, 1.5, 2.0])).tolist() == [1.0, 1.5, 5.0, 7.0]


class Net(nn.Module):
    """Answers with what it was told as its time, and for a weighted objective with ε, x0 and two votes."""

    def __init__(self, votes: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.votes = votes

    def forward(self, x: Any, told: Any) -> Any:
        if self.votes is None:
            return torch.ones_like(x) * told.reshape(-1, 1, 1, 1)
        first, second = (torch.full_like(x[:, :1], vote) for vote in self.votes)
        return torch.cat([0.5 * torch.ones_like(x), 0.25 * torch.ones_like(x), first, second], dim=1)


def test_what_the_network_is_told() -> None:
    log_snr = compute_log_snr("vdm-linear")
    told = make_log_snr_network(Net(), log_snr)(torch.ones(3, 1, 2, 2), torch.tensor([0.0, 500.0, 1000.0]))
    np.testing.assert_allclose(told[:, 0, 0, 0], log_snr[[0, 500, 1000]], rtol=1e-6)


@pytest.mark.parametrize(("votes", "share"), [((50.0, -50.0), 1.0), ((-50.0, 50.0), 0.0), ((0.0, 0.0), 0.5)])
def test_votes_weigh_both_predictions(votes: tuple[float, float], share: float) -> None:
    alpha_bar = np.array([0.9, 0.36])
    x = torch.full((2, 1, 2, 2), 0.7)
    noise = make_weighted_network(Net(votes), alpha_bar)(x, torch.tensor([0.0, 1.0]))[:, 0, 0, 0]
    alpha, sigma = np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)
    image = share * (0.7 - sigma * 0.5) / alpha + (1 - share) * 0.25
    np.testing.assert_allclose((0.7 - sigma * noise.numpy()) / alpha, image, rtol=1e-5)
