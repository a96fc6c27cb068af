"""A network's graph and a plan become one file, which says what it is, and gives the network back."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.models.spec import resolve_schedule
from dtool.plan.prediction import adapt_to_network
from dtool.run.sampler_form import SamplerForm, read_plan

ort = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
from dtool.export.api import recheck  # noqa: E402
from dtool.export.sampler.assembly import build, read  # noqa: E402
from tests.support.small_networks import write  # noqa: E402


def test_the_file_says_what_it_is(tmp_path):
    write(tmp_path / "net.onnx", shape=(2, 3), clip=True)
    report = dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="dpmpp-2m/karras", steps=4)
    assert report.largest is not None
    assert report.largest < 1e-5
    plan = dtool.plan("dpmpp-2m/karras", steps=4, network=dtool.load(tmp_path / "net.onnx"))
    assert read_plan(tmp_path / "app.onnx") == plan
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


@pytest.mark.parametrize(
    "fields", [{"classes": 3, "guidance": 2.0}, {"learned_variance": True}, {"prediction": "v", "clip": True}], ids=str
)
def test_the_network_comes_back_out_of_the_file(fields, tmp_path):
    spec = write(tmp_path / "net.onnx", shape=(2, 3), **fields)
    network, plan = onnx.load(tmp_path / "net.onnx"), dtool.plan("dpmpp-2m", steps=4)
    form = SamplerForm(history=1, saved=False, seed=6)
    sampler = build(network, spec, adapt_to_network(plan, resolve_schedule(spec), spec.prediction), form)
    again = read(onnx.ModelProto.FromString(sampler.content([{"what": "nothing"}])), "app.onnx")
    assert (again.spec, again.plan, again.form) == (spec, sampler.plan, form)
    assert again.document["report"] == [{"what": "nothing"}]
    random = np.random.default_rng(0)
    feed = {"x": random.standard_normal((5, 2, 3), np.float32), "t": random.uniform(0, 999, 5).astype(np.float32)}
    feed |= {"label": np.arange(5) % 4} if "classes" in fields else {}
    one, other = (
        ort.InferenceSession(proto.SerializeToString()).run(["output"], feed)[0] for proto in (network, again.network)
    )
    assert (one == other).all()


def test_a_file_that_is_no_sampler_is_told(tmp_path):
    write(tmp_path / "net.onnx", shape=(2, 3))
    network = onnx.load(tmp_path / "net.onnx")
    with pytest.raises(DtoolError, match=r"net\.onnx is not a sampler"):
        read(network, "net.onnx")
    del network.metadata_props[:]
    with pytest.raises(DtoolError, match=r"net\.onnx does not say what sampler it is"):
        read(network, "net.onnx")
