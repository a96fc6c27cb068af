"""Runs that stay on the device, tried with the CPU as the device."""

import threading
from dataclasses import replace

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.models.description import Description
from dtool.models.runtime import Runtime

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
from dtool.run.onnxruntime_backend import OnnxNetwork, read_checked_file  # noqa: E402
from dtool.run.onnxruntime_device import SLOTS, DeviceNetwork  # noqa: E402
from dtool.run.sampling import sample  # noqa: E402
from dtool.run.torch_backend import DeviceNormals, TensorNetwork  # noqa: E402
from tests.support import foreign, small_networks  # noqa: E402

ON_CPU = Runtime(device="cpu")
ROWS = ["ddim", "ddpm", "heun", "dpmpp-2m/karras", "unipc", "dpmpp-2s-ancestral", "dpmpp-sde", "ddim/restart"]


def both(path):
    """The file from the host and on the device."""
    return OnnxNetwork(path, runtime=ON_CPU), DeviceNetwork(read_checked_file(path), runtime=ON_CPU)


def close(one, other, recipe, **more):
    """The images of both; they have the same bits, or nearly."""
    given = {"n": 6, "seed": 3, "steps": 9} | more
    a, b = (sample(network, recipe, **given).x0 for network in (one, other))
    assert isinstance(b, np.ndarray)
    assert b.dtype == a.dtype
    np.testing.assert_allclose(b, a, rtol=0, atol=1e-6 * max(1.0, float(np.abs(a).max())))
    return a, b


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
    call = device.bind(x[0])
    first = call(x[1], t)
    assert not torch.equal(first, before)
    assert torch.equal(call(x[0], t), before)
    assert torch.equal(first, before)  # the same place
    assert torch.equal(kept, before)


def test_two_bound_calls_of_one_batch_size_keep_their_labels(files):
    _, device = both(files / "classes.onnx")
    x, t = torch.randn(2, *device.shape), torch.tensor([5.0, 700.0])
    one, other = (device.bind(x, torch.tensor(label)) for label in ([0, 1], [2, 3]))
    for _ in range(2):
        assert torch.equal(one(x, t), device.predict(x, t, torch.tensor([0, 1])))
        assert torch.equal(other(x, t), device.predict(x, t, torch.tensor([2, 3])))


def test_addresses_stay_and_old_sizes_go(files, monkeypatch):
    _, device = both(files / "eps.onnx")
    sample(device, "ddpm", n=10, steps=4, batch_size=5)  # what is tried out once, is
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


def test_what_cannot_be_bound_is_called_from_the_host(tmp_path):
    path = tmp_path / "f.onnx"
    path.write_bytes(foreign.network().SerializeToString())  # one whole time for a batch
    said = Description(schedule="linear", prediction="eps")
    host, device = OnnxNetwork(path, said, ON_CPU), DeviceNetwork(read_checked_file(path), said, ON_CPU)
    assert not device.bindable
    close(host, device, "ddim", steps=5)
    with pytest.raises(UsageError, match="no CUDA graph"):
        DeviceNetwork(read_checked_file(path), said, replace(ON_CPU, cuda_graph=True))


def test_a_failing_call_says_why(files):
    _, device = both(files / "eps.onnx")
    with pytest.raises((DtoolError, RuntimeError)):
        device.predict(torch.zeros(2, 3, 9), torch.zeros(2))
    with pytest.raises(DtoolError, match="takes no labels"):
        device.predict(torch.zeros(2, *device.shape), torch.zeros(2), torch.zeros(2))


def test_a_first_call_that_takes_too_long_is_stopped(tmp_path):
    small_networks.write(tmp_path / "n.onnx", shape=(64, 64, 16))
    device = DeviceNetwork(read_checked_file(tmp_path / "n.onnx"), runtime=ON_CPU)
    device._limit = 1e-9
    with pytest.raises(DtoolError, match="stopped"):
        device.predict(np.zeros((64, *device.shape), np.float32), np.zeros(64, np.float32))
