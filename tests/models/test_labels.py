"""Class labels: by number, by name, or none, and what is no label."""

import numpy as np
import pytest

import dtool
from dtool.cli.flags.values import parse_classes
from dtool.errors import UsageError
from dtool.models.labels import find_class, name_labels, resolve_labels
from tests.support.classes import TWELVE, network


def test_names_and_numbers():
    assert parse_classes("10,2,none", TWELVE, 12, 4) == [2, 4, -1, 2]
    assert find_class("1", ("cat", "dog"), 2) == 1
    with pytest.raises(UsageError, match="no class '0'"):
        find_class("0", ("1", "2", "3"), 3)  # by its place it would be the class called 1
    with pytest.raises(UsageError, match="several classes are called 'crane'"):
        find_class("crane", ("crane", "owl", "crane"), 3)
    with pytest.raises(UsageError, match="'none' is one of the classes, and the word for no class"):
        find_class("none", ("none", "owl"), 2)
    assert [find_class(name, ("none", "owl"), 2) for name in ("-1", "0", "owl")] == [-1, 0, 1]
    assert name_labels(("none", "owl"), np.array([0, 2])) == ["none", "no class"]
    with pytest.raises(UsageError, match="no class '12'"):
        find_class("12", (), 12)


def test_labels_by_name_in_python():
    net = network(("cat", "dog"))
    assert resolve_labels(net, ["dog", "none", "cat"], 3).tolist() == [1, 2, 0]
    assert dtool.sample(net, "ddim", steps=2, n=2, labels="dog").labels.tolist() == [1, 1]
    assert name_labels(("cat", "dog"), np.array([1, 2, 0])) == ["dog", "none", "cat"]


@pytest.mark.parametrize("labels", [1.5, [0.7, 1.0], "owl", [True, False], [None, 1], [[0], [1, 2]], 2**63, [2**64]])
def test_labels_that_are_none(labels):
    with pytest.raises(UsageError, match=r"classes are|no class"):
        resolve_labels(network(("cat", "dog")), labels, 2)


def test_a_class_is_found_however_its_accents_are_written():
    names = ("caf\u00e9", "tee")
    assert find_class("cafe\u0301", names, 2) == 0
    assert find_class("caf\u00e9", ("tee", "cafe\u0301"), 2) == 1
    both = ("caf\u00e9", "cafe\u0301")
    assert [find_class(name, both, 2) for name in both] == [0, 1]


@pytest.mark.parametrize("labels", [2, -2, [0, 2], [1, -2]])
def test_labels_beyond_the_classes_are_refused(labels):
    """2 is what the network itself takes for no class, and no class of its own."""
    with pytest.raises(UsageError, match=r"classes are 0 … 1; got"):
        resolve_labels(network(("cat", "dog")), labels, 2)


def test_an_image_s_usual_class_is_that_of_its_id():
    ids = [7, 3, 12, 1]
    out = dtool.sample(network(), "ddim", steps=2, ids=ids)
    assert out.labels.tolist() == [7, 3, 0, 1]
    assert (dtool.sample(network(), "ddim", steps=2, n=13).x0[ids] == out.x0).all()
