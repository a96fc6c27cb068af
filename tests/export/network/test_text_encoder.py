"""A text encoder as a graph: token numbers in, the network's conditions out."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("tokenizers")
from dtool.export.network.text_encoder import export_text_encoder  # noqa: E402
from tests.support.tiny_texts import LENGTH, TinyText  # noqa: E402


def make_spec(shape):
    return dtool.NetworkSpec(shape=(2,), schedule="linear", conditions=({"name": "text", "shape": shape},))


def test_it_makes_what_the_encoder_makes_in_any_batch():
    text = TinyText()
    graph = export_text_encoder(text, make_spec((LENGTH, 8)))
    assert (graph.inputs, graph.lengths) == (("input_ids",), (LENGTH,))
    session = ort.InferenceSession(graph.proto.SerializeToString())
    prompts = ["", "a red house", "small sea"]
    ids = np.array([encoding.ids for encoding in text.tokenizer.encode_batch(prompts)])
    [made] = session.run(["text"], {"input_ids": ids})
    assert np.abs(made - text.encode(prompts)["text"]).max() < 1e-6


def test_what_the_network_does_not_take():
    with pytest.raises(DtoolError, match=r"makes text of shape \(6, 8\), which the network does not take"):
        export_text_encoder(TinyText(), make_spec((LENGTH, 9)))
