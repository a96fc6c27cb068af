"""A sentence encoder's file as a graph of token numbers makes what the host makes of the prompts."""

import numpy as np
import pytest

for package in ("torch", "onnx", "onnxscript", "onnxruntime", "tokenizers"):
    pytest.importorskip(package)
import onnxruntime  # noqa: E402

from dtool.export.network.sentence_graph import build_sentence_graph  # noqa: E402
from dtool.models.token_ids import encode_prompts  # noqa: E402
from dtool.run.sentence_text import open_for_training  # noqa: E402
from tests.support.tiny_sentences import write_folder  # noqa: E402

PROMPTS = ["", "a red square", "a dark green picture of a square", "unknown words"]


@pytest.mark.parametrize(
    ("pooled", "pooling"),
    [(True, {}), (True, {"pooling_mode_cls_token": True}), (False, {})],
    ids=["mean", "cls", "tokens"],
)
def test_it_makes_what_the_host_makes(tmp_path, pooled, pooling):
    folder = write_folder(tmp_path / "encoder", **pooling)
    text = open_for_training(str(folder), ["a"], pooled=pooled, beside=tmp_path)
    graph = build_sentence_graph(text)
    session = onnxruntime.InferenceSession(graph.proto.SerializeToString())
    ids = encode_prompts(graph.tokenizers[0], PROMPTS)
    assert graph.lengths == (32,)
    assert tuple(ids[0]) == graph.empty[0]
    [made] = session.run(["text"], {"input_ids": ids})
    np.testing.assert_allclose(made, text.encode(PROMPTS)["text"], atol=1e-6)
