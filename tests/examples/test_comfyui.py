"""The example node of ComfyUI, called as ComfyUI calls it, whose modules a few lines stand in for."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from dtool.bridges.k_diffusion import make_sampler  # noqa: E402

FILE = Path(__file__).parents[2] / "examples/comfyui-dtool/__init__.py"


class KSAMPLER:
    """As ComfyUI's: it scales the noise, and hands on what it is given."""

    def __init__(self, function, extra_options=None):
        self.function, self.extra_options = function, extra_options or {}

    def sample(self, model, noise, sigmas, seed=None, callback=None):
        return self.function(model, noise * sigmas[0], sigmas, extra_args={"seed": seed, "model_options": {}},
                             callback=callback, disable=True, **self.extra_options)  # fmt: skip


class Const:
    """Of a flow model."""


class Model:
    """A guider: a denoised image of x at σ, and the way to what the model's levels are."""

    def __init__(self, sampling):
        patcher = SimpleNamespace(get_model_object=lambda name: {"model_sampling": sampling}[name])
        self.inner_model = SimpleNamespace(model_patcher=patcher)
        self.told = []

    def __call__(self, x, sigma, **told):
        self.told.append(told)
        return 0.5 * torch.tanh(x / (1 + sigma.reshape(-1, 1, 1, 1)))


@pytest.fixture
def nodes(monkeypatch):
    comfy, samplers, sampling = (ModuleType(name) for name in ("comfy", "comfy.samplers", "comfy.model_sampling"))
    samplers.KSAMPLER, sampling.CONST = KSAMPLER, Const
    comfy.samplers, comfy.model_sampling = samplers, sampling
    for module in (comfy, samplers, sampling):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    spec = importlib.util.spec_from_file_location("comfyui_dtool", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("sampler", ["dpmpp-2m", "heun", "ddpm"])
def test_the_node_s_sampler(sampler, flow, nodes):
    node = nodes.NODE_CLASS_MAPPINGS["DtoolSampler"]()
    assert {*node.INPUT_TYPES()} == {"required", "optional"}
    (made,) = getattr(node, node.FUNCTION)(sampler=sampler, dtool_noise=True)
    model = Model(Const() if flow else object())
    sigmas = torch.tensor([0.9, 0.5, 0.2, 0.0] if flow else [10.0, 3.0, 0.5, 0.0])
    noise, seen = torch.randn((2, 1, 3, 3), generator=torch.Generator().manual_seed(0)), []
    ours = made.sample(model, noise, sigmas, seed=3, callback=seen.append)
    assert {*model.told[0]} == {"seed", "model_options"}
    assert [one["i"] for one in seen] == [0, 1, 2]
    expected = make_sampler(sampler, flow=flow, seed=3)(model, noise * sigmas[0], sigmas)
    assert torch.equal(ours, expected)
    if sampler == "ddpm":
        assert not torch.equal(ours, made.sample(model, noise, sigmas, seed=4))


def test_a_name_that_cannot_be_used_is_told_at_the_node(nodes):
    check = nodes.DtoolSampler.VALIDATE_INPUTS
    assert check("dpmpp-2m") is True
    assert "did you mean ddpm" in check("ddmp")
    assert "from images to noise" in check("ddim-inversion")
    assert "sigmas are the caller's" in check("ddim/karras")
