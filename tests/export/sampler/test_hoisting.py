"""What depends on conditions alone is computed before the loop, and the network comes back as it was."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.models.conditions import Condition
from dtool.models.spec import NetworkSpec, resolve_schedule
from dtool.plan.prediction import adapt_to_network
from dtool.run.sampler_form import SamplerForm

ort = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402

from dtool.export.metadata import describe  # noqa: E402
from dtool.export.sampler.assembly import build, read  # noqa: E402
from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info  # noqa: E402
from dtool.export.sampler.hoisting import HOISTED, hoist, lower  # noqa: E402
from dtool.export.sampler.network_nodes import insert_network  # noqa: E402

WORDS, WIDTH = 3, 4


def write(path, joins=False, **fields):
    """A network that looks at words `(B, 3, 4)` through two layers; joins: those of all images in one list before."""
    words = Condition(name="words", shape=(WORDS, WIDTH), null=0.0)
    spec = NetworkSpec(**{"shape": (2, 4), "schedule": "linear", "conditions": (words,), **fields})
    random, graph = np.random.default_rng(0), GraphBuilder("net")

    def weight(*shape):
        return graph.constant(random.standard_normal(shape) / 2, np.float32)

    known = "words"
    if joins:
        known = graph("Reshape", graph("Reshape", "words", graph.ints(-1, WIDTH)), graph.ints(-1, WORDS, WIDTH))
    keys = graph("MatMul", graph("LayerNormalization", known, weight(WIDTH)), weight(WIDTH, 4))
    values = graph("Add", graph("MatMul", known, weight(WIDTH, 4)), weight(4))
    shares = graph("Softmax", graph("MatMul", "x", graph("Transpose", keys, perm=[0, 2, 1])))
    time = graph("Reshape", graph("Mul", "t", graph.constant(1e-3, np.float32)), graph.ints(0, 1, 1))
    found = graph("Add", graph("MatMul", shares, values), graph("Add", graph("Mul", "x", time), weight(4)))
    if spec.classes:
        known = graph("Gather", weight(spec.classes + 1, 4), "label", axis=0)
        found = graph("Add", found, graph("Unsqueeze", graph("MatMul", known, weight(4, 4)), graph.ints(1)))
    graph("Tanh", found, name="output")
    inputs = [make_value_info("x", np.float32, ["batch", 2, 4]), make_value_info("t", np.float32, ["batch"])]
    inputs += [make_value_info("label", np.int64, ["batch"])] * bool(spec.classes)
    inputs.append(make_value_info("words", np.float32, ["batch", WORDS, WIDTH]))
    made = graph.build(inputs, [make_value_info("output", np.float32, ["batch", 2, 4])])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    describe(model, spec)
    path.write_bytes(model.SerializeToString())
    return spec


def list_nodes(graph, inside=0):
    """(how many loops it is in, node) of a graph and those in its loops."""
    for node in graph.node:
        yield inside, node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from list_nodes(attribute.g, inside + (node.op_type == "Loop"))


def count_products(model):
    """(before the loop over the rows, in it): the matrix products of the network."""
    products = [inside for inside, node in list_nodes(model.graph) if node.op_type == "MatMul"]
    return products.count(1), products.count(2)


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({}, (2, 2)),
        ({"guidance": 2.0}, (2, 2)),
        ({"guidance": 2.0, "classes": 3}, (3, 2)),
        ({"guidance": 2.0, "joins": True}, (0, 4)),  # whose rows are no longer images
    ],
    ids=str,
)
def test_products_of_conditions_are_made_before_the_loop(fields, counts, tmp_path):
    write(tmp_path / "net.onnx", **fields)
    report = dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="dpmpp-2m", steps=4)
    assert report.largest is not None
    assert report.largest < 1e-5
    model = onnx.load(tmp_path / "app.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert count_products(model) == counts


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_the_network_comes_back_as_it_was(guidance, tmp_path):
    spec = write(tmp_path / "net.onnx", guidance=guidance, classes=3)
    network, plan = onnx.load(tmp_path / "net.onnx"), dtool.plan("ddim", steps=3)
    form = SamplerForm(history=0, saved=False, seed=6)
    sampler = build(network, spec, adapt_to_network(plan, resolve_schedule(spec), spec.prediction), form)
    assert any(node.name.startswith(HOISTED) for _, node in list_nodes(sampler.model.graph))
    again = read(onnx.ModelProto.FromString(sampler.content([])), "app.onnx").network
    kinds = [sorted(node.op_type for node in one.graph.node if node.op_type != "Identity") for one in (network, again)]
    assert kinds[0] == kinds[1]
    assert len(network.graph.initializer) == len(again.graph.initializer)
    random = np.random.default_rng(0)
    feed = {"x": random.standard_normal((5, 2, 4), np.float32), "t": random.uniform(0, 999, 5).astype(np.float32)}
    feed |= {"label": np.arange(5) % 4, "words": random.standard_normal((5, WORDS, WIDTH), np.float32)}
    one, other = (ort.InferenceSession(m.SerializeToString()).run(["output"], feed)[0] for m in (network, again))
    assert (one == other).all()


def insert(sources, network, spec):
    """A loop's body with the network in it, and the graph around the loop."""
    body = GraphBuilder("step")
    body("Neg", insert_network(body, network.graph, "network/", spec, sources), name="next_x")
    inputs, outputs = (make_value_info(name, np.float32, ["images", 2, 4]) for name in ("x", "next_x"))
    return body.build([inputs], [outputs]), GraphBuilder("run")


@pytest.mark.parametrize(("source", "moved"), [(("Identity", "told"), 2), (("Identity", "x"), 0)], ids=str)
def test_rows_that_are_told_the_same_may_be_joined(source, moved, tmp_path):
    spec = write(tmp_path / "net.onnx", joins=True)
    network = onnx.load(tmp_path / "net.onnx")
    body, around = insert([("Identity", "x"), ("Identity", "time"), source], network, spec)
    whole = onnx.GraphProto.FromString(body.SerializeToString())
    left = hoist(body, around, "network/", network)
    assert sum(node.op_type == "MatMul" for node in around.nodes) == moved
    assert sum(node.op_type == "MatMul" for node in left.node) == 4 - moved
    back = lower(left, around.build([], []))
    assert sorted(node.SerializeToString() for node in back.node) == sorted(
        node.SerializeToString() for node in whole.node
    )
    assert {tensor.name for tensor in back.initializer} == {tensor.name for tensor in whole.initializer}
