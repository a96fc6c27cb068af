"""dtool's own conditioners: a number, an array in a file, a picture; and what is none of them."""

import numpy as np
import pytest
from PIL import Image

from dtool.data.conditioners import LUMA, image, npy, number, resize
from dtool.errors import DtoolError, UsageError
from dtool.models.conditions import Condition
from tests.support.data_files import sparse


def condition(shape=(), dtype="float32"):
    return Condition(name="c", shape=shape, dtype=dtype)


@pytest.mark.parametrize("shape", [(), (3,), (2, 1, 4)])
@pytest.mark.parametrize(("words", "dtype", "value"), [
    ("0.5", "float32", 0.5), ("-1e3", "float32", -1000), ("512", "int64", 512), ("-7", "int32", -7),
    ("7.0", "int64", 7), ("1", "bool", 1),
])  # fmt: skip
def test_a_number_fills_the_array_in_the_condition_s_own_type(shape, words, dtype, value):
    own = condition(shape, dtype)
    made = number.make(words, own)
    assert made.shape == shape
    assert (made == value).all()
    read = own.read(made, 2)
    assert (read.shape, read.dtype) == ((2, *shape), dtype)
    assert (read == value).all()


def test_a_whole_number_keeps_all_its_digits():
    assert condition((), "int64").read(number.make(str(2**62 + 1), condition((), "int64")), 1).tolist() == [2**62 + 1]


@pytest.mark.parametrize(("words", "own", "cause"), [
    ("much", condition(), "c='much' is no number"),
    ("", condition(), "c='' is no number"),
    ("0.5", condition((), "int64"), "c='0.5' is no whole number"),
    ("9" * 30, condition((), "int64"), "c='999999999999999999999999999999' is no whole number"),
    ("inf", condition((), "int32"), "c='inf' is no whole number"),
    ("1", condition((None, 2)), "c float32 (…, 2) has no fixed size to be filled with 1"),
])  # fmt: skip
def test_what_is_no_number_is_refused(words, own, cause):
    with pytest.raises(UsageError) as error:
        number.make(words, own)
    assert str(error.value) == cause
    assert error.value.hint


@pytest.mark.parametrize("words", ["nan", "inf"])
def test_a_number_that_is_not_finite_is_refused_where_it_is_read(words):
    with pytest.raises(UsageError, match="c holds NaN or infinity"):
        condition().read(number.make(words, condition()), 1)


@pytest.mark.parametrize("values", [
    np.arange(6.0).reshape(2, 3), np.arange(6, dtype=np.int16).reshape(2, 3), np.float64(3),
    np.asfortranarray(np.eye(3)), np.arange(3, dtype=">f4"), np.array([True, False]),
])  # fmt: skip
def test_an_array_in_a_file_is_read_as_it_is(folder, values):
    np.save("a.npy", values)
    made = npy.make("a.npy", condition())
    np.testing.assert_array_equal(made, values)
    assert made.dtype == values.dtype


def test_an_array_of_python_objects_is_refused_and_none_is_made(folder):
    class Bomb:
        def __reduce__(self):
            return (print, ("boom",))

    np.save("a.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(DtoolError) as error:
        npy.make("a.npy", condition())
    assert str(error.value) == "a.npy: it holds Python objects"
    assert error.value.hint == "write it with numpy.save"


def test_what_is_no_array_file_is_refused(folder):
    (folder / "text.npy").write_text("hello, hello")
    (folder / "short.npy").write_bytes(b"\x93NUMPY")
    np.save("cut.npy", np.zeros(100))
    (folder / "cut.npy").write_bytes((folder / "cut.npy").read_bytes()[:-8])
    sparse(folder / "zeros.npy", 1 << 33)
    (folder / "folder.npy").mkdir()
    for name, why in (
        ("text.npy", "text.npy: it is no array in NumPy's format"),
        ("short.npy", "short.npy: it is no array in NumPy's format"),
        ("cut.npy", "cut.npy: its header promises 800 bytes, and 792 follow"),
        ("zeros.npy", "zeros.npy: it is no array in NumPy's format"),
        ("folder.npy", "c: there is no file folder.npy"),
        ("nowhere.npy", "c: there is no file nowhere.npy"),
    ):
        with pytest.raises(DtoolError) as error:
            npy.make(name, condition())
        assert str(error.value) == why


def picture(name, pixels):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(name)
    return name


def test_a_picture_is_in_minus_one_to_one_with_channels_first(folder):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3))
    made = image.make(picture("a.png", pixels), condition((3, 6, 5)))
    assert (made.dtype, made.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_allclose(made, pixels.transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)
    assert condition((3, 6, 5)).read(made, 4).shape == (4, 3, 6, 5)


def test_a_picture_is_resized_to_the_network_s_size_where_that_is_said(folder):
    name = picture("a.png", np.full((40, 60, 3), 255))
    with pytest.raises(UsageError) as error:
        image.make(name, condition((3, 8, 16)))
    assert str(error.value) == "a.png has 60x40 pixels, and c takes 16x8"
    assert error.value.hint == "write c=resize:a.png to have it cut and resized"
    made = resize.make(name, condition((3, 8, 16)))
    assert made.shape == (3, 8, 16)
    assert (made == 1).all()


def test_grey_is_the_eye_s_weights_of_the_colours_and_colour_is_grey_thrice(folder):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3))
    grey = image.make(picture("a.png", pixels), condition((1, 4, 4)))
    np.testing.assert_allclose(grey[0], pixels @ [0.299, 0.587, 0.114] / 127.5 - 1, atol=1e-5)
    assert sum(LUMA) == pytest.approx(1)
    single = np.arange(16).reshape(4, 4) * 16
    made = image.make(picture("b.png", single), condition((3, 4, 4)))
    for channel in made:
        np.testing.assert_allclose(channel, single / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize("shape", [(), (4,), (4, 4), (None, 4, 4), (1, 1, 4, 4)])
def test_a_condition_that_is_no_picture_takes_none(folder, shape):
    with pytest.raises(UsageError, match="is no picture") as error:
        image.make(picture("a.png", np.zeros((4, 4))), condition(shape))
    assert error.value.hint == "give FILE.npy"


def test_a_network_with_other_channels_takes_no_picture(folder):
    with pytest.raises(UsageError) as error:
        image.make(picture("a.png", np.zeros((4, 4, 3))), condition((4, 4, 4)))
    assert str(error.value) == "a.png has 3 channels, and the network takes c float32 (4, 4, 4)"
    assert error.value.hint == "give an array, as FILE.npy"


def test_what_is_no_picture_is_refused(folder):
    (folder / "text.png").write_text("hello")
    (folder / "folder.png").mkdir()
    for name, why in (
        ("text.png", "text.png"),
        ("folder.png", "c: there is no file folder.png"),
        ("nowhere.png", "c: there is no file nowhere.png"),
    ):
        with pytest.raises(DtoolError) as error:
            image.make(name, condition((3, 4, 4)))
        assert str(error.value).startswith(why)
        assert error.value.hint
