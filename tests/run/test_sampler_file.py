"""A sampler in one file: the same pictures as the host's loop, for every sampler, whatever the network."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from tests.support.rules import configurations

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

import onnxruntime as ort  # noqa: E402

from tests.support.sampler_files import both, closeness  # noqa: E402
from tests.support.small_networks import write  # noqa: E402

SEEDS = (0, 7, 2**40 + 3, 2**64 - 1)
pytestmark = pytest.mark.filterwarnings("ignore::dtool.plan.ClampWarning")


@pytest.mark.parametrize("token", configurations())
def test_every_sampler_of_the_catalogue(token, tmp_path):
    """Step by step and at the end, clipped and not, from the same seed."""
    learned = "learned" in token
    host, fused = both(tmp_path, token, shape=(3, 4), learned_variance=learned)
    for clip in (False, True):
        seed = SEEDS[hash(token) % 4]
        one, other = (dtool.sample(net, fused.plan, n=6, seed=seed, clip=clip, trace=True) for net in (host, fused))
        assert closeness(one.x0, other.x0) < 1e-5
        assert closeness(one.trace.x, other.trace.x) < 1e-5
        assert one.trace.x0.shape == other.trace.x0.shape == (5, 6, 3, 4)


NETWORKS = [
    {"shape": (8,)},
    {"shape": (1,), "prediction": "flow", "schedule": "flow"},
    {"shape": (1, 5, 7), "classes": 3, "guidance": 2.5},
    {"shape": (3, 6, 4), "prediction": "v", "clip": True, "data_range": (0.0, 1.0)},
    {"shape": (2, 3, 5), "prediction": "x0", "classes": 2, "guidance": 1.0},
    {"shape": (2, 4), "learned_variance": True, "classes": 4, "guidance": 0.0},
    {"shape": (3, 4, 5), "prediction": "v", "schedule": "cosine:T=50", "learned_variance": True, "classes": 2},
    {"shape": (2, 2), "schedule": "edm"},
]


@pytest.mark.parametrize("seed", SEEDS[:2])
@pytest.mark.parametrize("fields", NETWORKS, ids=lambda f: "-".join(str(v) for v in f.values()))
@pytest.mark.parametrize("recipe", ["ddpm", "dpmpp-2m/karras", "heun"])
def test_every_kind_of_network(fields, recipe, seed, tmp_path):
    host, fused = both(tmp_path, recipe, seed=seed, **fields)
    options = {"n": 5, "seed": seed + 11, "trace": True}
    if fields.get("classes"):
        options["labels"] = [0, -1, 1, 1, 0]
    for scale in (None, *((0.0, 1.0, 3.5) if fields.get("classes") else ())):
        one, other = (dtool.sample(net, fused.plan, guidance=scale, **options) for net in (host, fused))
        assert closeness(one.x0, other.x0) < 1e-5
        assert closeness(one.trace.x, other.trace.x) < 1e-5


@pytest.mark.parametrize(
    "recipe", ["ddim", "ddpm@cosine:T=300/karras", "euler", "ddim:eta=0.4", "dpmpp-2m-sde/exponential"]
)
@pytest.mark.parametrize("steps", [1, 3, 8])
def test_another_plan_in_the_place_of_its_own(recipe, steps, tmp_path):
    host, fused = both(tmp_path, "dpmpp-2m", shape=(2, 3))
    one, other = (dtool.sample(net, recipe, steps=steps, n=3, seed=5) for net in (host, fused))
    assert closeness(one.x0, other.x0) < 1e-5


def test_what_does_not_fit_is_refused(tmp_path):
    _, fused = both(tmp_path, "ddim", shape=(2, 3))
    with pytest.raises(UsageError, match="remembers 2 older predictions") as error:
        dtool.sample(fused, "dpmpp-3m", steps=5)
    assert "history=2" in error.value.hint
    with pytest.raises(UsageError, match="no dynamic thresholding"):
        dtool.sample(fused, "ddim", steps=5, threshold=0.9)
    with pytest.raises(UsageError, match="whole sampler"):
        dtool.sample(fused, "ddim", steps=2, x=np.zeros((2, 2, 3)))
    with pytest.raises(UsageError, match="from noise"):
        dtool.export(tmp_path / "net.onnx", tmp_path / "b.onnx", plan="ddim-inversion", check=False)
    with pytest.raises(UsageError, match="a sampler already"):
        dtool.export(tmp_path / "app.onnx", tmp_path / "b.onnx", plan="ddim", check=False)
    assert not (tmp_path / "b.onnx").exists()


def test_frozen(tmp_path):
    options = {"freeze": True, "seed": 9, "guidance": 2.0}
    host, fused = both(tmp_path, "ddpm", options=options, check=True, shape=(2, 3), classes=2)
    session = ort.InferenceSession(tmp_path / "app.onnx")
    assert [node.name for node in session.get_inputs()] == ["ids", "label"]
    assert [node.name for node in session.get_outputs()] == ["images"]
    one = dtool.sample(host, fused.plan, n=5, seed=9, guidance=2.0).x0
    assert closeness(one, dtool.sample(fused, n=5, seed=9).x0) < 1e-5
    for wrong in ({"seed": 0}, {"seed": 9, "guidance": 1.0}, {"seed": 9, "clip": True}, {"seed": 9, "trace": True}):
        with pytest.raises(UsageError, match="frozen"):
            dtool.sample(fused, n=2, **wrong)
    with pytest.raises(UsageError, match="frozen"):
        dtool.sample(fused, "ddim", steps=5, seed=9)
    text = (tmp_path / "config.pbtxt").read_text()
    assert 'name: "ids"' in text
    assert "dims: [ 2, 3 ]" in text
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("guidance", [0.0, 1.0, 3.0])
def test_every_micro_batch_has_its_labels(guidance, tmp_path):
    """The host's loop keeps its labels from one micro-batch to the next: each image is what it is alone."""
    write(tmp_path / "net.onnx", shape=(1, 24, 24), classes=5)
    net = dtool.load(tmp_path / "net.onnx")
    labels = [4, 0, 3, 1, 2, 4]
    many = dtool.sample(net, "ddpm", steps=40, n=6, labels=labels, guidance=guidance).x0
    for i, label in enumerate(labels):
        junk = [np.full(1, i, np.int64) for i in range(500)]  # what freed memory would be filled with
        alone = dtool.sample(net, "ddpm", steps=40, ids=[i], labels=label, guidance=guidance).x0
        assert (alone[0] == many[i]).all()
        del junk


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 8, 4), (1, 7, 7), (5,)])
def test_an_image_does_not_depend_on_its_place(shape, tmp_path):
    """Sines are computed some at a time: a network of sin(t) told the same t in each place must answer the same."""
    write(tmp_path / "net.onnx", shape=shape, waves=True)
    dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="ddim", steps=5, check=False)
    for path in ("net.onnx", "app.onnx"):
        net = dtool.load(tmp_path / path)
        assert net.micro_batch & (net.micro_batch - 1) == 0
        many = dtool.sample(net, "ddim", steps=5, n=64).x0
        for k in range(0, 64, 3):
            assert (dtool.sample(net, "ddim", steps=5, ids=[k]).x0[0] == many[k]).all()


@pytest.mark.parametrize("seed", [2**64, -1])
def test_seeds_and_ids_out_of_range(seed, tmp_path):
    for net in both(tmp_path, "ddim", shape=(9,)):
        with pytest.raises(UsageError, match="out of range"):
            dtool.sample(net, "ddim", steps=2, n=1, seed=seed)
        with pytest.raises(UsageError, match="image ids"):
            dtool.sample(net, "ddim", steps=2, ids=[seed])
