"""Classes of images, of networks and of classifiers are matched by name; what has no match is said, and not guessed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtool
from dtool.cli.flags.likelihood_images import ImageSelection
from dtool.data import images as data_images
from dtool.data.classes import ClassWarning, match_classes
from dtool.data.images import Images
from tests.support.classes import TWELVE, classifier, network
from tests.support.commandline import ran


def images(labels: list[int], names: tuple[str, ...]) -> Images:
    return Images(np.zeros((len(labels), 1, 8, 8), np.uint8), np.array(labels), names)


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


@pytest.mark.parametrize("names", ["{", '["a", 3]', '{"a": 1}', "[" * 100_000])
def test_names_that_cannot_be_read(names, tmp_path):
    from dtool.metrics.classifier import _read_class_names

    with pytest.raises(dtool.DtoolError, match="its class_names are not a JSON list of strings"):
        _read_class_names({"class_names": names}, "c.onnx")


def test_as_many_names_as_scores(tmp_path):
    from dtool.metrics import Classifier

    judge = Classifier(classifier(tmp_path / "c.onnx", ["a", "b"], 3), device="cpu")
    with pytest.raises(dtool.DtoolError, match="names 2 classes and gives 3 scores"):
        judge.class_names(np.zeros((1, 1, 8, 8), np.float32))


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


def test_names_that_a_list_would_hide_are_quoted():
    with pytest.warns(ClassWarning, match=r"since ' a' cannot be told among the network's, a, 'b, c'$"):
        match_classes(images([0] * 3, (" a",)), ("a", "b, c"), "data")


def write_archive(path: Path, **more: Any) -> str:
    arrays = {"x": np.arange(256, dtype=np.uint8).reshape(4, 8, 8), "y": np.array([2, 0, 2, 1])}
    np.savez(path, **(arrays | more))
    return str(path)


def test_an_archive_names_its_classes(tmp_path):
    source = write_archive(tmp_path / "named.npz", class_names=np.array(["b", "never", "a", "more"]))
    with pytest.warns(UserWarning, match="1 class has no image: more"):
        found = data_images.load(source)
    assert found.class_names == ("b", "never", "a", "more")
    net = network(("a", "b", "never", "none of them"))
    chosen = ImageSelection(net, source, 4, 0, None, None)
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
        data_images.load(write_archive(tmp_path / "bad.npz", class_names=names))


def test_names_are_of_no_use_without_labels(tmp_path):
    path = tmp_path / "plain.npz"
    np.savez(path, x=np.arange(256, dtype=np.uint8).reshape(4, 8, 8), class_names=np.array(["a"]))
    with pytest.warns(UserWarning, match="x is read, and not class_names"):
        assert data_images.load(str(path)).labels is None
