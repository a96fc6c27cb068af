"""`dtool train-codec`, and `dtool train --codec`, as a user types them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.commandline import failed, ran, replace_options

pytest.importorskip("torch")
pytest.importorskip("accelerate")
pytest.importorskip("diffusers")
from dtool.training.codec_loop import CodecTrainer
from dtool.util.locks import hold_lock
from tests.support.codec_training import write_pictures

SMALL = ["--factor", 2, "--latent-channels", 2, "--width", 8, "--batch-size", 4, "--device", "cpu"]
TINY = ["--width", 8, "--multipliers", 1, "--attention", "none", "--steps", 2, "--batch-size", 4, "--device", "cpu"]


@pytest.fixture
def data(folder: Path) -> Path:
    write_pictures(folder / "data.npz")
    return Path("data.npz")


@pytest.fixture
def codec(data: Path, capsys: Any) -> Path:
    assert ran(capsys, "train-codec", data, "-o", "codec", *SMALL, "--steps", 2, "-q").code == 0
    return Path("codec")


def test_it_says_what_it_trains_how_good_it_is_and_where_it_is(capsys, data):
    result = ran(capsys, "train-codec", data, "-o", "codec", *SMALL, "--steps", 2, "--preview", "p.png")
    assert (result.code, result.out) == (0, "codec\n")
    assert "22 images of (3, 8, 12) to latents of (2, 4, 6)" in result.err
    assert "step 2/2" in result.err
    assert " dB, the mean of 2 held-out pictures" in result.err
    assert sorted(path.name for path in Path().iterdir()) == ["codec", "data.npz", "p.png"]
    quiet = ran(capsys, "train-codec", data, "-o", "codec", *SMALL, "--steps", 2, "--force", "-q")
    assert (quiet.code, quiet.out, quiet.err) == (0, "codec\n", "")


def test_from_pictures_to_pictures(capsys, codec, data):
    result = ran(capsys, "train", data, "--codec", codec, "-o", "m.pt", "--preview", "p.png", *TINY)
    assert (result.code, result.out) == (0, "m.pt\n"), result.err
    assert "encoding the images by codec, once" in result.err
    assert "24 images of (2, 4, 6)" in result.err
    about = json.loads(ran(capsys, "model", "m.pt", "--json").out)
    assert (about["shape"], about["picture_shape"], about["codec"]) == ([2, 4, 6], [3, 8, 12], "AutoencoderKL")
    assert "3×8×12 in -1 … 1, decoded from what is sampled, by AutoencoderKL" in ran(capsys, "model", "m.pt").out
    sampled = ran(capsys, "sample", "m.pt", "-n", 2, "--steps", 2, "--npz", "s.npz", "--latents", "-o", "s.png")
    assert sampled.code == 0, sampled.err
    with np.load("s.npz") as arrays:
        assert arrays["x0"].shape == (2, 3, 8, 12)
        assert arrays["latents"].shape == (2, 2, 4, 6)
    edited = ran(capsys, "sample", "m.pt", "--image", "s.png", "--fit", "--strength", 0.5, "--steps", 4, "-o", "e.png")
    assert edited.code == 0, edited.err


def test_another_decoder_in_its_place(capsys, codec, data):
    assert ran(capsys, "train", data, "--codec", codec, "-o", "m.pt", "-q", *TINY).code == 0
    words = ["sample", "m.pt", "-n", 2, "--steps", 2, "-q"]
    arrays = []
    for more in ([], ["--decoder", codec], ["--decoder", codec, "--decoder-scale", 0.5]):
        assert ran(capsys, *words, *more, "--npz", "s.npz", "-o", "s.png").code == 0
        with np.load("s.npz") as found:
            arrays.append(found["x0"])
    np.testing.assert_array_equal(arrays[0], arrays[1])
    assert not np.array_equal(arrays[0], arrays[2])
    failed(
        ran(capsys, "model", codec), 2, "codec holds an autoencoder, and no network", "--decoder codec decodes by it"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_keeps_what_it_has_and_goes_on(capsys, data, monkeypatch, number):
    step = CodecTrainer._run_step

    def interrupted(self: CodecTrainer) -> Any:
        if self.step == 1:
            os.kill(os.getpid(), number)  # arrives in the middle of a step
        return step(self)

    words = ["train-codec", data, "-o", "codec", *SMALL, "--steps", 4]
    with monkeypatch.context() as patched:
        patched.setattr(CodecTrainer, "_run_step", interrupted)
        result = ran(capsys, *words)
    assert (result.code, result.out) == (130, "")
    assert "interrupted after 2 steps; codec is kept: the same command with --resume goes on" in result.err
    assert ran(capsys, *words, "--resume").code == 0
    failed(ran(capsys, *words, "--resume"), 2, "has all its 4 steps", "ask for more with --steps")


@pytest.mark.parametrize(
    ("words", "code", "cause", "hint"),
    [
        (["-o", "codec.safetensors"], 2, "an autoencoder is a folder", "name a folder"),
        (["-o", "none/codec"], 1, "can't be written", "-o"),
        (["-o", "there"], 2, "there exists", "--resume continues it, --force replaces it"),
        (["-o", "there", "--force"], 2, "there holds other files (a.txt)", "a folder of its own"),
        (["--resume"], 1, "--resume: there is no codec/training.pt", "leave --resume out"),
        (["--factor", 3], 2, "--factor: is a power of 2", "dtool train-codec --help"),
        (["--width", 12], 2, "--width", "dtool train-codec --help"),
        (["--factor", 8], 2, "--factor 8: the pictures have 8x12 pixels", "multiples of 8"),
        (["--size", "big"], 2, "--size big: not a size", "write 32"),
        (["--size", 8], 2, "--size works for folders of images", "leave --size out"),
        (["--save-every", "now"], 2, "'now' is not an interval", "90s"),
        (["--preview", "p.jpg"], 2, "p.jpg: the picture is a PNG", "end its name in .png"),
        (["--preview", "codec/p.png", "-o", "codec"], 1, "can't be written", ""),
        (["--validation", 0.01], 1, "--validation 0.01 of 24 images is 0", "give more images"),
    ],
)
def test_bad_requests_fail_before_training(capsys, data, monkeypatch, words, code, cause, hint):
    Path("there").mkdir()
    Path("there/a.txt").touch()
    monkeypatch.setattr(CodecTrainer, "run", lambda _self: pytest.fail("training began"))
    usual = ["-o", "codec", "--factor", 2, "--device", "cpu"]
    failed(ran(capsys, "train-codec", data, *replace_options(usual, words)), code, cause, hint)
    assert sorted(path.name for path in Path().iterdir()) == ["data.npz", "there"]


def test_data_that_is_not_there(capsys, folder):
    failed(ran(capsys, "train-codec", "none", "-o", "codec"), 1, "none: there is no such file or folder")
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "cause", "hint"),
    [
        (["--codec", "none"], 1, "--codec: there is no folder none", "dtool train-codec DATA -o FOLDER makes one"),
        (["--codec", "data.npz"], 2, "--codec data.npz: no folder of an autoencoder", "dtool train-codec"),
        (["--codec", "codec", "--task", "fill"], 2, "--task fill is of pictures, and --codec of latents", "leave out"),
        (["--codec", "codec", "odd.npz"], 2, "codec makes one latent of 2x2 pixels", "give --size 8x10, or another"),
    ],
)
def test_codecs_that_do_not_fit_are_refused_before_training(capsys, codec, data, words, code, cause, hint):
    np.savez("odd.npz", x=np.random.default_rng(0).integers(0, 255, (8, 9, 10, 3)).astype(np.uint8))
    own = [] if words[-1] == "odd.npz" else [data]
    failed(ran(capsys, "train", *own, *words, "-o", "m.pt", "-q", *TINY), code, cause, hint)
    assert not Path("m.pt").exists()


def test_two_trainings_of_one_folder(capsys, data, tmp_path):
    with hold_lock(tmp_path / "codec", "codec is being trained"):
        result = ran(capsys, "train-codec", data, "-o", "codec", *SMALL, "--steps", 1)
        failed(result, 1, "codec is being trained by another run", "name another file")
    assert not Path("codec").exists()
