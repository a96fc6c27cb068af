"""More images in a call where that changes no bit of any, and only there."""

from __future__ import annotations

import json
from math import prod

import numpy as np
import pytest

import dtool
from dtool.backends import company

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

import onnxruntime as ort  # noqa: E402
from onnx import helper  # noqa: E402

from dtool.export.builder import Graph, value  # noqa: E402
from dtool.export.metadata import describe  # noqa: E402

SHAPE = (1, 24, 24)


def write(path, leak=0.0, only_one=False, classes=0):
    """A network without sums over pixels, whose bits cannot depend on its batch, but for `leak` times its size."""
    spec = dtool.NetworkSpec(shape=SHAPE, schedule="linear", classes=classes)
    graph = Graph("plain")
    scale = graph.constant(np.random.default_rng(3).standard_normal(SHAPE), np.float32)
    batch = graph.cast(graph("Shape", "x", start=0, end=1), np.float32)
    terms = [graph("Mul", "x", scale), graph("Mul", batch, graph.constant(leak, np.float32))]
    if classes:
        known = graph.constant(np.linspace(0, 1, classes + 1), np.float32)
        terms.append(graph("Reshape", graph("Gather", known, "label", axis=0), graph.ints(-1, 1, 1, 1)))
    made = graph.total(*terms)
    graph("Reshape", made, graph.ints(1 if only_one else 0, *SHAPE), name="output")
    inputs = [value("x", np.float32, ["batch", *SHAPE]), value("t", np.float32, ["batch"])]
    inputs += [value("label", np.int64, ["batch"])] * bool(classes)
    outputs = [value("output", np.float32, ["batch", *SHAPE])]
    graph = graph.made(inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    describe(model, spec)
    path.write_bytes(model.SerializeToString())
    return dtool.load(path, device="cpu")


@pytest.mark.parametrize("doubled", [False, True])
def test_they_run_together_where_no_bit_changes(doubled, tmp_path):
    net = write(tmp_path / "net.onnx", classes=3 * doubled)
    assert net.micro_batch == 1
    assert company.together(net, 64, doubled) == company.MOST


@pytest.mark.parametrize("leak", [1e-6, 1e-3])
def test_and_alone_where_one_does(leak, tmp_path):
    net = write(tmp_path / "net.onnx", leak=leak)
    assert company.together(net, 64, False) == 1
    many = dtool.sample(net, "ddim", steps=30, n=9)
    for k in (0, 5, 8):
        assert (dtool.sample(net, "ddim", steps=30, ids=[k]).x0[0] == many.x0[k]).all()


def test_a_network_that_takes_one_image_only(tmp_path):
    net = write(tmp_path / "net.onnx", only_one=True)
    assert dtool.sample(net, "ddim", steps=30, n=9).x0.shape == (9, *SHAPE)
    assert net.company == {(company.MOST, False): False}


@pytest.mark.parametrize("count", [1, 2, 5, 8, 63, 64])
@pytest.mark.parametrize("rows", [1, 300])
def test_the_sizes_cover_the_images(count, rows, tmp_path):
    net = write(tmp_path / "net.onnx")
    sizes = company.sizes(net, count, rows, doubled=False)
    assert sum(sizes) == count
    assert set(sizes) <= {1, 2, 4, company.MOST}
    assert rows < 300 or count < 2 or sizes[0] == min(company.MOST, 1 << count.bit_length() - 1)


def test_large_images_are_not_put_together(tmp_path):
    net = write(tmp_path / "net.onnx")
    net.spec = net.spec.model_copy(update={"shape": (3, 64, 64)})
    assert prod(net.shape) > company.NUMBERS
    assert company.together(net, 64, False) == 1


@pytest.mark.parametrize("seed", [0, 5, 2**60])
def test_a_batch_is_its_images_and_progress_ends(seed, tmp_path):
    net = write(tmp_path / "net.onnx", classes=4)
    seen = []
    options = {"steps": 12, "seed": seed, "guidance": 2.5}
    many = dtool.sample(net, "ddpm", n=11, progress=lambda done, total: seen.append((done, total)), **options)
    assert net.company == {(company.MOST, True): True}
    assert seen[-1] == (12 * 4, 12 * 4)  # one call of eight images, three of one
    alone = [dtool.sample(net, "ddpm", ids=[k], labels=k % 4, **options).x0[0] for k in range(11)]
    assert (np.stack(alone) == many.x0).all()
    assert (dtool.sample(net, "ddpm", n=11, batch_size=1, **options).x0 == many.x0).all()


def form(path):
    model = onnx.load(path)
    return json.loads({p.key: p.value for p in model.metadata_props}["dtool"])["form"]


@pytest.mark.parametrize("classes", [0, 3])
def test_a_samplers_file_shares_its_images_out(classes, tmp_path):
    write(tmp_path / "net.onnx", classes=classes)
    dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="ddpm", steps=4)
    assert form(tmp_path / "app.onnx")["even"]
    session = ort.InferenceSession(tmp_path / "app.onnx")
    ids, label = np.arange(23, dtype=np.uint64), np.arange(23) % max(classes, 1)

    def images(part, **more):
        feed = {"ids": ids[part]} | ({"label": label[part]} if classes else {})
        return session.run(["images"], feed | more)[0]

    whole = images(slice(None))
    for cut in range(1, 23):
        assert (np.concatenate([images(slice(0, cut)), images(slice(cut, None))]) == whole).all()
    for size in (1, 3, 50):
        assert (images(slice(None), micro_batch=np.asarray(size)) == whole).all()
    host = dtool.sample(dtool.load(tmp_path / "net.onnx"), "ddpm", steps=4, ids=ids.tolist(), labels=None)
    assert np.abs(host.x0 - whole).max() < 1e-5
    assert images(slice(0, 0)).shape == (0, *SHAPE)


def test_and_pads_them_where_bits_depend_on_the_batch(tmp_path):
    write(tmp_path / "net.onnx", leak=1e-4)
    dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="ddim", steps=4)
    assert not form(tmp_path / "app.onnx")["even"]
    file = dtool.load(tmp_path / "app.onnx", device="cpu")
    assert company.together(file, 64, False) == 1


def test_a_file_that_was_made_even_elsewhere_is_tried_out_here(tmp_path, monkeypatch):
    """Another machine's kernels may add in another order: what runs the file tries for itself."""
    monkeypatch.setattr("dtool.export.even._same_bits", lambda *_: True)
    write(tmp_path / "net.onnx", leak=1e-6)
    monkeypatch.setattr("dtool.export.sampler_check._alone_by_default", lambda _: None)
    dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="ddim", steps=4)
    assert form(tmp_path / "app.onnx")["even"]
    file = dtool.load(tmp_path / "app.onnx", device="cpu")
    many = dtool.sample(file, "ddim", steps=40, n=9)
    assert file.company == {(company.MOST, False): False}
    assert (dtool.sample(file, "ddim", steps=40, ids=[7]).x0[0] == many.x0[7]).all()


@pytest.mark.parametrize("wrong", [-5, 2**40])
def test_labels_and_trace_out_of_range(wrong, tmp_path):
    """A label that is none means no class; any number but 0 asks for the trace."""
    write(tmp_path / "net.onnx", classes=3)
    dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="ddim", steps=2, check=False)
    session = ort.InferenceSession(tmp_path / "app.onnx")
    ids = np.arange(2, dtype=np.uint64)
    none = session.run(["images"], {"ids": ids, "label": np.array([3, 1])})[0]
    assert (session.run(["images"], {"ids": ids, "label": np.array([wrong, 1])})[0] == none).all()
    trace = session.run(["trace_x"], {"ids": ids, "label": np.array([3, 1]), "trace": np.asarray(wrong)})[0]
    assert trace.shape == (2, 2, *SHAPE)
