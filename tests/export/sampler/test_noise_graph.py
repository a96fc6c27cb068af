"""The noise inside a sampler's file: the same bits."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dtool.run.noise import derive_key, normals

ort = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from dtool.export.sampler import noise_graph  # noqa: E402
from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info  # noqa: E402

SEEDS = [0, 1, 2**32, 2**63, 2**64 - 1, *np.random.default_rng(0).integers(0, 2**64, 20, dtype=np.uint64).tolist()]


def model(shape: tuple[int, ...]) -> onnx.ModelProto:
    graph = GraphBuilder("noise")
    graph("Identity", noise_graph.seed_key(graph, "seed"), name="key")
    counters = noise_graph.first_counters(graph, "ids", "key", shape)
    graph("Identity", noise_graph.normals(graph, counters, "draw", "key", shape), name="z")
    inputs = [make_value_info(name, np.uint64, dims) for name, dims in (("seed", []), ("ids", ["batch"]), ("draw", []))]
    made = graph.build(
        inputs, [make_value_info("key", np.uint64, []), make_value_info("z", np.float32, ["batch", *shape])]
    )
    result: onnx.ModelProto = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(result, full_check=True)
    return result


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 5), (1, 28, 28)])
def test_the_same_bits(shape: tuple[int, ...]) -> None:
    made = model(shape)
    session, evaluator = ort.InferenceSession(made.SerializeToString()), ReferenceEvaluator(made)
    rng = np.random.default_rng(1)
    for seed in SEEDS:
        ids, draw = rng.integers(0, 2**32, 6, dtype=np.uint64), int(rng.integers(0, 5000))
        feed = {"seed": np.array(seed, np.uint64), "ids": ids, "draw": np.array(draw, np.uint64)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # products are meant to wrap
            results = [session.run(["key", "z"], feed), evaluator.run(["key", "z"], feed)]
        expected = normals(seed, ids, draw, shape)[0]
        for k, z in results:
            assert int(k) == derive_key(seed)
            assert z.dtype == np.float32
            assert (z == expected).all()
