"""A sampler in one file: the same pictures as the host's loop, for every sampler, whatever the network."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import dtool
from dtool.backends.fused import FusedNetwork, plan_in
from dtool.errors import DtoolError, UsageError
from tests.rules import configurations

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

import onnxruntime as ort  # noqa: E402

from dtool.export.api import recheck  # noqa: E402
from tests.small_networks import write  # noqa: E402

SEEDS = (0, 7, 2**40 + 3, 2**64 - 1)
pytestmark = pytest.mark.filterwarnings("ignore::dtool.plan.ClampWarning")


def both(folder, recipe, steps=5, check=False, options=None, **fields):
    """(host, fused): the network and the sampler made of it."""
    write(folder / "net.onnx", **fields)
    dtool.export(folder / "net.onnx", folder / "app.onnx", plan=recipe, steps=steps, check=check, **options or {})
    host, fused = dtool.load(folder / "net.onnx"), dtool.load(folder / "app.onnx")
    assert isinstance(fused, FusedNetwork)
    return host, fused


def closeness(one, other):
    """The largest difference, as a share of the largest number if that is above 1."""
    return np.abs(one - other).max() / max(1, np.abs(one).max())


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


def test_a_learned_variance_exports(tmp_path):
    host, fused = both(tmp_path, "ddpm:sigma=learned", shape=(3, 4, 4), learned_variance=True, clip=True)
    one, other = (dtool.sample(net, fused.plan, n=4, seed=3).x0 for net in (host, fused))
    assert closeness(one, other) < 1e-5
    tilde = dtool.sample(fused, "ddpm", steps=5, n=4, seed=3).x0
    assert np.abs(tilde - other).max() > 1e-3, "the learned variance is another one"


@pytest.mark.parametrize("shape", [(8,), (3, 5, 4)])
@pytest.mark.parametrize("quantile", [0.5, 0.93, 1.0])
def test_dynamic_thresholding(shape, quantile, tmp_path):
    host, fused = both(tmp_path, "dpmpp-2m", options={"threshold": quantile}, shape=shape, data_range=(-1.0, 2.0))
    one = dtool.sample(host, fused.plan, n=5, threshold=quantile, trace=True)
    other = dtool.sample(fused, fused.plan, n=5, trace=True)
    assert closeness(one.x0, other.x0) < 1e-5
    assert closeness(one.trace.x0, other.trace.x0) < 1e-5
    clipped = dtool.sample(host, fused.plan, n=5, clip=True)
    assert quantile == 1.0 or np.abs(clipped.x0 - one.x0).max() > 1e-3


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("micro_batch", [1, 4, 64])
def test_an_image_does_not_depend_on_its_batch(classes, micro_batch, tmp_path):
    both(tmp_path, "ddpm", shape=(9,), classes=classes, options={"micro_batch": micro_batch})
    session = ort.InferenceSession(tmp_path / "app.onnx")
    ids = np.arange(64, dtype=np.uint64)

    def images(part):
        feed = {"ids": ids[part]} | ({"label": (ids[part] % 3).astype(np.int64)} if classes else {})
        return session.run(["images"], feed)[0]

    whole = images(slice(None))
    for k in (0, 17, 63):
        assert (images(slice(k, k + 1))[0] == whole[k]).all()
    for cut in (1, 30, 33):
        assert (np.concatenate([images(slice(0, cut)), images(slice(cut, None))]) == whole).all()
    assert len({v.tobytes() for v in whole}) == 64


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


def test_room_for_other_samplers(tmp_path):
    host, fused = both(tmp_path, "ddim", options={"history": 4}, shape=(2, 3))
    for recipe in ("dpmpp-3m", "plms", "heun", "seeds-3", "dpmpp-sde", "unipc:order=3"):
        one, other = (dtool.sample(net, recipe, steps=6, n=3).x0 for net in (host, fused))
        assert closeness(one, other) < 1e-5


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


def test_the_file_says_what_it_is(tmp_path):
    write(tmp_path / "net.onnx", shape=(2, 3), clip=True)
    report = dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="dpmpp-2m/karras", steps=4)
    assert report.largest is not None
    assert report.largest < 1e-5
    plan = dtool.plan("dpmpp-2m/karras", steps=4, network=dtool.load(tmp_path / "net.onnx"))
    assert plan_in(tmp_path / "app.onnx") == plan
    model = onnx.load(tmp_path / "app.onnx")
    onnx.checker.check_model(model, full_check=True)
    document = json.loads({p.key: p.value for p in model.metadata_props}["dtool"])
    assert document["kind"] == "sampler"
    assert [line["difference"] for line in document["report"]] == [c.difference for c in report.comparisons]
    assert document["weights_sha256"] == report.weights_sha256
    again = recheck(tmp_path / "app.onnx")
    assert [c.what for c in again.comparisons] == [c.what for c in report.comparisons]
    assert again.largest == pytest.approx(report.largest, abs=1e-6)
    assert not {n for n in operators(model.graph) if n.startswith("Random") or n in ("Bernoulli", "Multinomial")}
    assert not any(os.sep + "home" in p.value for p in model.metadata_props)


def operators(graph):
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from operators(attribute.g)


@pytest.mark.parametrize("name", ["times", "plan"])
def test_a_file_that_was_changed_is_found_out(name, tmp_path):
    """The check measures: with other defaults than the plan that it names, a file fails."""
    both(tmp_path, "ddpm", shape=(2, 3))
    model = onnx.load(tmp_path / "app.onnx")
    for tensor in model.graph.initializer:
        if tensor.name == name:
            values = onnx.numpy_helper.to_array(tensor) + 30
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), tensor.name))
    if name == "plan":
        document = {p.key: p.value for p in model.metadata_props}
        held = json.loads(document["dtool"])
        held["plan"]["a"][1] *= 1.01
        onnx.helper.set_model_props(model, document | {"dtool": json.dumps(held)})
    (tmp_path / "app.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(DtoolError, match="from the host's loop"):
        recheck(tmp_path / "app.onnx")


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


def test_the_files_own_micro_batch_is_used(tmp_path):
    _, fused = both(tmp_path, "ddim", shape=(9,), options={"micro_batch": 2}, check=True)
    assert fused.micro_batch == 2


def test_a_step_that_magnifies_is_no_error(tmp_path):
    """heun on cosine multiplies F by a thousand in its second call, and a last bit with it."""
    both(tmp_path, "heun", check=True, shape=(2, 3), schedule="cosine")


@pytest.mark.parametrize("seed", [2**64, -1])
def test_seeds_and_ids_out_of_range(seed, tmp_path):
    for net in both(tmp_path, "ddim", shape=(9,)):
        with pytest.raises(UsageError, match="out of range"):
            dtool.sample(net, "ddim", steps=2, n=1, seed=seed)
        with pytest.raises(UsageError, match="image ids"):
            dtool.sample(net, "ddim", steps=2, ids=[seed])


def test_a_network_that_decides_inside(tmp_path):
    """Graphs inside nodes read weights of the graph around them."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    class Deciding(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.early, self.late = torch.nn.Linear(6, 6), torch.nn.Linear(6, 6)

        def forward(self, x, t):
            return torch.cond(t.max() > 500, lambda x: self.late(x), lambda x: self.early(x), (x,))

    torch.manual_seed(0)
    spec = dtool.NetworkSpec(shape=(6,), schedule="linear")
    dtool.export((Deciding(), spec), tmp_path / "app.onnx", plan="ddim", steps=4)


def test_inputs_in_another_order(tmp_path):
    write(tmp_path / "net.onnx", shape=(2, 3))
    model = onnx.load(tmp_path / "net.onnx")
    turned = list(reversed(model.graph.input))
    del model.graph.input[:]
    model.graph.input.extend(turned)
    (tmp_path / "turned.onnx").write_bytes(model.SerializeToString())
    for name in ("net", "turned"):
        dtool.export(tmp_path / f"{name}.onnx", tmp_path / f"{name}-app.onnx", plan="ddpm", steps=3)
    images = [dtool.sample(dtool.load(tmp_path / f"{name}-app.onnx"), n=3).x0 for name in ("net", "turned")]
    assert (images[0] == images[1]).all()


def test_bounds_without_end(tmp_path):
    both(tmp_path, "ddim", shape=(9,), options={"threshold": 0.9})
    session = ort.InferenceSession(tmp_path / "app.onnx")
    feed = {"ids": np.arange(3, dtype=np.uint64)}
    images = [
        session.run(["images"], feed | {"bounds": np.array([-far, far], np.float32)})[0] for far in (1e38, 3e38, np.inf)
    ]
    assert np.isfinite(images[0]).all()
    assert (images[0] == images[1]).all()
    assert (images[0] == images[2]).all()
