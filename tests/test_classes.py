"""Classes of images, of networks and of classifiers are matched by name; what has no match is said, and not guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dtool
from dtool.cli.compare_data import measured_against
from dtool.cli.likelihood_images import Chosen
from dtool.cli.values import class_list
from dtool.data import images as data_images
from dtool.data.classes import ClassWarning, match_classes
from dtool.data.images import Images
from dtool.errors import UsageError
from dtool.networks.labels import class_number, label_names, resolve_labels
from dtool.networks.network import Network
from tests.commandline import ran

TWELVE = tuple(sorted(str(i) for i in range(12)))  # as folders are sorted: 0, 1, 10, 11, 2 …


def images(labels: list[int], names: tuple[str, ...]) -> Images:
    return Images(np.zeros((len(labels), 1, 8, 8), np.uint8), np.array(labels), names)


def network(names: tuple[str, ...] = (), **more: Any) -> Network:
    net = dtool.network(
        lambda x, t, label: 0.1 * x + label.reshape(-1, 1, 1, 1), shape=(1, 8, 8), classes=len(names) or 12, **more
    )
    net.spec = net.spec.model_copy(update={"class_names": names})
    return net


@pytest.mark.parametrize(
    ("own", "labels", "names", "expected"),
    [
        (("3", "7"), [0, 1, 0], tuple(map(str, range(10))), [3, 7, 3]),
        (tuple(map(str, range(12))), [2, 10, 11], TWELVE, [4, 2, 3]),
        (("a", "never", "b"), [2, 0], ("b", "x", "a"), [0, 2]),  # a class without images need not be known
        (("cafe\u0301",), [0], ("tee", "caf\u00e9"), [1]),
    ],
)
def test_names_are_what_is_matched(own, labels, names, expected):
    assert match_classes(images(labels, own), names, "data").tolist() == expected


@pytest.mark.parametrize(
    ("own", "names", "named"),
    [(("cat", "dog"), ("dog", "fish"), "cat"), (("cat",), ("cat", "cat"), "cat"), (("Cat",), ("cat",), "Cat")],
)
def test_what_has_no_match_is_left_out_and_said(own, names, named):
    with pytest.warns(ClassWarning, match=f"data: its classes are left out, since {named}"):
        assert match_classes(images([0] * 3, own), names, "data") is None


def test_images_without_classes_have_no_match():
    assert match_classes(Images(np.zeros((2, 1, 8, 8), np.uint8)), ("a",), "data") is None


def folder(path: Path, names: tuple[str, ...]) -> Path:
    for value, name in enumerate(names):
        (path / name).mkdir(parents=True)
        for k in range(2):
            Image.fromarray(np.full((8, 8), 20 * value + k, np.uint8)).save(path / name / f"{k}.png")
    return path


def test_a_likelihood_tells_the_network_the_class_of_that_name(tmp_path):
    net = network(tuple(map(str, range(10))))
    chosen = Chosen(net, str(folder(tmp_path, ("3", "7"))), 4, 0, None, None)
    assert sorted(chosen.labels(chosen.ids).tolist()) == [3, 3, 7, 7]
    with pytest.warns(ClassWarning, match=r"owl, rat cannot be told among the network's, 0, 1, 2, 3, 4 and 5 more"):
        chosen = Chosen(net, str(folder(tmp_path / "animals", ("owl", "rat"))), 4, 0, None, None)
    assert chosen.labels(chosen.ids) is None
    assert chosen.said["conditional"] is False


def test_one_class_alone_has_a_name_too(tmp_path):
    net = network(tuple(map(str, range(10))))
    chosen = Chosen(net, str(folder(tmp_path, ("7",))), 2, 0, None, None)
    assert chosen.labels(chosen.ids).tolist() == [7, 7]


def test_numbers_of_an_npz_are_names_too(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.zeros((3, 8, 8), np.uint8), y=np.array([2, 10, 0]))
    chosen = Chosen(network(TWELVE), str(path), 3, 0, None, None)
    assert chosen.labels(np.arange(3)).tolist() == [4, 2, 0]
    assert [TWELVE[i] for i in (4, 2, 0)] == ["2", "10", "0"]


def test_a_network_whose_classes_have_no_names_goes_by_their_numbers(tmp_path):
    chosen = Chosen(network(), str(folder(tmp_path, ("3", "11"))), 4, 0, None, None)
    assert sorted(chosen.labels(chosen.ids).tolist()) == [3, 3, 11, 11]


def test_images_without_classes_are_said_to_be_so(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.ones((8, 8), np.uint8)).save(tmp_path / "b.png")
    with pytest.warns(UserWarning, match="the images have no classes, and the network is told none"):
        Chosen(network(), str(tmp_path), 2, 0, None, None)


# A classifier


def classifier(path: Path, names: list[str] | None = None, classes: int = 10) -> Path:
    """Sees class k where the image's mean is 20k: scores -(k - mean/20)², up to what is equal for all k."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import helper, numpy_helper

    k = np.arange(classes, dtype=np.float32)
    weights = np.tile(2 * k / 64, (64, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Reshape", ["image", "flat"], ["pixels"]),
        helper.make_node("Mul", ["pixels", "to_k"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["moved"]),
        helper.make_node("MatMul", ["moved", "weights"], ["product"]),
        helper.make_node("Sub", ["product", "squares"], ["scores"]),
    ]
    made = {
        "flat": np.array([-1, 64]), "to_k": np.float32([127.5 / 20]), "shift": np.float32([127.5 / 20]),
        "weights": weights, "squares": k**2,
    }  # fmt: skip
    graph = helper.make_graph(
        nodes, "classifier",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["b", 1, 8, 8])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["b", classes])],
        [numpy_helper.from_array(value, name) for name, value in made.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if names is not None:
        helper.set_model_props(model, {"class_names": json.dumps(names)})
    path.write_bytes(model.SerializeToString())
    return path


def agreement(reference: Any) -> float:
    from dtool.metrics import named

    return float(reference.own(named("agreement")).mean())


def test_a_classifier_and_images_in_other_orders_agree(tmp_path):
    """Folder k holds images that the classifier's output k sees; the network's classes are in an order of their own."""
    data = folder(tmp_path / "data", ("a", "b", "c"))
    judge = classifier(tmp_path / "c.onnx", ["a", "b", "c"], 3)
    reference, _ = measured_against(str(data), judge, None, network(("c", "a", "b")))
    assert reference.labels.tolist() == [1, 1, 2, 2, 0, 0]
    assert agreement(reference) == 1


def test_numbered_classes_of_a_classifier_are_its_names(tmp_path):
    data = folder(tmp_path / "data", tuple(map(str, range(3))))
    reference, _ = measured_against(str(data), classifier(tmp_path / "c.onnx"), None, network(("1", "2", "0")))
    assert agreement(reference) == 1


def test_a_classifier_that_lacks_a_class_does_not_judge(tmp_path):
    data = folder(tmp_path / "data", ("a", "b", "c"))
    with pytest.warns(ClassWarning, match="cannot be told among those of"):
        reference, _ = measured_against(str(data), classifier(tmp_path / "c.onnx"), None, network(("c", "a", "b")))
    assert reference.classifier is None
    assert reference.features is not None


def test_what_a_classifier_sees_beside_the_networks_classes_is_no_agreement(tmp_path):
    data = folder(tmp_path / "data", ("0", "1"))
    reference, _ = measured_against(str(data), classifier(tmp_path / "c.onnx"), None, network(("1", "0")))
    other = data_images.load(str(folder(tmp_path / "other", ("0", "1", "2")))).take([4, 5])
    assert reference.classifier(other).tolist() == [-1, -1]


@pytest.mark.parametrize("names", ["{", '["a", 3]', '{"a": 1}', "[" * 100_000])
def test_names_that_cannot_be_read(names, tmp_path):
    from dtool.metrics.classifier import _names_in

    with pytest.raises(dtool.DtoolError, match="its class_names are no JSON list of texts"):
        _names_in({"class_names": names}, "c.onnx")


def test_as_many_names_as_scores(tmp_path):
    from dtool.metrics import Classifier

    judge = Classifier(classifier(tmp_path / "c.onnx", ["a", "b"], 3), device="cpu")
    with pytest.raises(dtool.DtoolError, match="names 2 classes and gives 3 scores"):
        judge.class_names(np.zeros((1, 1, 8, 8), np.float32))


# Names and numbers that users write


def test_names_and_numbers():
    assert class_list("10,2,none", TWELVE, 12, 4) == [2, 4, -1, 2]
    assert class_number("1", ("cat", "dog"), 2) == 1
    with pytest.raises(UsageError, match="no class '0'"):
        class_number("0", ("1", "2", "3"), 3)  # by its place it would be the class called 1
    with pytest.raises(UsageError, match="several classes are called 'crane'"):
        class_number("crane", ("crane", "owl", "crane"), 3)
    with pytest.raises(UsageError, match="'none' is one of the classes, and the word for no class"):
        class_number("none", ("none", "owl"), 2)
    assert [class_number(name, ("none", "owl"), 2) for name in ("-1", "0", "owl")] == [-1, 0, 1]
    assert label_names(("none", "owl"), np.array([0, 2])) == ["none", "no class"]
    with pytest.raises(UsageError, match="no class '12'"):
        class_number("12", (), 12)


def test_labels_by_name_in_python():
    net = network(("cat", "dog"))
    assert resolve_labels(net, ["dog", "none", "cat"], 3).tolist() == [1, 2, 0]
    assert dtool.sample(net, "ddim", steps=2, n=2, labels="dog").labels.tolist() == [1, 1]
    assert label_names(("cat", "dog"), np.array([1, 2, 0])) == ["dog", "none", "cat"]


@pytest.mark.parametrize("labels", [1.5, [0.7, 1.0], "owl", [True, False], [None, 1], [[0], [1, 2]], 2**63, [2**64]])
def test_labels_that_are_none(labels):
    with pytest.raises(UsageError, match=r"classes are|no class"):
        resolve_labels(network(("cat", "dog")), labels, 2)


def test_what_is_written_carries_names_beside_numbers(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    result = ran(
        capsys, "sample", "-n", "3", "--steps", "2", "--class", "7,none,3", "--npz", tmp_path / "a.npz",
        "-o", tmp_path / "a.png", "--json",
    )  # fmt: skip
    said = json.loads(result.out)
    assert said["labels"] == [7, 10, 3]
    assert said["label_names"] == ["7", "none", "3"]
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["labels"].tolist() == [7, 10, 3]
        assert arrays["label_names"].tolist() == ["7", "none", "3"]
        assert arrays["class_names"].tolist() == list("0123456789")


# What is typed, and what an archive says


def test_a_class_is_found_however_its_accents_are_written():
    names = ("caf\u00e9", "tee")
    assert class_number("cafe\u0301", names, 2) == 0
    assert class_number("caf\u00e9", ("tee", "cafe\u0301"), 2) == 1
    both = ("caf\u00e9", "cafe\u0301")
    assert [class_number(name, both, 2) for name in both] == [0, 1]


def test_names_that_a_list_would_hide_are_quoted():
    with pytest.warns(ClassWarning, match=r"since ' a' cannot be told among the network's, a, 'b, c'$"):
        match_classes(images([0] * 3, (" a",)), ("a", "b, c"), "data")


def archive(path: Path, **more: Any) -> str:
    arrays = {"x": np.arange(256, dtype=np.uint8).reshape(4, 8, 8), "y": np.array([2, 0, 2, 1])}
    np.savez(path, **(arrays | more))
    return str(path)


def test_an_archive_names_its_classes(tmp_path):
    source = archive(tmp_path / "named.npz", class_names=np.array(["b", "never", "a", "more"]))
    with pytest.warns(UserWarning, match="1 class has no image: more"):
        found = data_images.load(source)
    assert found.class_names == ("b", "never", "a", "more")
    net = network(("a", "b", "never", "none of them"))
    chosen = Chosen(net, source, 4, 0, None, None)
    assert chosen.labels(np.arange(4)).tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (np.array(["a", "b"]), "2 different names, and labels go up to 2"),
        (np.array(["a", "b", "a"]), "2 different names, and labels go up to 2"),
        (np.array([1, 2, 3]), r"class_names are int64 of shape \(3,\)"),
        (np.array([["a", "b", "c"]]), r"class_names are <U1 of shape \(1, 3\)"),
        (np.array(["a", "b", "\x1b[2J"]), r"no name that can be written, '\\x1b\[2J'"),
    ],
)
def test_an_archive_that_names_them_badly(names, said, tmp_path):
    with pytest.raises(dtool.DtoolError, match=said):
        data_images.load(archive(tmp_path / "bad.npz", class_names=names))


def test_names_are_of_no_use_without_labels(tmp_path):
    path = tmp_path / "plain.npz"
    np.savez(path, x=np.arange(256, dtype=np.uint8).reshape(4, 8, 8), class_names=np.array(["a"]))
    with pytest.warns(UserWarning, match="x is read, and not class_names"):
        assert data_images.load(str(path)).labels is None
