"""A sampler's file of a network that is told another time, or is preconditioned: the network's own pictures."""

import numpy as np
import pytest

import dtool
from dtool.models.spec import NetworkSpec

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


class Waves(torch.nn.Module):
    """A small module whose output depends on its time, whatever the scale of that is."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale
        self.layer = torch.nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x, t):
        time = t[:, None, None, None] * self.scale
        return 0.5 * torch.tanh(self.layer(x)) + 0.3 * torch.sin(time) * x + 0.1 * torch.cos(3 * time)


CASES = {
    "u": {"schedule": "linear", "prediction": "eps", "time": "u"},
    "index+1": {"schedule": "flow", "prediction": "flow", "time": "index+1"},
    "sigma": {"schedule": "edm", "prediction": "v", "time": "sigma"},
    "log-sigma/4": {"schedule": "edm", "prediction": "edm:sigma_data=0.5", "time": "log-sigma/4"},
}


@pytest.fixture(scope="module", params=CASES)
def pair(request, tmp_path_factory):
    """The network, and a sampler's file made of it."""
    torch.manual_seed(0)
    spec = NetworkSpec(shape=(1, 6, 6), clip=True, **CASES[request.param])
    module = Waves(3e-3 if request.param == "index+1" else 1.0)
    path = tmp_path_factory.mktemp("file") / "sampler.onnx"
    dtool.export((module, spec), path, plan="dpmpp-2m", steps=6, micro_batch=1, check=False)
    return dtool.load(module, spec=spec, device="cpu"), dtool.load(path, device="cpu")


def test_the_file_s_own_plan(pair):
    network, file = pair
    one, other = (dtool.sample(each, "dpmpp-2m", steps=6, n=5, seed=3).x0 for each in (network, file))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)
    heard = network.tell(file.plan.time)
    assert not np.allclose(heard, file.plan.time), "it would be told something else than an index"


def test_another_plan_as_input(pair):
    network, file = pair
    one, other = (dtool.sample(each, "ddim", steps=4, n=5, seed=3).x0 for each in (network, file))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)


def test_the_spec_comes_back(pair):
    network, file = pair
    assert (file.spec.time, file.prediction) == (network.spec.time, network.prediction)
