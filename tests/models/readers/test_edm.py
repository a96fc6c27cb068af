"""EDM's networks as objects, against the paper's algorithm; its files, which are refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import dtool
from dtool.models.readers.edm import edm
from tests.support.edm_cases import CASES, CHANNELS, SIZE
from tests.support.edm_files import heun, make_network, save
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


class Precond(nn.Module):
    """D(x; σ) of arXiv:2206.00364, table 1, by its column, around a network."""

    def __init__(self, name: str, network: Any) -> None:
        super().__init__()
        self.name, self.network = name, network

    def forward(self, x: Any, sigma: Any, classes: Any = None) -> Any:
        s = sigma.reshape(-1, 1, 1, 1).float()
        if self.name == "EDMPrecond":
            skip, out, scale = 0.25 / (s**2 + 0.25), 0.5 * s / (s**2 + 0.25).sqrt(), (s**2 + 0.25) ** -0.5
            noise = sigma.log() / 4
        elif self.name == "VEPrecond":
            skip, out, scale, noise = 1, s, 1, (sigma / 2).log()
        else:
            skip, out, scale = 1, -s, (s**2 + 1) ** -0.5
            t = ((0.01 + 39.8 * (1 + sigma.double() ** 2).log()).sqrt() - 0.1) / 19.9
            noise = (999 * t).float()
        return skip * x + out * self.network(scale * x, noise, classes)[:, : x.shape[1]]


ENDS = {"EDMPrecond": (0.002, 80.0), "VPPrecond": (0.002, 80.0), "VEPrecond": (0.02, 80.0)}
OPENED = [
    ("ddpmpp", "EDMPrecond", 10), ("ddpmpp", "EDMPrecond", 50), ("ddpmpp", "VPPrecond", 10),
    ("ncsnpp", "VEPrecond", 10), ("ncsnpp", "VEPrecond", 50), ("adm-classes", "EDMPrecond", 10),
]  # fmt: skip


@pytest.mark.parametrize(("case", "name", "steps"), OPENED)
def test_weights_with_their_configuration(tmp_path: Path, case: str, name: str, steps: int) -> None:
    arguments = {**CASES[case].arguments, "class_name": name}
    own = dtool.load(save(tmp_path / "net.safetensors", arguments), device="cpu")
    classes = arguments.get("label_dim", 0)
    start, labels = Draws((2, CHANNELS, SIZE, SIZE), 0).start, [0, 2] if classes else None
    told = torch.eye(classes)[labels] if labels else None
    theirs = heun(Precond(name, make_network(arguments)), start, steps, told, ENDS[name])
    mine = dtool.sample(own, own.origin.recipe, steps=steps, x=start * ENDS[name][1], labels=labels)
    assert mine.calls == 2 * steps - 1
    assert relative_difference(mine.x0, theirs) < 1e-4


def test_what_weights_are_and_how_they_are_sampled(tmp_path: Path) -> None:
    arguments = {**CASES["adm-classes"].arguments, "use_fp16": True}
    own = dtool.load(save(tmp_path / "net.pt", arguments), device="cpu")
    assert own.origin.what == "a network of EDM, DhariwalUNet in EDMPrecond, for 7 classes"
    assert (own.origin.recipe, own.origin.steps) == ("heun/karras", 18)
    assert own.origin.differences[1] == "its makers run it in fp16 on a GPU, and here it runs in float32"
    assert own.spec.null_class is False, "it was never trained without a class"
    with pytest.raises(dtool.errors.UsageError, match="not trained to know a label"):
        dtool.sample(own, steps=2, n=1, labels=1, guidance=2.0)


def test_where_labels_were_dropped_none_is_zeros(tmp_path: Path) -> None:
    arguments = {**CASES["adm-classes"].arguments, "label_dropout": 0.1}
    own = dtool.load(save(tmp_path / "net.pt", arguments), device="cpu")
    x, noise = torch.randn(2, CHANNELS, SIZE, SIZE), torch.tensor([0.1, -0.4])
    with torch.no_grad():
        theirs = make_network(arguments)(x, noise, torch.zeros(2, 7))
    assert torch.equal(own.predict(x, noise, torch.tensor([7, 7])), theirs)
    assert own.spec.guidable


def test_the_levels_of_improved_ddpm_are_those_of_the_file(tmp_path: Path) -> None:
    arguments = {**CASES["adm"].arguments, "class_name": "iDDPMPrecond", "M": 3}
    plain = dtool.load(save(tmp_path / "net.pt", arguments), device="cpu")
    held = torch.tensor([60.0, 4.0, 1.0, 0.0])
    own = dtool.load(save(tmp_path / "held.pt", arguments, u=held), device="cpu")
    assert own.spec.schedule == "edm:sigma_min=1.0,sigma_max=60.0"
    x, sigma = torch.randn(2, CHANNELS, SIZE, SIZE), torch.tensor([3.9, 1.2])
    with torch.no_grad():
        theirs = make_network(arguments)(x / (sigma**2 + 1).sqrt()[:, None, None, None], torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(own.predict(x, sigma), theirs[:, :CHANNELS])
    assert plain.origin.differences[-1] == "its makers round each level of a run to one of the 3 that it was trained at"


def test_weights_without_their_configuration(tmp_path: Path) -> None:
    path = save(tmp_path / "net.pt", CASES["ddpmpp"].arguments)
    path.with_name("net.pt.json").unlink()
    with pytest.raises(dtool.errors.UsageError, match="do not say what they are of") as caught:
        dtool.load(path)
    assert caught.value.hint.startswith(f"write the arguments of its constructor to {path.name}.json: {{")


def test_levels_that_are_none() -> None:
    network = EDMPrecond()
    network.sigma_min = 90.0
    with pytest.raises(dtool.errors.UsageError, match="σ from 90 to 80") as caught:
        dtool.load(network)
    assert caught.value.hint == "give it sigma_min below sigma_max"


def test_other_things_are_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "other.pkl").write_bytes(pickle.dumps([1, 2]))
    assert not any(map(edm.recognises, (tmp_path / "other.pkl", tmp_path / "none.pkl", object(), "edm.pkl")))
