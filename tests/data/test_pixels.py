"""Pictures of every kind become eight bits, and those that are too large or damaged are refused by their header."""

import contextlib
import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dtool.data import images
from dtool.data.images import load
from dtool.data.pixels import convert_to_eight_bits, list_suffixes
from dtool.errors import DtoolError
from dtool.util import memory
from tests.support.archives import RAW
from tests.support.data_files import GREY, pictures, png, refused, said, saved, sparse
from tests.support.marks import needs_figures


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    for i in range(2):
        Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / f"{i}.png")
    assert (load(str(tmp_path)).pixels == 255).all()


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    wide = np.random.default_rng(1).integers(0, 65536, (5, 6), dtype=np.uint16)
    wide[0, :2] = 0, 65535
    for k in range(2):
        Image.fromarray(wide).save(tmp_path / f"{k}.png")
    read = load(str(tmp_path)).pixels
    assert read.shape == (2, 1, 5, 6)
    assert np.abs(read - wide / 257.0).max() <= 0.5
    assert (np.asarray(convert_to_eight_bits(Image.fromarray(wide.astype(np.int32)))) == read[0, 0]).all()
    assert (read[:, 0, 0, :2] == (0, 255)).all()


@pytest.mark.parametrize("low", [-1, 0])
def test_pixels_of_more_than_sixteen_bits_are_refused(low: int) -> None:
    with pytest.raises(ValueError, match="16 bits"):
        convert_to_eight_bits(Image.fromarray(np.array([[low, 65536 + low * 65536]], np.int32)))
    with pytest.raises(ValueError, match="floating"):
        convert_to_eight_bits(Image.fromarray(np.ones((2, 2), np.float32)))


def test_grey_with_transparency_is_grey(tmp_path: Path) -> None:
    array = np.random.default_rng(2).integers(0, 256, (5, 6, 2), dtype=np.uint8)
    for k in range(2):
        Image.fromarray(array, "LA").save(tmp_path / f"{k}.png")
    read = load(str(tmp_path)).pixels
    grey, cover = array.astype(float).transpose(2, 0, 1)
    assert read.shape == (2, 1, 5, 6)
    assert np.abs(read[0, 0] - (255 - cover / 255 * (255 - grey))).max() <= 1


@pytest.mark.parametrize(("width", "height"), [(13000, 13000), (9000, 9000)])
def test_huge_pictures_are_refused_by_their_header(width: int, height: int, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
        end = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + end)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's own advice is for programmers
        with pytest.raises(
            DtoolError, match=f"a.png: {width}x{height} pixels: an image has at most 67 million"
        ) as caught:
            load(str(tmp_path))
    assert "--size" in caught.value.hint


def test_pictures_beyond_any_use_are_refused_with_a_size_too(tmp_path: Path) -> None:
    pictures(tmp_path)
    sparse(
        tmp_path / "c.bmp",
        100,
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 20000, 20000, 1, 24, *[0] * 6),
    )
    error = refused(tmp_path, size=(8, 8))
    assert "c.bmp: more than 179 million pixels" in str(error)
    assert "smaller" in error.hint


@needs_figures
def test_pictures_that_do_not_fit_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        png(tmp_path / name, 4000, 4000)
    monkeypatch.setattr(memory, "get_limit", lambda: memory.get_usage() + 2e7)
    monkeypatch.setattr(memory, "MIN_CHECKED_BYTES", 1e6)
    error = refused(tmp_path)
    assert error.exit_code == 2
    assert "2 images of 16000000 values would take 0.032 GB of memory; there are 0.0" in str(error)
    error = refused(tmp_path, size=(8, 8))
    assert "a.png, 4000x4000 pixels, would take 0.032 GB" in str(error)


@needs_figures
def test_a_size_beyond_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path)
    assert "--size 10000x10000: an image has at most" in str(refused(tmp_path, size=(10**4, 10**4)))
    monkeypatch.setenv(memory.LIMIT_VARIABLE, ".1")
    assert "would take 0.128 GB" in str(refused(tmp_path, size=(8000, 8000)))


def test_big_photographs_are_made_smaller_while_they_are_decoded(tmp_path: Path) -> None:
    for i in range(2):
        Image.new("L", (5000, 4000), 100 + i).save(tmp_path / f"{i}.jpg")
    pixels = load(str(tmp_path), size=(4, 4)).pixels
    assert abs(pixels[0].astype(int) - 100).max() <= 1


def test_what_only_looks_like_a_picture(tmp_path: Path) -> None:
    pictures(tmp_path)
    for content in (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"", b"\x89HDF\r\n\x1a\n" + bytes(99)):
        (tmp_path / "2.png").write_bytes(content)
        assert "2.png: broken, or not an image (no format that is known)" in str(refused(tmp_path))
    Image.fromarray(GREY).save(tmp_path / "2.png", "BMP")  # another format than the name says is read all the same
    assert len(load(str(tmp_path))) == 3


def test_mutated_pictures_are_read_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (9, 8, 3), dtype=np.uint8))
    pictures(tmp_path, 1)
    kinds = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "TGA", "ICO", "PCX", "SGI", "DDS", "QOI", "IM", "MSP")
    for kind in kinds:
        whole = io.BytesIO()
        (colour.convert("1") if kind == "MSP" else colour).save(whole, kind)
        for _ in range(12):
            data = bytearray(whole.getvalue())
            for place in rng.integers(0, len(data), 4):
                data[place] = rng.integers(256)
            (tmp_path / "m.png").write_bytes(bytes(data[: rng.integers(1, len(data) + 1)]))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with contextlib.suppress(DtoolError):
                    assert load(str(tmp_path), size=(4, 4)).shape[1:] == (4, 4)


@pytest.mark.parametrize(
    "name",
    ["a.tif", "a.tiff", "a.gif", "a.ppm", "a.pgm", "a.jfif", "a.JPG", "a.jpe", "a.tga", "a.ico", "a.jp2", "a.PNG",
     "a.apng", "a.pcx", "a.sgi", "a.qoi", "a.dib", "a.pnm"],
)  # fmt: skip
def test_all_that_pillow_reads_is_read(name: str, tmp_path: Path) -> None:
    for i in range(2):
        image = Image.new("RGB" if name in ("a.ppm", "a.qoi") else "L", (16, 16), "red" if name == "a.ppm" else "white")
        saved(tmp_path / f"{i}{name}", image)
    images, text = said(tmp_path)
    assert len(images) == 2
    assert "not read" not in text


def test_what_draws_with_other_programs_or_is_no_still_picture_is_not_read() -> None:
    assert not list_suffixes() & {
        ".eps",
        ".ps",
        ".pdf",
        ".h5",
        ".hdf",
        ".mpg",
        ".mpeg",
        ".wmf",
        ".emf",
        ".grib",
        ".fits",
    }
    assert list_suffixes() >= {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".jfif"}


def test_animations_give_their_first_picture(tmp_path: Path) -> None:
    frames = [Image.new("L", (6, 5), value) for value in (10, 200, 90)]
    for name in ("a.gif", "b.png", "c.webp", "d.tif"):
        saved(
            tmp_path / name,
            frames[0],
            save_all=True,
            append_images=frames[1:],
            **({"lossless": True} if name == "c.webp" else {}),
        )
    images, text = said(tmp_path)
    assert (images.pixels == 10).all()
    assert "4 of 4 files hold several pictures, and the first of each is read: a.gif, b.png, c.webp and 1 more" in text


def grey_palette() -> Image.Image:
    image = Image.fromarray(GREY, "L").convert("P")
    colours = [(i, i, i) for i in range(255)] + [(255, 0, 0)]  # a colour that is not used
    image.putpalette([value for colour in colours for value in colour])
    return image


def sixteen_bits_with_alpha(path: Path) -> Path:
    """A PNG of two 16-bit samples a pixel, grey and alpha, which Pillow does not write."""
    rows = b"".join(b"\0" + b"".join(struct.pack(">HH", int(value) * 257, 65535) for value in row) for row in GREY)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 6, 5, 16, 4, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = b"".join(struct.pack(">I", len(t)) + n + t + struct.pack(">I", zlib.crc32(n + t)) for n, t in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def test_what_is_grey_stays_grey(tmp_path: Path) -> None:
    grey = Image.fromarray(GREY)
    saved(tmp_path / "a.png", grey_palette())
    saved(tmp_path / "b.gif", grey_palette())
    saved(tmp_path / "c.png", grey.convert("LA"))
    saved(tmp_path / "d.tif", Image.fromarray(GREY.astype(np.uint16) * 257))
    sixteen_bits_with_alpha(tmp_path / "e.png")
    saved(tmp_path / "f.png", grey, transparency=255)
    saved(tmp_path / "g.bmp", grey_palette())
    images, text = said(tmp_path)
    assert images.shape == (1, 5, 6)
    assert text == ""
    np.testing.assert_array_equal(images.pixels[:, 0], np.stack([GREY] * 7))


def test_one_bit_and_transparent_greys(tmp_path: Path) -> None:
    bits = (GREY > 100).astype(np.uint8) * 255
    saved(tmp_path / "a.png", Image.fromarray(bits).convert("1"))
    saved(tmp_path / "b.tif", Image.fromarray(bits).convert("1"))
    saved(tmp_path / "c.png", Image.fromarray(GREY.astype(np.uint16) * 257), transparency=0)
    clear = Image.fromarray(GREY).convert("P")
    clear.putpalette([value for i in range(256) for value in (i, i, i)])
    saved(tmp_path / "d.png", clear, transparency=0)
    images, text = said(tmp_path)
    assert (images.shape, text) == ((1, 5, 6), "")
    white = np.where(GREY == 0, 255, GREY)
    np.testing.assert_array_equal(images.pixels[:, 0], np.stack([bits, bits, white, white]))


def test_a_palette_with_colours_that_are_used_is_in_colour(tmp_path: Path) -> None:
    image = grey_palette()
    image.putpixel((0, 0), 255)
    assert convert_to_eight_bits(image).mode == "RGB"
    assert convert_to_eight_bits(grey_palette().convert("PA")).mode == "L"


def test_grey_in_three_channels_is_said(tmp_path: Path) -> None:
    for i in range(2):
        saved(tmp_path / f"{i}.png", Image.fromarray(GREY).convert("RGB"))
    images, text = said(tmp_path)
    assert images.shape == (3, 5, 6)
    assert text == "the images are grey, and stored in three equal channels"


def test_turned_photographs_are_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter
    for i in range(2):
        saved(tmp_path / f"{i}.png", Image.fromarray(GREY), exif=exif)
    pixels = load(str(tmp_path)).pixels
    np.testing.assert_array_equal(pixels[0, 0], np.rot90(GREY, -1))


def test_other_colour_spaces_become_rgb(tmp_path: Path) -> None:
    saved(tmp_path / "a.jpg", Image.new("CMYK", (6, 5), (0, 255, 255, 0)), quality=100)
    saved(tmp_path / "b.tif", Image.new("CMYK", (6, 5), (0, 255, 255, 0)))
    saved(tmp_path / "c.tif", Image.new("YCbCr", (6, 5), (76, 85, 255)))
    pixels = load(str(tmp_path)).pixels.astype(int)
    assert np.abs(pixels - np.array([255, 0, 0])[None, :, None, None]).max() <= 3


NETPBM = b"P5 8\xff 8 255\n" + bytes(64)  # a width that is no number


def test_a_picture_whose_numbers_are_none(tmp_path):
    (tmp_path / "a.ppm").write_bytes(NETPBM)
    with pytest.raises(DtoolError, match="broken, or not an image") as caught:
        images.load(str(tmp_path))
    assert "invalid literal" not in str(caught.value)
    assert not RAW.search(str(caught.value))
