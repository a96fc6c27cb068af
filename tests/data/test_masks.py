"""Pictures with masks: from the alpha channel or a folder, and what does not fit is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dtool.data.masks import load_masked
from dtool.errors import DtoolError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two cut-outs, one in a sub-folder, of 8x6 pixels."""
    rng = np.random.default_rng(0)
    for name in ("a.png", "sub/b.png"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (6, 8, 4)).astype(np.uint8)
        pixels[..., 3] = np.where(np.arange(8) < 4, 255, 0)
        Image.fromarray(pixels).save(path)
    return tmp_path / "pictures"


def make_masks(folder: Path, *names: str, size: tuple[int, int] = (6, 8), value: int = 255) -> Path:
    masks = folder.parent / "masks"
    for name in names:
        (masks / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros(size, np.uint8)
        pixels[:2] = value
        Image.fromarray(pixels).save(masks / name)
    return masks


def test_the_alpha_channel_is_the_mask(folder: Path) -> None:
    found = load_masked(str(folder))
    assert (found.shape, found.labels) == ((4, 6, 8), None)
    with Image.open(folder / "a.png") as image:
        np.testing.assert_array_equal(found.pixels[0], np.asarray(image).transpose(2, 0, 1))
    assert load_masked(str(folder), size=(4, 4)).shape == (4, 4, 4)


def test_a_folder_of_masks_by_the_same_names(folder: Path) -> None:
    masks = make_masks(folder, "a.bmp", "sub/b.png")
    found = load_masked(str(folder), str(masks))
    assert found.shape == (4, 6, 8)
    for mask in found.pixels[:, 3]:
        assert (mask[:2] == 255).all()
        assert (mask[2:] == 0).all()


@pytest.mark.parametrize(
    ("names", "size", "value", "says"),
    [
        (("a.png",), (6, 8), 255, "b.png: has no mask"),
        (("a.png", "sub/b.png"), (3, 4), 255, "8x6 and 4x3 pixels"),
        (("a.png", "sub/b.png"), (6, 8), 0, "empty everywhere"),
    ],
)
def test_masks_that_do_not_fit_are_refused(
    folder: Path, names: tuple[str, ...], size: tuple[int, int], value: int, says: str
) -> None:
    masks = make_masks(folder, *names, size=size, value=value)
    with pytest.raises(DtoolError, match=says) as caught:
        load_masked(str(folder), str(masks))
    assert caught.value.hint


def test_pictures_that_are_not_cut_out_are_refused(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        with Image.open(path) as image:
            image.convert("RGB").save(path)
    with pytest.raises(DtoolError, match="full everywhere") as caught:
        load_masked(str(folder))
    assert "--masks" in caught.value.hint
    with pytest.raises(DtoolError, match="no such folder"):
        load_masked(str(folder / "none"))
