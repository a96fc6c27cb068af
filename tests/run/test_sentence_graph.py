"""A sentence encoder's ONNX file: what it takes and gives is looked at before it is used."""

import pytest

for package in ("tokenizers", "onnx", "onnxruntime"):
    pytest.importorskip(package)
import onnx  # noqa: E402

from dtool.errors import DtoolError  # noqa: E402
from dtool.run.sentence_graph import SentenceGraph  # noqa: E402
from tests.support.tiny_sentences import WIDTH, make_graph  # noqa: E402


def save(tmp_path, change):
    proto = make_graph()
    change(proto.graph)
    onnx.save(proto, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_its_width_is_what_its_output_says(tmp_path):
    assert SentenceGraph(save(tmp_path, lambda _: None)).width == WIDTH


def rename_output(graph):
    graph.output[0].name = graph.node[-1].output[0] = "logits"


def free_width(graph):
    graph.output[0].type.tensor_type.shape.dim[2].dim_param = "wide"


def rename_input(graph):
    graph.input[2].name = "pixel_values"
    for node in graph.node:
        node.input[:] = ["pixel_values" if name == "token_type_ids" else name for name in node.input]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (rename_output, "gives logits: it is no sentence encoder"),
        (rename_input, "takes input_ids, attention_mask, pixel_values"),
        (free_width, "does not say how wide it is"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, change, cause):
    with pytest.raises(DtoolError, match=cause):
        SentenceGraph(save(tmp_path, change))
