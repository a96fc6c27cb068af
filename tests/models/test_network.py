"""The label that means no class: recorded, tried out, or refused with a sentence; in exported samplers too."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.models.spec import NetworkSpec
from tests.support.commandline import ran

REFUSED = "this network was not trained to know a label for it"


def function(**more: Any) -> Any:
    return dtool.network(lambda x, t, label: 0.1 * x + label.reshape(-1, 1), shape=(3,), classes=4, **more)


@pytest.mark.parametrize("asked", [{"guidance": 2.0}, {"guidance": 0.0}, {"labels": -1}, {"labels": [0, -1]}])
def test_no_class_is_refused_where_it_was_not_trained(asked):
    with pytest.raises(UsageError, match=REFUSED):
        dtool.sample(function(null_class=False), "ddim", steps=2, n=2, **asked)
    assert dtool.sample(function(null_class=True), "ddim", steps=2, n=2, **asked).x0.shape == (2, 3)


def test_a_likelihood_and_measures_need_classes_then():
    from dtool.likelihood import bound

    with pytest.raises(UsageError, match=REFUSED):
        bound(function(null_class=False), np.zeros((2, 3)), 2, variance="beta", levels=None)
    with pytest.raises(UsageError, match=REFUSED):
        dtool.measure_variance(function(null_class=False), np.zeros((2, 3)))
    assert bound(function(null_class=False), np.zeros((2, 3)), 2, variance="beta", levels=None, labels=[0, 3]).n == 2


def table_of(rows: int, folder: Path) -> Path:
    """x/2 + table[label], with a class table of so many rows."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import helper, numpy_helper

    kinds = onnx.TensorProto
    inputs = [("x", kinds.FLOAT, ["b", 1, 8, 8]), ("t", kinds.FLOAT, ["b"]), ("label", kinds.INT64, ["b"])]
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "label"], ["known"]),
            helper.make_node("Mul", ["x", "half"], ["scaled"]),
            helper.make_node("Add", ["scaled", "known"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info("y", kinds.FLOAT, ["b", 1, 8, 8])],
        [
            numpy_helper.from_array(np.linspace(0, 1, rows, dtype=np.float32).reshape(rows, 1, 1, 1), "table"),
            numpy_helper.from_array(np.float32([0.5]), "half"),
        ],
    )
    path = folder / f"{rows}.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path.write_bytes(made.SerializeToString())
    return path


SAID = {"schedule": "linear", "prediction": "eps", "classes": 5}


def test_a_class_table_without_a_row_for_it(tmp_path):
    net = dtool.load(table_of(5, tmp_path), spec=SAID, device="cpu")
    assert dtool.sample(net, "ddim", steps=2, n=5).labels.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(UsageError, match=REFUSED):
        dtool.sample(net, "ddim", steps=2, n=2, guidance=3)


def test_a_row_more_is_believed_and_said(tmp_path):
    path = table_of(6, tmp_path)
    with pytest.warns(UserWarning, match="label 5 is taken to mean no class: the network does not say"):
        dtool.sample(dtool.load(path, spec=SAID, device="cpu"), "ddim", steps=2, n=2, guidance=3)
    with pytest.raises(UsageError, match=REFUSED):
        dtool.sample(dtool.load(path, spec=SAID | {"null_class": False}), "ddim", steps=2, n=2, guidance=3)


def test_a_sampler_of_a_network_without_it(tmp_path, capsys):
    path, out = table_of(5, tmp_path), tmp_path / "sampler.onnx"
    said = ("--schedule", "linear", "--prediction", "eps", "--num-classes", "5")
    assert ran(capsys, "export", path, *said, "--recipe", "ddim", "--steps", "3", "-o", out).code == 0
    file = dtool.load(out, device="cpu")
    assert file.spec.null_class is False
    host = dtool.load(path, spec=SAID, device="cpu")
    plan = dtool.plan("ddim", steps=3, network=host)
    assert (dtool.sample(file, n=5).x0 == dtool.sample(host, plan, n=5).x0).all()
    with pytest.raises(UsageError, match=REFUSED):
        dtool.sample(file, n=2, labels=-1)
    ids = np.arange(1, dtype=np.uint64)
    for label in (-1, 5):
        with pytest.raises(DtoolError, match="out of data bounds"):
            file.execute(["images"], {"ids": ids, "label": np.array([label])})
    result = ran(capsys, "export", path, *said, "--recipe", "ddim", "--guidance", "2", "-o", tmp_path / "b.onnx")
    assert (result.code, (tmp_path / "b.onnx").exists()) == (2, False)
    assert "guidance needs a label that means no class" in result.err


def test_a_module_with_a_table(tmp_path):
    torch = pytest.importorskip("torch")

    class Conditional(torch.nn.Module):
        def __init__(self, rows: int) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(rows, 3)

        def forward(self, x: Any, t: Any, label: Any) -> Any:
            return 0.1 * x + self.table(label)

    net = dtool.network(Conditional(4), shape=(3,), classes=4)
    with pytest.raises(UsageError, match=REFUSED):
        dtool.sample(net, "ddim", steps=2, n=2, guidance=2)
    with pytest.warns(UserWarning, match="label 4 is taken to mean no class"):
        dtool.sample(dtool.network(Conditional(5), shape=(3,), classes=4), "ddim", steps=2, n=2, guidance=2)
    pytest.importorskip("onnxscript")
    spec = NetworkSpec(shape=(3,), schedule="linear", classes=4)
    with pytest.raises(DtoolError) as error:
        dtool.export((Conditional(4), spec), tmp_path / "a.onnx")
    assert "null_class=False in the spec" in error.value.hint
    report = dtool.export((Conditional(4), spec.model_copy(update={"null_class": False})), tmp_path / "a.onnx")
    assert report.largest is not None


def test_training_records_whether_labels_were_hidden(tmp_path, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    small = ("--steps", "1", "--batch-size", "4", "--width", "8", "--multipliers", "1", "-q")
    for share, known in (("0", False), ("0.5", True)):
        path = tmp_path / f"{share}.pt"
        assert ran(capsys, "train", "digits", *small, "--label-dropout", share, "-o", path).code == 0
        assert dtool.load(path).spec.null_class is known
    result = ran(capsys, "sample", tmp_path / "0.pt", "--guidance", "2", "--steps", "2", "-o", tmp_path / "a.png")
    assert (result.code, REFUSED in result.err) == (2, True)
    result = ran(capsys, "train", "digits", *small, "--label-dropout", "0", "--guidance", "2", "-o", tmp_path / "c.pt")
    assert (result.code, (tmp_path / "c.pt").exists()) == (2, False)
    assert "--label-dropout 0 never shows the network" in result.err
    assert ran(capsys, "train", "digits", *small, "--label-dropout", "1", "-o", tmp_path / "c.pt").code == 2


@pytest.mark.parametrize("rows", [3, 4])
def test_a_sampler_of_a_module_that_does_not_say_whether_it_knows_no_class(rows, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")

    class Table(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(rows, 16)

        def forward(self, x, t, label):
            return 0.3 * x + self.table(label).reshape(-1, 1, 4, 4) + 0 * t.reshape(-1, 1, 1, 1)

    net = dtool.network(Table(), shape=(1, 4, 4), classes=3)
    dtool.export(net, tmp_path / "app.onnx", plan="ddim", steps=2)
    file = dtool.load(tmp_path / "app.onnx", device="cpu")
    assert np.abs(dtool.sample(file, n=3).x0 - dtool.sample(net, file.plan, n=3).x0).max() < 1e-5
    if rows == 3:
        with pytest.raises(UsageError, match="was not trained to know a label for it"):
            dtool.sample(file, n=3, guidance=2.0)
    else:
        with pytest.warns(UserWarning, match="label 3 is taken to mean no class"):
            dtool.sample(file, n=3, guidance=2.0)
