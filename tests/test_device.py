"""Runs that stay on the device, tried with the CPU as the device; compiled networks; what is refused."""

from __future__ import annotations

import importlib.util
import threading

import numpy as np
import pytest
from commandline import failed, ran

import dtool
from dtool.errors import DtoolError, UsageError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
import foreign  # noqa: E402 - after the checks that they are there
import small_networks  # noqa: E402

from dtool.backends import onnx_open  # noqa: E402
from dtool.backends.onnx_device import SLOTS, DeviceNetwork  # noqa: E402
from dtool.backends.onnxruntime_backend import OnnxNetwork, checked  # noqa: E402
from dtool.backends.sampling import sample  # noqa: E402
from dtool.backends.torch_backend import DeviceNormals, TensorNetwork  # noqa: E402

ROWS = ["ddim", "ddpm", "heun", "dpmpp-2m/karras", "unipc", "dpmpp-2s-ancestral", "dpmpp-sde", "ddim/restart"]
SHAPES = [(5,), (1, 4, 4), (3, 3, 5)]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Networks of random weights by name, as files."""
    folder = tmp_path_factory.mktemp("device")
    kinds = {
        "eps": {}, "v": {"prediction": "v"}, "x0": {"prediction": "x0"}, "clip": {"clip": True},
        "classes": {"classes": 3}, "learned": {"learned_variance": True, "classes": 3},
    }  # fmt: skip
    for k, (name, fields) in enumerate(kinds.items()):
        small_networks.write(folder / f"{name}.onnx", seed=k, shape=SHAPES[k % 3], waves=True, **fields)
    return folder


def both(path):
    """The file from the host and on the device."""
    return OnnxNetwork(path, device="cpu"), DeviceNetwork(checked(path), device="cpu")


def close(one, other, recipe, **more):
    """The images of both; they have the same bits, or nearly."""
    given = {"n": 6, "seed": 3, "steps": 9} | more
    a, b = (sample(network, recipe, **given).x0 for network in (one, other))
    assert isinstance(b, np.ndarray)
    assert b.dtype == a.dtype
    np.testing.assert_allclose(b, a, rtol=0, atol=1e-6 * max(1.0, float(np.abs(a).max())))
    return a, b


# ---------------------------------------------------------------------------------------------- every kind of row


@pytest.mark.parametrize("recipe", ROWS)
@pytest.mark.parametrize("name", ["eps", "v", "x0", "clip", "classes", "learned"])
def test_the_images_are_those_of_the_host_loop(files, name, recipe):
    host, device = both(files / f"{name}.onnx")
    for seed, clip in ((0, None), (11, True), (12, False)):
        a, b = close(host, device, recipe, seed=seed, clip=clip)
        assert (a == b).mean() > 0.9


@pytest.mark.parametrize("more", [
    {"threshold": 0.9}, {"guidance": 2.5}, {"guidance": 0}, {"guidance": 2.5, "threshold": 0.8, "labels": -1},
    {"n": 37}, {"ids": [9, 2**32 - 1]}, {"batch_size": 3},
])  # fmt: skip
@pytest.mark.parametrize("name", ["classes", "learned"])
def test_and_so_are_they_with_guidance_and_thresholding(files, name, more):
    recipes = ["ddpm", "dpmpp-2m/karras", *(["ddpm:sigma=learned"] if name == "learned" else [])]
    host, device = both(files / f"{name}.onnx")
    for recipe in recipes:
        close(host, device, recipe, **({"n": None} if "ids" in more else {}), **more)


def test_a_trace_is_the_same(files):
    host, device = both(files / "clip.onnx")
    one, other = (sample(network, "heun", n=3, steps=5, trace=True).trace for network in (host, device))
    np.testing.assert_allclose(other.x, one.x, rtol=0, atol=1e-5)
    np.testing.assert_allclose(other.x0, one.x0, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tensors", [False, True])
def test_a_start_of_one_s_own(files, tensors, dtype):
    host, device = both(files / "classes.onnx")
    random = np.random.default_rng(4)
    x, *noise = random.standard_normal((4, 3, *host.shape)).astype(dtype)
    noise = np.array(noise)
    plan = dtool.plan("ddpm", steps=4, network=host)
    wanted = sample(host, plan, x=x, noise=noise, labels=[0, 1, 2]).x0
    given = (torch.from_numpy(x), torch.from_numpy(noise)) if tensors else (x, noise)
    made = sample(device, plan, x=given[0], noise=given[1], labels=[0, 1, 2]).x0
    assert made.dtype == dtype
    np.testing.assert_allclose(made, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("recipe", ["ddpm", "dpmpp-2m"])
def test_an_image_alone_and_in_company(files, recipe):
    _, device = both(files / "classes.onnx")
    many = sample(device, recipe, n=64, seed=5, steps=6, labels=1, guidance=1.7).x0
    for image in (0, 17, 63):
        alone = sample(device, recipe, ids=[image], seed=5, steps=6, labels=1, guidance=1.7).x0[0]
        assert (alone.view(np.uint32) == many[image].view(np.uint32)).all()


# ---------------------------------------------------------------------------------------------- the network's calls


@pytest.mark.parametrize("name", ["eps", "classes", "learned"])
def test_a_call_is_the_host_s_bit_for_bit_and_answers_in_kind(files, name):
    host, device = both(files / f"{name}.onnx")
    random = np.random.default_rng(8)
    for batch in (1, 4, 7, 4):
        x = random.standard_normal((batch, *host.shape), dtype=np.float32)
        arguments = [x, random.uniform(0, 999, batch).astype(np.float32)]
        arguments += [random.integers(0, 4, batch)] if host.classes else []
        wanted = host.predict(*arguments)
        said = device.predict(*map(torch.from_numpy, arguments))
        assert torch.is_tensor(said)
        assert (said.numpy() == wanted).all()
        assert (device.predict(*arguments) == wanted).all()
        assert device.predict(x.astype(np.float64), *arguments[1:]).dtype == np.float64


def test_what_predict_returns_stays_and_what_bound_returns_is_overwritten(files):
    _, device = both(files / "eps.onnx")
    x, t = torch.randn(2, 2, *device.shape, generator=torch.Generator().manual_seed(1)), torch.tensor([5.0, 700.0])
    kept = device.predict(x[0], t)
    before = kept.clone()
    call = device.bound(x[0])
    first = call(x[1], t)
    assert not torch.equal(first, before)
    assert torch.equal(call(x[0], t), before)
    assert torch.equal(first, before)  # the same place
    assert torch.equal(kept, before)


def test_two_bound_calls_of_one_batch_size_keep_their_labels(files):
    _, device = both(files / "classes.onnx")
    x, t = torch.randn(2, *device.shape), torch.tensor([5.0, 700.0])
    one, other = (device.bound(x, torch.tensor(label)) for label in ([0, 1], [2, 3]))
    for _ in range(2):
        assert torch.equal(one(x, t), device.predict(x, t, torch.tensor([0, 1])))
        assert torch.equal(other(x, t), device.predict(x, t, torch.tensor([2, 3])))


def test_addresses_stay_and_old_sizes_go(files, monkeypatch):
    _, device = both(files / "eps.onnx")
    for _ in range(2):
        for batch in range(1, SLOTS + 4):
            device.predict(torch.zeros(batch, *device.shape), torch.zeros(batch))
    assert len(device._slots) == SLOTS
    slot = device._slots[5]
    made = [tensor.data_ptr() for tensor in (*slot._inputs, slot._output)]
    sample(device, "ddpm", n=10, steps=4, batch_size=5)
    assert device._slots[5] is slot
    assert [tensor.data_ptr() for tensor in (*slot._inputs, slot._output)] == made


@pytest.fixture
def watch(monkeypatch):
    """Each way by which PyTorch makes the host wait is an error while the event is set."""
    running = threading.Event()

    def forbid(where, name):
        honest = getattr(where, name)

        def watched(*args, **more):
            assert not running.is_set(), f"{name} in a step"
            return honest(*args, **more)

        monkeypatch.setattr(where, name, watched)

    for name in ("item", "tolist", "numpy", "cpu", "nonzero", "__bool__", "__float__", "__int__"):
        forbid(torch.Tensor, name)
    forbid(torch, "from_numpy")
    # noise as it is made on a GPU
    made = lambda self, seed, ids, count: DeviceNormals(seed, ids, self.shape, count, "cpu")  # noqa: E731
    monkeypatch.setattr(TensorNetwork, "noise", made)
    return running


def watched(network, recipe, running, **more):
    """A sample of one micro-batch whose steps, from the first call of the network to the last, are watched."""

    def progress(done, of):
        running.set() if done < of else running.clear()

    try:
        return sample(network, recipe, n=2, steps=6, batch_size=2, progress=progress, **more).x0
    finally:
        running.clear()


@pytest.mark.parametrize("recipe", ["ddim", "ddpm", "dpmpp-2m/karras", "heun", "ddpm:sigma=learned"])
def test_nothing_in_a_step_asks_the_device_for_a_number(files, watch, recipe):
    host, device = both(files / "learned.onnx")
    made = watched(device, recipe, watch, guidance=1.5, threshold=0.9, seed=2)
    wanted = sample(host, recipe, n=2, steps=6, batch_size=2, guidance=1.5, threshold=0.9, seed=2).x0
    np.testing.assert_allclose(made, wanted, rtol=0, atol=1e-5)
    if "learned" not in recipe:
        watched(dtool.network(lambda x, t: 0.1 * x, shape=(4,), backend="torch"), recipe, watch)


def test_and_what_asks_is_found(watch):
    asking = dtool.network(lambda x, t: 0.1 * x * x.max().item(), shape=(4,), backend="torch")
    with pytest.raises(AssertionError, match="item in a step"):
        watched(asking, "ddim", watch)


# ---------------------------------------------------------------------------------------------- the old path, errors


def test_what_cannot_be_bound_is_called_from_the_host(tmp_path):
    path = tmp_path / "f.onnx"
    path.write_bytes(foreign.network().SerializeToString())  # one whole time for a batch
    said = {"schedule": "linear", "prediction": "eps"}
    host, device = OnnxNetwork(path, said, "cpu"), DeviceNetwork(checked(path), said, "cpu")
    assert not device.bindable
    close(host, device, "ddim", steps=5)
    with pytest.raises(UsageError, match="no CUDA graph"):
        DeviceNetwork(checked(path), said, "cpu", graph=True)


def test_a_failing_call_says_why(files):
    _, device = both(files / "eps.onnx")
    with pytest.raises((DtoolError, RuntimeError)):
        device.predict(torch.zeros(2, 3, 9), torch.zeros(2))
    with pytest.raises(DtoolError, match="takes no labels"):
        device.predict(torch.zeros(2, *device.shape), torch.zeros(2), torch.zeros(2))


def test_a_first_call_that_takes_too_long_is_stopped(tmp_path):
    small_networks.write(tmp_path / "n.onnx", shape=(64, 64, 16))
    device = DeviceNetwork(checked(tmp_path / "n.onnx"), device="cpu")
    device._limit = 1e-9
    with pytest.raises(DtoolError, match="stopped"):
        device.predict(np.zeros((64, *device.shape), np.float32), np.zeros(64, np.float32))


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(onnx_open, "lacking", lambda: "PyTorch sees no CUDA device")


def test_a_graph_that_cannot_be_had_is_refused(files, no_cuda, monkeypatch):
    path = files / "eps.onnx"
    with pytest.raises(UsageError, match="no CUDA graph here: it runs on CUDA alone"):
        dtool.load(path, device="cpu", cuda_graph=True)
    with pytest.raises(UsageError, match="by --device"):
        dtool.load(path, provider="cpu", cuda_graph=True)
    with pytest.raises(UsageError, match="PyTorch sees no CUDA device") as caught:
        dtool.load(path, device="cuda", cuda_graph=True)
    assert "pip install torch" in caught.value.hint
    with pytest.raises(UsageError, match="only PyTorch compiles"):
        dtool.load(path, compile=True)
    module = torch.nn.Linear(3, 3)
    with pytest.raises(UsageError, match="cuda_graph is for ONNX files"):
        dtool.load(module, spec=dtool.NetworkSpec(shape=(3,), schedule="linear"), cuda_graph=True)


def test_where_a_file_is_opened(files, monkeypatch):
    """On CUDA with PyTorch its run stays there; the CPU here stands for the GPU."""
    opened = []

    def fake(file, spec, device, **more):
        opened.append((device, more))
        return DeviceNetwork(file, spec, "cpu", time_limit=more["time_limit"])

    monkeypatch.setattr(onnx_open, "lacking", lambda: "")
    monkeypatch.setattr("dtool.backends.onnx_device.DeviceNetwork", fake)
    path = files / "eps.onnx"
    dtool.load(path, device="cuda:1")
    dtool.load(path, device="cuda", cuda_graph=True, time_limit=7)
    assert opened == [("cuda:1", {"time_limit": None, "graph": False}), ("cuda", {"time_limit": 7, "graph": True})]
    monkeypatch.setattr(onnx_open, "offers_cuda", lambda: False)
    assert type(dtool.load(path)) is OnnxNetwork
    monkeypatch.setattr(onnx_open, "offers_cuda", lambda: True)
    dtool.load(path)
    assert opened[2:] == [("cuda", {"time_limit": None, "graph": False})]
    monkeypatch.setattr("dtool.backends.onnx_device.DeviceNetwork", _absent)
    if "CUDAExecutionProvider" not in __import__("onnxruntime").get_available_providers():
        assert dtool.load(path).device == "cpu"  # auto: what can be had
    with pytest.raises(DtoolError, match="absent"):
        dtool.load(path, device="cuda")


def _absent(*_, **__):
    raise DtoolError("absent", "")


def test_a_whole_sampler_has_no_graph(files, tmp_path, monkeypatch):
    path = tmp_path / "app.onnx"
    dtool.export(files / "eps.onnx", path, plan="ddim", steps=3, check=False)
    monkeypatch.setattr(onnx_open, "lacking", lambda: "")
    with pytest.raises(UsageError, match="holds a whole sampler") as caught:
        dtool.load(path, device="cuda", cuda_graph=True)
    assert "network's own file" in caught.value.hint


def test_the_flags(capsys, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = ("--steps", 2, "-n", 1)
    failed(ran(capsys, "sample", files / "eps.onnx", *few, "--cuda-graph", "--device", "cpu"), 2, "CUDA alone", "leave")
    failed(ran(capsys, "sample", files / "eps.onnx", *few, "--compile"), 2, "only PyTorch compiles", "--compile")
    failed(ran(capsys, "sample", *few, "--compile"), 2, "only PyTorch compiles")
    failed(ran(capsys, "sample", "nothing:here", *few, "--cuda-graph"), 2, "cuda_graph is for ONNX files", "--compile")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------- compiled


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


def test_no_compiler_is_an_error_with_a_remedy(monkeypatch):
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", (None, "/nowhere/c++"))
    monkeypatch.setattr(config, "force_disable_caches", True)
    module = torch.nn.Sequential(torch.nn.Linear(5, 11), torch.nn.Tanh(), torch.nn.Linear(11, 5))
    net = dtool.load(lambda x, t: module(x * 1.5), spec=dtool.NetworkSpec(shape=(5,), schedule="linear"), compile=True)
    with pytest.raises(DtoolError, match="cannot compile the network") as caught:
        sample(net, "ddim", n=1, steps=2)
    assert "install a C++ compiler" in caught.value.hint


def test_on_cuda_the_graph_s_output_is_copied(monkeypatch):
    """What PyTorch returns from a graph lies where the next call writes."""
    from dtool.backends import torch_compiled

    told, place = [], torch.zeros(3)
    monkeypatch.setattr(torch, "compile", lambda module, **options: told.append(options) or (lambda x: place.add_(x)))
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: told.append("step"))
    call = torch_compiled.compiled(torch.nn.Identity(), "cuda:0")
    one, two = call(torch.ones(3)), call(torch.ones(3))
    assert (one.tolist(), two.tolist()) == ([1, 1, 1], [2, 2, 2])
    assert told[0]["mode"] == "reduce-overhead"
    assert told[0]["dynamic"] is False
    assert told[1:] == ["step", "step"]
    torch_compiled.compiled(torch.nn.Identity(), "cpu")
    assert told[-1]["mode"] is None


@pytest.mark.parametrize("seed", [0, 5])
def test_guidance_of_a_learned_variance_on_tensors(seed):
    """Guided in place, which an inference tensor would not allow."""

    def on(array_of):
        return lambda x, t, label: array_of([0.1 * x + 0.01 * label[:, None], 0.2 * x])

    numpy_net = dtool.network(on(lambda v: np.concatenate(v, 1)), shape=(4,), classes=3, learned_variance=True)
    torch_net = dtool.network(
        on(lambda v: torch.cat(v, 1)), shape=(4,), classes=3, learned_variance=True, backend="torch"
    )
    one, other = (
        sample(net, "ddpm:sigma=learned", n=5, steps=5, seed=seed, guidance=2.0).x0 for net in (numpy_net, torch_net)
    )
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
