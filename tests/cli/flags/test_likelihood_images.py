"""The images of `dtool likelihood`, and the labels with which the network sees them."""

import numpy as np
import pytest
from PIL import Image

from dtool.cli.flags.likelihood_images import ImageSelection
from dtool.data.classes import ClassWarning
from tests.support.classes import TWELVE, folder, network


def test_a_likelihood_tells_the_network_the_class_of_that_name(tmp_path):
    net = network(tuple(map(str, range(10))))
    chosen = ImageSelection(net, str(folder(tmp_path, ("3", "7"))), 4, 0, None, None)
    assert sorted(chosen.labels(chosen.ids).tolist()) == [3, 3, 7, 7]
    with pytest.warns(ClassWarning, match=r"owl, rat cannot be told among the network's, 0, 1, 2, 3, 4 and 5 more"):
        chosen = ImageSelection(net, str(folder(tmp_path / "animals", ("owl", "rat"))), 4, 0, None, None)
    assert chosen.labels(chosen.ids) is None
    assert chosen.summary["conditional"] is False


def test_one_class_alone_has_a_name_too(tmp_path):
    net = network(tuple(map(str, range(10))))
    chosen = ImageSelection(net, str(folder(tmp_path, ("7",))), 2, 0, None, None)
    assert chosen.labels(chosen.ids).tolist() == [7, 7]


def test_numbers_of_an_npz_are_names_too(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.zeros((3, 8, 8), np.uint8), y=np.array([2, 10, 0]))
    chosen = ImageSelection(network(TWELVE), str(path), 3, 0, None, None)
    assert chosen.labels(np.arange(3)).tolist() == [4, 2, 0]
    assert [TWELVE[i] for i in (4, 2, 0)] == ["2", "10", "0"]


def test_a_network_whose_classes_have_no_names_goes_by_their_numbers(tmp_path):
    chosen = ImageSelection(network(), str(folder(tmp_path, ("3", "11"))), 4, 0, None, None)
    assert sorted(chosen.labels(chosen.ids).tolist()) == [3, 3, 11, 11]


def test_images_without_classes_are_said_to_be_so(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.ones((8, 8), np.uint8)).save(tmp_path / "b.png")
    with pytest.warns(UserWarning, match="the images have no classes, and the network is told none"):
        ImageSelection(network(), str(tmp_path), 2, 0, None, None)
