"""Compiled networks: the eager ones' images, one size of batch at a time, and a compiler that is not there."""

import importlib.util

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
from dtool.run.sampling import sample  # noqa: E402


@pytest.fixture(scope="module")
def module():
    class Small(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.names = torch.nn.Linear(6, 16), torch.nn.Linear(16, 6), torch.nn.Embedding(4, 16)

        def forward(self, x, t, label):
            hidden = self.one(x) + torch.sin(t / 100)[:, None] + self.names(label)
            return self.two(torch.tanh(hidden))

    torch.manual_seed(3)
    return Small()


SPEC = dtool.NetworkSpec(shape=(6,), schedule="linear", classes=3)


@pytest.fixture(scope="module")
def pair(module):
    """The same network, eager and compiled."""
    if importlib.util.find_spec("torch._inductor") is None:
        pytest.skip("this PyTorch has no compiler")
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        pytest.skip("no C++ compiler")
    return [dtool.load(module, spec=SPEC, device="cpu", compile=compile_it) for compile_it in (False, True)]


@pytest.mark.parametrize("recipe", ["ddim", "ddpm", "dpmpp-2m/karras"])
@pytest.mark.parametrize("seed", [0, 7])
def test_compiled_images_are_the_eager_ones(pair, recipe, seed):
    eager, fast = (sample(network, recipe, n=70, seed=seed, steps=6).x0 for network in pair)
    np.testing.assert_allclose(fast, eager, rtol=0, atol=1e-4)
    for image in (0, 33, 69):
        alone = sample(pair[1], recipe, ids=[image], seed=seed, steps=6).x0[0]
        assert (alone.view(np.uint32) == fast[image].view(np.uint32)).all()


def test_one_batch_size_does_not_change_another(pair):
    """Code made for one shape is not replaced by code for any shape."""
    x, t, label = torch.randn(4, 6), torch.full((4,), 30.0), torch.tensor([0, 1, 2, 3])
    before = pair[1].predict(x, t, label)
    for batch in (2, 3):
        pair[1].predict(x[:batch], t[:batch], label[:batch])
    assert torch.equal(pair[1].predict(x, t, label), before)


def test_compiling_tries_out_no_other_batch(pair):
    assert pair[1].one_size


@pytest.mark.parametrize("silenced", [False, True])
def test_no_compiler_is_an_error_with_a_remedy(silenced):
    """Silenced: as it is after `import k_diffusion`."""
    from torch._inductor import config

    torch._dynamo.reset()  # after some compilations in one process it would compile no more, and run eagerly
    module = torch.nn.Sequential(torch.nn.Linear(5, 11), torch.nn.Tanh(), torch.nn.Linear(11, 5))
    net = dtool.load(lambda x, t: module(x * 1.5), spec=dtool.NetworkSpec(shape=(5,), schedule="linear"), compile=True)
    with (
        config.patch({"cpp.cxx": (None, "/nowhere/c++"), "force_disable_caches": True}),
        torch._dynamo.config.patch(suppress_errors=silenced),
        pytest.raises(DtoolError, match="cannot compile the network") as caught,
    ):
        sample(net, "ddim", n=1, steps=2)
    assert "install a C++ compiler" in caught.value.hint


def test_on_cuda_the_graph_s_output_is_copied(monkeypatch):
    """What PyTorch returns from a graph lies where the next call writes."""
    from dtool.run import torch_compiled

    told, place = [], torch.zeros(3)
    monkeypatch.setattr(torch, "compile", lambda module, **options: told.append(options) or (lambda x: place.add_(x)))
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: told.append("step"))
    call = torch_compiled.compile_module(torch.nn.Identity(), "cuda:0")
    one, two = call(torch.ones(3)), call(torch.ones(3))
    assert (one.tolist(), two.tolist()) == ([1, 1, 1], [2, 2, 2])
    assert told[0]["mode"] == "reduce-overhead"
    assert told[0]["dynamic"] is False
    assert told[1:] == ["step", "step"]
    torch_compiled.compile_module(torch.nn.Identity(), "cpu")
    assert told[-1]["mode"] is None
