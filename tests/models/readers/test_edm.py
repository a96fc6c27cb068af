"""EDM's networks as objects, against the paper's algorithm; its files, which are refused."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import dtool
from dtool.models.readers.edm import edm
from tests.support.origin_packages import Draws, relative_difference

SHAPE = (1, 6, 6)


class Network(nn.Module):
    """F of the conditioned x, of c_noise and of a one-hot class."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(2, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)
        self.classes = nn.Linear(classes, 1, bias=False) if classes else None

    def forward(self, x: Any, noise: Any, class_labels: Any = None) -> Any:
        told = noise.reshape(-1, 1) + (0 if self.classes is None else self.classes(class_labels))
        plane = told.reshape(-1, 1, 1, 1).expand(len(x), 1, *x.shape[2:])
        return self.last(torch.tanh(self.first(torch.cat([x, plane], dim=1))))


class EDMPrecond(nn.Module):
    """arXiv:2206.00364, section 5, with the interface of NVlabs' class of this name."""

    def __init__(self, label_dim: int = 0, sigma_data: float = 0.5) -> None:
        super().__init__()
        self.img_resolution, self.img_channels, self.label_dim = 6, 1, label_dim
        self.sigma_min, self.sigma_max, self.sigma_data = 0.0, float("inf"), sigma_data
        self.model = Network(label_dim)

    def forward(self, x: Any, sigma: Any, class_labels: Any = None) -> Any:
        s, d = sigma.reshape(-1, 1, 1, 1).float(), self.sigma_data
        skip, out, scale = d**2 / (s**2 + d**2), s * d / (s**2 + d**2).sqrt(), 1 / (d**2 + s**2).sqrt()
        return skip * x + out * self.model(scale * x, s.flatten().log() / 4, class_labels)

    def round_sigma(self, sigma: Any) -> Any:
        return torch.as_tensor(sigma)


def heun(network: Any, start: Any, steps: int, labels: Any = None) -> Any:
    """The paper's algorithm 2 without churn: σ from 80 to 0.002 with ρ = 7, and 0 after the last."""
    i = torch.arange(steps, dtype=torch.float64)
    t = (80 ** (1 / 7) + i / (steps - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    t = torch.cat([t, torch.zeros(1, dtype=torch.float64)])
    x = start.double() * t[0]
    with torch.no_grad():
        for now, to in pairwise(t):
            d = (x - network(x.float(), now.float().expand(len(x)), labels)) / now
            after = x + (to - now) * d
            if to > 0:
                there = (after - network(after.float(), to.float().expand(len(x)), labels)) / to
                after = x + (to - now) * (d + there) / 2
            x = after
    return x


@pytest.mark.parametrize("steps", [10, 50])
@pytest.mark.parametrize("classes", [0, 3])
def test_heuns_method_is_the_papers(classes: int, steps: int) -> None:
    network = EDMPrecond(classes).eval()
    own = dtool.load(network, device="cpu")
    start = Draws((2, *SHAPE), 0).start
    labels = [0, 2] if classes else None
    theirs = heun(network, start, steps, torch.eye(3)[labels] if labels else None)
    mine = dtool.sample(own, own.origin.recipe, steps=steps, x=start * 80, labels=labels)
    assert mine.calls == 2 * steps - 1
    assert relative_difference(mine.x0, theirs) < 1e-4


def test_no_class_is_all_zeros() -> None:
    network = EDMPrecond(3).eval()
    own = dtool.load(network, spec={"null_class": True}, device="cpu")
    x, sigma = torch.randn(2, *SHAPE), torch.tensor([1.0, 2.0])
    with torch.no_grad():
        theirs = network(x, sigma, torch.zeros(2, 3))
    assert torch.equal(own.predict(x, sigma, torch.tensor([3, 3])), theirs)
    guided = dtool.sample(own, "heun/karras", steps=4, n=2, labels=1, guidance=5.0).x0
    assert abs(guided - dtool.sample(own, "heun/karras", steps=4, n=2, labels=1).x0).max() > 1e-3


def make_inner() -> Any:
    """A factory's product: the network inside, whose preconditioning the description says."""
    spec = dtool.NetworkSpec(shape=SHAPE, schedule="edm", prediction="edm:sigma_data=0.5", time="log-sigma/4")
    return EDMPrecond().model.eval(), spec


def test_a_factory_returns_the_network_inside() -> None:
    own = dtool.load(f"{__name__}:make_inner", device="cpu")
    start = Draws((2, *SHAPE), 0).start
    mine = dtool.sample(own, "heun/karras", steps=10, x=start * 80)
    assert relative_difference(mine.x0, heun(EDMPrecond().eval(), start, 10)) < 1e-4


class _Reconstructed:
    def __reduce__(self) -> Any:
        return _reconstruct_persistent_obj, ({"module_src": "raise SystemExit('it ran')"},)


def _reconstruct_persistent_obj(meta: Any) -> Any:
    raise AssertionError("code of the file was run")


def test_its_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "edm-cifar10-32x32-cond-vp.pkl"
    path.write_bytes(pickle.dumps({"ema": _Reconstructed()}))
    assert edm.recognises(path)
    with pytest.raises(dtool.DtoolError, match="opening it runs code that comes with the file") as caught:
        dtool.load(path)
    assert "dtool.load(pickle.load(file)['ema'])" in caught.value.hint


def test_its_state_dicts_say_not_what_they_are_of(tmp_path: Path) -> None:
    path = tmp_path / "edm.pt"
    torch.save({"model.map_layer0.weight": torch.zeros(1), "model.map_layer1.weight": torch.zeros(1)}, path)
    with pytest.raises(dtool.DtoolError, match="no installed package has the network") as caught:
        dtool.load(path)
    assert 'prediction="x0", time="sigma"' in caught.value.hint


def test_levels_that_are_none() -> None:
    network = EDMPrecond()
    network.sigma_min = 90.0
    with pytest.raises(dtool.errors.UsageError, match="σ from 90 to 80") as caught:
        dtool.load(network)
    assert caught.value.hint == "give it sigma_min below sigma_max"


def test_other_things_are_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "other.pkl").write_bytes(pickle.dumps([1, 2]))
    assert not any(map(edm.recognises, (tmp_path / "other.pkl", tmp_path / "none.pkl", object(), "edm.pkl")))
