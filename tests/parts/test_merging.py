"""Blocks become one array or one folder of pictures, complete or not at all."""

import numpy as np
import pytest
from PIL import Image

from dtool.errors import DtoolError, UsageError
from dtool.parts.filling import fill_folder
from dtool.parts.merging import merge
from tests.support.block_functions import list_files, make_filling, open_gaussians


@pytest.fixture
def folder(tmp_path):
    filling = make_filling(tmp_path / "samples")
    fill_folder(filling, list(filling.manifest.blocks))
    return filling.folder


def test_the_array_is_that_of_the_fields_evaluators(folder, tmp_path):
    done = []
    merge(folder, tmp_path / "all.npz", on_done=done.append)
    with np.load(tmp_path / "all.npz") as merged:
        assert merged["arr_0"].dtype == np.uint8
        assert merged["arr_0"].shape == (11, 12, 10, 3)
        assert merged["arr_1"].tolist() == [i % 3 for i in range(11)]
    assert done == [3, 3, 3, 2]


def test_exact_numbers_are_those_that_were_sampled(folder, tmp_path):
    merge(folder, tmp_path / "all.npz", exact=True)
    blocks = [np.load(path)["x0"] for path in sorted(folder.glob("*.npz"))]
    exact = np.load(tmp_path / "all.npz")["arr_0"]
    assert exact.dtype == np.float32
    np.testing.assert_array_equal(exact, np.concatenate(blocks))


def test_pictures_are_named_by_their_ids(folder, tmp_path):
    merge(folder, tmp_path / "pictures")
    merge(folder, tmp_path / "all.npz")
    paths = sorted((tmp_path / "pictures").iterdir())
    assert [path.name for path in paths] == [f"{i:08d}.png" for i in range(11)]
    pixels = np.stack([np.asarray(Image.open(path)) for path in paths])
    np.testing.assert_array_equal(pixels, np.load(tmp_path / "all.npz")["arr_0"])


def test_samples_that_are_no_pictures_stay_numbers(tmp_path):
    filling = make_filling(tmp_path / "samples")
    job = type(filling.job)(model=open_gaussians, plans="ddim", steps=2, count=5, size=2)
    manifest = type(filling.manifest).of(job, "npz")
    other = type(filling)(job=job, folder=tmp_path / "points", manifest=manifest)
    other.folder.mkdir()
    (other.folder / "manifest.json").write_text(manifest.to_json())
    fill_folder(other, list(job.blocks))
    merge(other.folder, tmp_path / "all.npz")
    assert np.load(tmp_path / "all.npz")["arr_0"].shape == (5, 2)
    with pytest.raises(UsageError, match="are no pictures"):
        merge(other.folder, tmp_path / "pictures")


def test_missing_blocks_are_named(folder, tmp_path):
    for path in sorted(folder.glob("*.npz"))[1:3]:
        path.unlink()
    with pytest.raises(DtoolError, match=r"2 blocks are missing: 00000003-00000005.*, 00000006-00000008") as caught:
        merge(folder, tmp_path / "all.npz")
    assert "run the command" in caught.value.hint
    assert not (tmp_path / "all.npz").exists()


@pytest.mark.parametrize(
    ("target", "options", "cause"),
    [
        ("all.npy", {}, "the array is an .npz"),
        ("samples/all.npz", {}, "would lie among the blocks"),
        ("samples", {}, "is there already"),
        ("pictures", {"exact": True}, "--exact is for an array"),
        ("nowhere/all.npz", {}, "can't be written"),
        ("nowhere/pictures", {}, "can't be written"),
    ],
)
def test_targets_that_cannot_be_are_refused_and_nothing_is_changed(folder, tmp_path, target, options, cause):
    before = list_files(tmp_path)
    with pytest.raises(DtoolError, match=cause):
        merge(folder, tmp_path / target, **options)
    assert list_files(tmp_path) == before


def test_what_is_no_folder_of_blocks_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"holds no manifest\.json"):
        merge(tmp_path, tmp_path / "all.npz")
    with pytest.raises(UsageError, match="there is no folder"):
        merge(tmp_path / "nowhere", tmp_path / "all.npz")


def test_pictures_have_no_exact_numbers(tmp_path):
    filling = make_filling(tmp_path / "samples", "png")
    with pytest.raises(UsageError, match="whose numbers are rounded"):
        merge(filling.folder, tmp_path / "all.npz", exact=True)
