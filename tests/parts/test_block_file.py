"""A block's file gives back what was written, says what it is, and is the same whoever writes it."""

import json

import numpy as np
import pytest

from dtool.parts.block import Block
from dtool.parts.block_file import BlockImages, DamagedError, name_path, read_block, write_block
from tests.support.block_functions import list_files, make_filling


@pytest.fixture
def images():
    x0 = np.random.default_rng(0).uniform(-1, 1, (3, 1, 12, 10)).astype(np.float32)
    return BlockImages(Block(3, 5), x0, np.array([2, 0, 1]))


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("kind", ["npz", "png"])
def test_a_block_comes_back(tmp_path, images, kind, labelled):
    manifest = make_filling(tmp_path, kind).manifest
    images = images if labelled else BlockImages(images.block, images.x0, None)
    path = name_path(tmp_path, manifest, images.block)
    write_block(path, manifest, images)
    back = read_block(path, manifest, images.block)
    assert back.block == images.block
    assert (back.labels is None) is not labelled
    assert not labelled or back.labels.tolist() == [2, 0, 1]
    if kind == "npz":
        np.testing.assert_array_equal(back.x0, images.x0)
    else:
        grey = np.round((images.x0[:, 0] + 1) / 2 * 255)
        np.testing.assert_array_equal(back.x0, np.repeat(grey[..., None], 3, axis=3))


@pytest.mark.parametrize("kind", ["npz", "png"])
def test_a_block_that_is_there_is_not_half_replaced_by_the_same(tmp_path, images, kind):
    """Two runs without locks: whichever is later changes nothing."""
    manifest = make_filling(tmp_path, kind).manifest
    path = name_path(tmp_path, manifest, images.block)
    write_block(path, manifest, images)
    before = list_files(tmp_path)
    write_block(path, manifest, images)
    assert list_files(tmp_path) == before


@pytest.mark.parametrize("what", [{"seed": 6}, {"plan": "0" * 16}, {"model": "0" * 16}, {"first": 0}])
def test_a_block_of_something_else_under_this_name_is_told(tmp_path, images, what):
    manifest = make_filling(tmp_path).manifest
    path = name_path(tmp_path, manifest, images.block)
    write_block(path, manifest, images)
    arrays = dict(np.load(path))
    about = json.loads(str(arrays["about"])) | what
    np.savez(path, **{**arrays, "about": np.array(json.dumps(about))})
    with pytest.raises(DamagedError, match=f"it is of another {next(iter(what))}"):
        read_block(path, manifest, images.block)


def test_an_archive_that_could_be_a_bomb_is_not_unpacked(tmp_path, images):
    manifest = make_filling(tmp_path).manifest
    path = name_path(tmp_path, manifest, images.block)
    np.savez_compressed(path, about=np.array("{}"), x0=np.zeros(10**6))
    with pytest.raises(DamagedError, match="it is compressed"):
        read_block(path, manifest, images.block)


def test_a_block_that_is_not_there_is_no_damaged_one(tmp_path, images):
    manifest = make_filling(tmp_path).manifest
    with pytest.raises(FileNotFoundError):
        read_block(name_path(tmp_path, manifest, images.block), manifest, images.block)
