import warnings

import numpy as np
import pytest
from PIL import Image

from dtool.data.images import load
from dtool.data.streams import PIECE, open_stream
from dtool.errors import DtoolError

warnings.simplefilter("ignore")


def draw_pixels(count=PIECE + 3, channels=3):
    return np.random.default_rng(0).integers(0, 256, (count, 5, 6, channels), np.uint8)


def gather(stream):
    return np.concatenate(list(stream.pieces()))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_evaluators_array_is_what_load_reads(tmp_path, save):
    path = tmp_path / "samples.npz"
    save(path, arr_0=draw_pixels())
    stream = open_stream(str(path))
    assert (stream.count, stream.shape) == (PIECE + 3, (3, 5, 6))
    assert np.array_equal(gather(stream), load(str(path)).take())
    assert np.array_equal(gather(stream), gather(stream)), "it can be read again"


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_floats_are_read_in_their_range(tmp_path, low):
    path = tmp_path / "real.npz"
    values = np.random.default_rng(1).uniform(low, 1, (20, 1, 8, 8))
    np.savez(path, x=values)
    assert np.array_equal(gather(open_stream(str(path))), load(str(path)).take())


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_of_pictures_is_what_load_reads(tmp_path, channels):
    for number, pixels in enumerate(draw_pixels(7, channels)):
        Image.fromarray(pixels.squeeze()).save(tmp_path / f"{number}.png")
    Image.fromarray(np.full((5, 6), 7, np.uint8)).save(tmp_path / "grey.png")
    stream = open_stream(str(tmp_path))
    assert (stream.count, stream.shape) == (8, (channels, 5, 6))
    assert np.array_equal(gather(stream), load(str(tmp_path)).take())


def test_digits_are_read_at_once():
    stream = open_stream("digits")
    assert (stream.count, stream.shape, len(gather(stream))) == (1797, (1, 8, 8), 1797)


def test_what_cannot_be_read_names_the_file(tmp_path):
    with pytest.raises(DtoolError, match="holds no images"):
        open_stream(str(tmp_path))
    bad = tmp_path / "bad.npz"
    bad.write_bytes(b"PK nothing")
    with pytest.raises(DtoolError, match=r"bad.npz: can't be read as an .npz"):
        open_stream(str(bad))
    np.savez(bad, y=np.zeros(3))
    with pytest.raises(DtoolError, match="holds no array named x, images or arr_0"):
        open_stream(str(bad))
    for values, said in ((np.full((3, 4, 4), 9.0), "pixels from 9 to 9"), (np.zeros((3, 4, 4), int), "of type int64")):
        np.savez(bad, x=values)
        with pytest.raises(DtoolError, match=said):
            open_stream(str(bad))
    folder = tmp_path / "two sizes"
    folder.mkdir()
    for side in (4, 5):
        Image.fromarray(np.zeros((side, 4), np.uint8)).save(folder / f"{side}.png")
    with pytest.raises(DtoolError, match=r"5\.png: 4x5 pixels, but 4\.png has 4x4"):
        open_stream(str(folder))
