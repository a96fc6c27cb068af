"""`dtool forward` as a user types it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.support.commandline import failed, network, ran, use_network


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


def _photo(path, size=(300, 200)):
    gradient = np.linspace(0, 255, size[0] * size[1] * 3).reshape(size[1], size[0], 3).astype(np.uint8)
    Image.fromarray(gradient).save(path)


def test_forward_draws_a_row_a_schedule(capsys):
    _photo("photo.png")
    document = json.loads(ran(capsys, "forward", "photo.png", "--json").out)
    assert document["schedulers"][:6] == ["linear", "scaled-linear", "cosine", "sigmoid", "sigmoid-beta", "vp"]
    assert {"flow", "edm", "trigflow"} <= set(document["schedulers"])
    with Image.open("forward.png") as every:
        assert every.width > 9 * 128
        assert every.height > 6 * 85
    assert ran(capsys, "forward", "photo.png", "--scheduler", "cosine", "--steps", 4, "-o", "one.png").code == 0
    with Image.open("one.png") as one:
        assert one.width < every.width
        assert one.height < every.height / 3


def test_forward_of_a_digit_is_a_sample_of_the_package_s_network(capsys):
    assert ran(capsys, "forward", "digit", "--scheduler", "linear").out == "forward.png\n"


def test_forward_s_noise_is_that_of_its_seed(capsys):
    _photo("photo.png", size=(40, 30))
    for seed, name in ((0, "a.png"), (1, "b.png"), (1, "c.png")):
        words = ("--scheduler", "cosine", "--steps", 3, "--seed", seed, "-o", name)
        assert ran(capsys, "forward", "photo.png", *words).code == 0
    a, b, c = (np.asarray(Image.open(name)) for name in ("a.png", "b.png", "c.png"))
    assert np.array_equal(b, c)
    assert not np.array_equal(a, b)


def test_forward_takes_pictures_of_any_kind(capsys):
    for mode, name in (("L", "grey.png"), ("RGBA", "alpha.png"), ("P", "palette.gif"), ("1", "bits.png")):
        Image.new(mode, (5, 400)).save(name)
        assert ran(capsys, "forward", name, "--scheduler", "linear", "--steps", 2).code == 0


@pytest.mark.parametrize(
    ("args", "code", "cause", "hint"),
    [
        (["nope.png"], 1, "there is no file nope.png", "digit"),
        (["."], 1, ". is a folder", "one picture"),
        (["photo.png", "--scheduler", "cosin"], 2, "there is no scheduler 'cosin'", "did you mean cosine"),
        (["photo.png", "--steps", "1"], 2, "'--steps'", ""),
        (["photo.png", "-o", "no/f.png"], 1, "can't be written", "folder"),
        (["broken.png"], 1, "broken.png cannot be read as a picture", "PNG, JPEG"),
    ],
)
def test_what_forward_cannot_do(capsys, tmp_path, args, code, cause, hint):
    _photo("photo.png")
    whole = (tmp_path / "photo.png").read_bytes()
    (tmp_path / "broken.png").write_bytes(whole[: len(whole) // 2])
    failed(ran(capsys, "forward", *args), code, cause, hint)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.png", "photo.png"]
