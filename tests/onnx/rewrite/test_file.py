import sys

import onnx
import pytest

from dtool.onnx.checked_file import read_checked_file
from dtool.onnx.rewrite import file
from dtool.onnx.rewrite.mark import mark
from tests.support.rewritten_graphs import GraphWriter, count_kinds


@pytest.fixture
def model():
    net = GraphWriter()
    return net.model(net.conv(net.enlarge(net.group_norm("x")), 8))


def rewrite_saved(model, path):
    onnx.save(model, path / "net.onnx")
    return file.rewrite_file(read_checked_file(path / "net.onnx"))


def test_a_file_with_something_to_gain_is_rewritten(model, tmp_path):
    rewritten = onnx.load_model_from_string(rewrite_saved(model, tmp_path))
    assert count_kinds(rewritten, "Shape") == 0
    assert rewrite_saved(rewritten, tmp_path) is None


def test_weights_in_another_file_are_read_as_far_as_they_are_needed(model, tmp_path, monkeypatch):
    whole = onnx.load_model_from_string(rewrite_saved(model, tmp_path))
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=100)
    checked = read_checked_file(tmp_path / "net.onnx")
    rewritten = onnx.load_model_from_string(file.rewrite_file(checked))
    assert [node.op_type for node in rewritten.graph.node] == [node.op_type for node in whole.graph.node]
    assert count_kinds(rewritten, "ConvTranspose") == 1
    monkeypatch.setattr(file, "MOST_READ", 1000)  # too few for the weights of the convolution
    assert count_kinds(onnx.load_model_from_string(file.rewrite_file(checked)), "ConvTranspose") == 0


def test_marked_files_stay(model, tmp_path):
    mark(model)
    mark(model)
    assert len(model.metadata_props) == 1
    assert rewrite_saved(model, tmp_path) is None


def test_without_onnx_it_is_opened_as_it_is(model, tmp_path, monkeypatch):
    monkeypatch.setattr(file.importlib.util, "find_spec", lambda name: None)
    assert rewrite_saved(model, tmp_path) is None


def test_the_mark_spares_the_import_of_onnx(model, tmp_path, monkeypatch):
    mark(model)
    onnx.save(model, tmp_path / "net.onnx")
    checked = read_checked_file(tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert file.rewrite_file(checked) is None
