"""Denoisers of azula, as objects, against its own samplers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import dtool
from dtool.models.readers.azula import azula
from tests.support.origin_packages import Draws, import_origin, relative_difference

SHAPE = (1, 6, 6)
SCHEDULES = ["VESchedule", "VPSchedule", "CosineSchedule", "RectifiedSchedule", "DecaySchedule"]


class Backbone(nn.Module):
    """A small network of x and of the time, `(B, C, H, W)`."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(2, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x: Any, t: Any, label: Any = None) -> Any:
        time = (t if label is None else t + label).reshape(-1, 1, 1, 1).expand(len(x), 1, *x.shape[2:])
        return self.last(torch.tanh(self.first(torch.cat([x, time / 5], dim=1))))


def make(kind: str, schedule: str) -> Any:
    denoise, noise = import_origin("azula.denoise"), import_origin("azula.noise")
    return getattr(denoise, kind)(Backbone(), getattr(noise, schedule)()).eval()


@pytest.mark.parametrize("steps", [10, 50])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("kind", ["SimpleDenoiser", "KarrasDenoiser"])
def test_ddim_is_the_origins(kind: str, schedule: str, steps: int) -> None:
    denoiser = make(kind, schedule)
    own = dtool.load(denoiser, spec={"shape": SHAPE}, device="cpu")
    start = Draws((2, *SHAPE), 0).start
    theirs_sampler = import_origin("azula.sample").DDIMSampler(denoiser, steps=steps, silent=True)
    alpha, sigma = denoiser.schedule(torch.tensor(1.0))
    own_alpha, own_sigma = own.schedule.level(own.schedule.T - 1)
    last_alpha, last_sigma = denoiser.schedule(torch.tensor(0.0))
    theirs = theirs_sampler(start * (alpha**2 + sigma**2).sqrt())
    x = start * float((own_alpha**2 + own_sigma**2) ** 0.5)
    mine = dtool.sample(own, own.origin.recipe, steps=steps, x=x).x0
    ends = own.schedule.level(0)
    size = float((last_alpha**2 + last_sigma**2).sqrt() / (ends[0] ** 2 + ends[1] ** 2) ** 0.5)
    assert relative_difference(mine * size, theirs) < 1e-4


@pytest.mark.parametrize(
    ("schedule", "coordinates"), list(zip(SCHEDULES, ["ve", "vp", "vp", "flow", "flow"], strict=True))
)  # fmt: skip
def test_the_schedule_is_azulas(schedule: str, coordinates: str) -> None:
    denoiser = make("KarrasDenoiser", schedule)
    own = dtool.load(denoiser, spec={"shape": SHAPE}, device="cpu").schedule
    alpha, sigma = denoiser.schedule(torch.linspace(0, 1, own.T, dtype=torch.float64))
    assert own.coordinates == coordinates
    torch.testing.assert_close(torch.tensor(own.lam), (alpha / sigma).log(), rtol=1e-9, atol=1e-9)


def test_a_class_is_given_as_label() -> None:
    denoiser = make("KarrasDenoiser", "VPSchedule")
    own = dtool.load(denoiser, spec={"shape": SHAPE, "classes": 3, "null_class": False}, device="cpu")
    x, t, label = torch.randn(2, *SHAPE), torch.tensor([500.0, 500.0]), torch.tensor([0, 2])
    alpha, sigma = denoiser.schedule(t / 1000)
    size = (alpha**2 + sigma**2).sqrt().reshape(-1, 1, 1, 1)
    with torch.no_grad():
        assert torch.equal(own.predict(x, t, label), denoiser(x * size, t / 1000, label=label).mean)


def test_the_shape_is_asked_for() -> None:
    with pytest.raises(dtool.errors.UsageError, match="does not say the shape of a sample") as caught:
        dtool.load(make("KarrasDenoiser", "VESchedule"))
    assert caught.value.hint == "give spec={'shape': (3, 64, 64)}"


def test_a_schedule_that_is_none() -> None:
    denoiser = make("KarrasDenoiser", "VESchedule")
    denoiser.schedule = lambda t: (t, t)
    with pytest.raises(dtool.DtoolError, match="levels that are not above 0"):
        dtool.load(denoiser, spec={"shape": SHAPE})


def test_what_it_is() -> None:
    denoiser = make("KarrasDenoiser", "VESchedule")
    own = dtool.load(denoiser, spec={"shape": SHAPE}, device="cpu")
    assert own.origin.what == "azula's KarrasDenoiser under its VESchedule"
    assert azula.recognises(denoiser)
    assert not azula.recognises(Backbone())
