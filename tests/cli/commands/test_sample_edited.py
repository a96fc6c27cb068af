"""`dtool sample` that begins at pictures, as it is typed."""

import json

import numpy as np
import pytest
from PIL import Image

import dtool
from tests.support.commandline import failed, ran
from tests.support.told_networks import PICTURE, Doubling

TOLD = "tests.support.told_networks:text_network"
WORDS = ("sample", "--steps", "4", "--class", "3", "-q")


@pytest.fixture
def pixels(folder):
    """photo.png, mask.png (the lower half white), cut.png (transparent there), two/ with two pictures."""
    images = np.random.default_rng(0).integers(0, 256, (2, 28, 28), dtype=np.uint8)
    mask = np.zeros((28, 28), np.uint8)
    mask[14:] = 255
    photo = Image.fromarray(images[0])
    photo.save("photo.png")
    Image.fromarray(mask).save("mask.png")
    Image.merge("LA", (photo, Image.fromarray(255 - mask))).save("cut.png")
    (folder / "two").mkdir()
    for i in range(2):
        Image.fromarray(images[i]).save(f"two/{i}.png")
    return images


def scale(pixels):
    return pixels.astype(np.float32) / np.float32(255) * np.float32(2) - np.float32(1)


@pytest.mark.parametrize("mask", [("photo.png", "mask.png"), ("cut.png", "alpha")])
def test_what_is_black_or_opaque_stays_exactly(capsys, pixels, mask):
    result = ran(capsys, *WORDS, "--image", mask[0], "--mask", mask[1], "-n", "2", "--npz", "a.npz")
    assert result.code == 0, result.err
    x0 = np.load("a.npz")["x0"]
    assert x0.shape == (2, 1, 28, 28)
    assert np.array_equal(x0[:, 0, :14], np.broadcast_to(scale(pixels[0, :14]), (2, 14, 28)))
    assert (x0[0, 0, 14:] != x0[1, 0, 14:]).any()


def test_a_folder_gives_a_result_for_each_picture_by_its_id(capsys, pixels):
    assert ran(capsys, *WORDS, "--image", "two", "--strength", "0.5", "--npz", "a.npz").code == 0
    assert ran(capsys, *WORDS, "--image", "two", "--strength", "0.5", "--ids", "3", "--npz", "b.npz").code == 0
    whole, third = np.load("a.npz")["x0"], np.load("b.npz")["x0"]
    assert whole.shape == (2, 1, 28, 28)
    own = dtool.sample(
        dtool.default_network(), "ddpm", steps=4, image=pixels[1][None], strength=0.5, ids=[3], labels=3
    )  # fmt: skip
    assert np.array_equal(third, own.x0)


def test_strength_0_is_the_picture_and_says_no_step(capsys, pixels):
    result = ran(capsys, *WORDS, "--image", "photo.png", "--strength", "0", "--npz", "a.npz", "--json")
    assert result.code == 0, result.err
    about = json.loads(result.out)
    assert (about["calls"], about["evaluations"], about["strength"], about["image"]) == (0, 0, 0, "photo.png")
    assert np.array_equal(np.load("a.npz")["x0"][0, 0], scale(pixels[0]))


def test_a_path_has_no_ids(capsys, folder):
    assert ran(capsys, *WORDS, "--interpolate", "0:2:3", "--npz", "a.npz").code == 0
    with np.load("a.npz") as file:
        assert len(file["x0"]) == 3
        assert "ids" not in file


def encode(self, pictures):
    small = pictures.reshape(len(pictures), 3, 3, 2, 3, 2).mean(axis=(3, 5))
    mean = np.concatenate([small, 0 * small[:, :1]], axis=1)
    return mean, 0 * mean


@pytest.mark.parametrize("strength", ["0", "1"])
def test_pictures_of_latents_keep_the_pixels_of_what_is_known(capsys, folder, monkeypatch, strength):
    monkeypatch.setattr(Doubling, "_encode", encode)
    pixels = np.random.default_rng(1).integers(0, 256, (*PICTURE[1:], PICTURE[0]), dtype=np.uint8)
    mask = np.zeros(PICTURE[1:], np.uint8)
    mask[1, 1] = 255  # one pixel of the four of its latent
    Image.fromarray(pixels).save("photo.png")
    Image.fromarray(mask).save("mask.png")
    words = ("--image", "photo.png", "--mask", "mask.png", "--strength", strength, "--npz", "a.npz", "--latents", "-q")
    result = ran(capsys, "sample", TOLD, "--prompt", "a", *words)
    assert result.code == 0, result.err
    file, expected = np.load("a.npz"), scale(pixels.transpose(2, 0, 1))
    changed = (file["x0"][0] != expected).any(axis=0)
    assert np.array_equal(changed, mask > 0 if strength == "1" else mask > 255)
    known = np.ones((3, 3), bool)
    known[0, 0] = strength == "0"
    assert np.array_equal((file["latents"][0] == encode(None, expected[None])[0][0]).all(axis=0), known)


def test_a_codec_that_cannot_encode_is_said(capsys, folder):
    Image.fromarray(np.zeros((*PICTURE[1:], 3), np.uint8)).save("photo.png")
    failed(ran(capsys, "sample", TOLD, "--prompt", "a", "--image", "photo.png", "-q"), 2, "it has no encoder")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--mask", "mask.png"), "--mask is given without a picture"),
        (("--strength", "0.5"), "--strength is given without a picture"),
        (("--image", "photo.png", "--mask", "alpha"), "is nowhere transparent"),
        (("--image", "photo.png", "--strength", "2"), "is not between 0 and 1"),
        (("--image", "photo.png", "--mask", "two"), "holds 2 masks"),
        (("--image", "photo.png", "-o", "photo.png"), "photo.png"),
        (("--interpolate", "0:1"), "no path between two images"),
        (("--interpolate", "0:1:3", "--ids", "0-3"), "the path between two images"),
    ],
)
def test_what_does_not_fit_is_refused(capsys, pixels, words, message):
    failed(ran(capsys, *WORDS, *words), 2, message)


def test_a_sampler_s_file_that_may_begin_at_a_picture(capsys, pixels):
    """With the flags of any other network; a file that takes none says how to export one that does."""
    pytest.importorskip("onnx")
    recipe = ("--recipe", "dpmpp-2m", "--steps", "5", "--no-check", "-q")
    assert ran(capsys, "export", *recipe, "--inputs", "image,mask,strength", "-o", "app.onnx").code == 0
    assert ran(capsys, "export", *recipe, "-o", "plain.onnx").code == 0
    words = ("--image", "two", "--mask", "mask.png", "--strength", "0.6", "--seed", "3", "--class", "3", "-q")
    result = ran(capsys, "sample", "app.onnx", *words, "--npz", "file.npz", "--json")
    assert result.code == 0, result.err
    assert (json.loads(result.out)["calls"], json.loads(result.out)["strength"]) == (3, 0.6)
    assert ran(capsys, "sample", *recipe[:4], *words, "--npz", "host.npz").code == 0
    made, want = np.load("file.npz")["x0"], np.load("host.npz")["x0"]
    assert np.abs(made - want).max() < 1e-5
    assert np.array_equal(made[:, 0, :14], scale(pixels[:, :14]))
    hint = "--inputs image,mask,strength"
    failed(ran(capsys, "sample", "plain.onnx", *words), 2, "begins at noise, and takes no image", hint)
    refused = ran(capsys, "export", *recipe, "--inputs", "mask", "-o", "x.onnx")
    failed(refused, 2, "are of an image to begin at", "name image among the inputs")


def test_a_file_that_decodes_begins_at_a_latent(capsys, pixels):
    pytest.importorskip("onnx")
    from tests.support.sampler_files import write_decoder

    write_decoder("decoder.onnx", (1, 28, 28))
    recipe = ("--recipe", "ddim", "--steps", "2", "--no-check", "-q", "--decoder", "decoder.onnx")
    assert ran(capsys, "export", *recipe, "--inputs", "image", "-o", "app.onnx").code == 0
    refused = ran(capsys, "sample", "app.onnx", "--image", "photo.png")
    failed(refused, 2, "begins at a latent, and has no encoder", "the model itself")
