"""What `dtool compare` measures against: images whose classes are matched by name with the network's."""

from typing import Any

import pytest

from dtool.cli.flags.measured_against import choose_reference
from dtool.data import images as data_images
from dtool.data.classes import ClassWarning
from tests.support.classes import classifier, folder, network


def agreement(reference: Any) -> float:
    from dtool.metrics import resolve_metric

    return float(reference.own_features(resolve_metric("agreement")).mean())


def test_a_classifier_and_images_in_other_orders_agree(tmp_path):
    """Folder k holds images that the classifier's output k sees; the network's classes are in an order of their own."""
    data = folder(tmp_path / "data", ("a", "b", "c"))
    judge = classifier(tmp_path / "c.onnx", ["a", "b", "c"], 3)
    reference, _ = choose_reference(str(data), judge, None, network(("c", "a", "b")))
    assert reference.labels.tolist() == [1, 1, 2, 2, 0, 0]
    assert agreement(reference) == 1


def test_numbered_classes_of_a_classifier_are_its_names(tmp_path):
    data = folder(tmp_path / "data", tuple(map(str, range(3))))
    reference, _ = choose_reference(str(data), classifier(tmp_path / "c.onnx"), None, network(("1", "2", "0")))
    assert agreement(reference) == 1


def test_a_classifier_that_lacks_a_class_does_not_judge(tmp_path):
    data = folder(tmp_path / "data", ("a", "b", "c"))
    with pytest.warns(ClassWarning, match="cannot be told among those of"):
        reference, _ = choose_reference(str(data), classifier(tmp_path / "c.onnx"), None, network(("c", "a", "b")))
    assert reference.classifier is None
    assert reference.features is not None


def test_what_a_classifier_sees_beside_the_networks_classes_is_no_agreement(tmp_path):
    data = folder(tmp_path / "data", ("0", "1"))
    reference, _ = choose_reference(str(data), classifier(tmp_path / "c.onnx"), None, network(("1", "0")))
    other = data_images.load(str(folder(tmp_path / "other", ("0", "1", "2")))).take([4, 5])
    assert reference.classifier(other).tolist() == [-1, -1]
