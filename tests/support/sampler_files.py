"""Samplers' files made of small random networks."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dtool
from dtool.run.sampler_file import FusedNetwork
from tests.support.commandline import ran

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
from tests.support.small_networks import write  # noqa: E402 - after the check that onnx is there

SHAPE, STEPS = (2, 3), 4


def exported(folder, recipe="ddpm", classes=2, name="app.onnx", **options):
    """The file of a sampler, and its host network."""
    write(folder / "net.onnx", shape=SHAPE, classes=classes, clip=True, guidance=1.5 if classes else 1.0)
    dtool.export(folder / "net.onnx", folder / name, plan=recipe, steps=STEPS, check=False, **options)
    return folder / name, dtool.load(folder / "net.onnx")


def export_sampler(capsys, *words):
    done = ran(capsys, "export", "net.onnx", "-o", "app.onnx", *words)
    assert done.code == 0, done.err
    return done


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


def form(path):
    """The form that a sampler's file says of itself."""
    model = onnx.load(path)
    return json.loads({p.key: p.value for p in model.metadata_props}["dtool"])["form"]


def write_decoder(path, shape):
    """Pictures of latents of this shape: twice their numbers."""
    from onnx import helper, numpy_helper

    from dtool.export.sampler.graph_builder import make_value_info

    latents, pictures = (make_value_info(name, np.float32, ["batch", *shape]) for name in ("latents", "pictures"))
    two = numpy_helper.from_array(np.asarray(np.float32(2)), "two")
    graph = helper.make_graph(
        [helper.make_node("Mul", ["latents", "two"], ["pictures"])], "d", [latents], [pictures], [two]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
