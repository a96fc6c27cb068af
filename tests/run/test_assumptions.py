"""What dtool takes for granted of a plan or a foreign network, and is not so, is said."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import dtool
from dtool.run.assumptions import AssumptionWarning
from tests.support.commandline import ran


def network(**more: Any) -> Any:
    return dtool.network(lambda x, t: 0.1 * x, shape=(3,), **more)


@pytest.mark.parametrize("points", [[300, 200, 100], [10]])
def test_a_start_that_is_not_pure_noise(points):
    net = network()
    plan = dtool.plan("ddim", points=points, network=net)
    share = plan.alpha[0]  # in variance preserving coordinates
    with pytest.warns(AssumptionWarning, match=f"starts from pure noise at t={points[0]}, where x is {share:.2g}"):
        dtool.sample(net, plan, n=1)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "ve", "flow", "edm", "sub-vp", "linear:zero_snr=true"])
@pytest.mark.parametrize("spacing", ["trailing", "leading", "karras"])
def test_the_usual_starts_are_fine(schedule, spacing):
    net = network(schedule=schedule, prediction="x0")
    with warnings.catch_warnings():
        warnings.simplefilter("error", AssumptionWarning)
        dtool.sample(net, f"ddim/{spacing}", steps=10, n=1)


def test_a_start_of_ones_own_is_not_taken_for_noise():
    net = network()
    with warnings.catch_warnings():
        warnings.simplefilter("error", AssumptionWarning)
        dtool.sample(net, dtool.plan("ddim", points=[300, 100], network=net), x=np.zeros((1, 3)))


def test_it_is_said_of_a_sampler_that_is_exported(tmp_path, capsys):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    plan = dtool.plan("ddim", points=[300, 200], network=dtool.default_network("cpu"))
    with pytest.warns(AssumptionWarning, match="starts from pure noise at t=300"):
        dtool.export(None, tmp_path / "a.onnx", plan=plan, check=False)


def test_on_the_command_line(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    result = ran(capsys, "sample", "--points", "300,200,100", "-n", "1", "-o", tmp_path / "a.png")
    assert result.code == 0
    assert "warning: ddpm starts from pure noise at t=300, where x is 0.63 of the image" in result.err


def test_scaled_betas_are_said():
    with pytest.warns(UserWarning, match=r"linear:T=500: for 500 steps β is scaled by 2, to 0.0002 … 0.04"):
        network(schedule="linear:T=500")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for schedule in ("linear", "cosine:T=500", "flow:T=100", dtool.get_scheduler("linear:T=500")):
            network(schedule=schedule)


@pytest.mark.parametrize("name", ["linear", "scaled-linear", "const", "sigmoid-beta"])
def test_beta_scale_is_what_the_betas_were_multiplied_by(name):
    assert dtool.get_scheduler(f"{name}:T=250").beta_scale == 4
    usual, short = (dtool.get_scheduler(f"{name}:T={steps}") for steps in (1000, 250))
    assert short.betas[-1] == pytest.approx(4 * usual.betas[-1], rel=1e-9)


# Files of others


def test_times_in_half_precision(tmp_path):
    pytest.importorskip("onnxruntime")
    foreign = pytest.importorskip("tests.support.foreign")
    path = foreign.saved(foreign.network(t=("t", foreign.HALF, ["batch"])), tmp_path)
    net = dtool.load(path, spec={"schedule": "linear", "prediction": "eps"}, device="cpu")
    with pytest.warns(UserWarning, match=r"its times in half precision: t=915.75 is heard as 916"):
        dtool.sample(net, "ddim/normal", steps=13, n=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dtool.sample(net, "ddim", steps=10, n=1)


def test_a_module_in_bfloat16():
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(3, 3).to(torch.bfloat16)

    class Timed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: Any, t: Any) -> Any:
            return self.inner(x)

    with pytest.warns(UserWarning, match=r"computes in bfloat16: t=999 is heard as 1000"):
        dtool.sample(dtool.network(Timed(), shape=(3,)), "ddim", steps=2, n=1)


def test_guesses_of_a_foreign_file(tmp_path):
    pytest.importorskip("onnxruntime")
    foreign = pytest.importorskip("tests.support.foreign")
    said = {"schedule": "linear", "prediction": "eps", "classes": 3}
    inputs = {"t": ("a", foreign.INT64, ["batch"]), "label": ("b", foreign.INT64, ["batch"])}
    path = foreign.saved(foreign.network(**inputs), tmp_path)
    with pytest.warns(UserWarning, match="a is taken for the time and b for the class, by their order"):
        dtool.load(path, spec=said, device="cpu")
    path = foreign.saved(foreign.network(doubled=True, t=("t", foreign.FLOAT, ["batch"])), tmp_path)
    with pytest.warns(UserWarning, match="second half of its output is taken for the variance"):
        dtool.load(path, spec={"schedule": "linear", "prediction": "eps"}, device="cpu")
