"""`dtool likelihood` as a user types it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dtool
from dtool.likelihood import bound, ode
from tests.support.commandline import failed, ran, use_network

SHAPE = (1, 4, 4)


def closed_form(x, t, label):
    """The exact network for N(±0.4, 0.1): each class a mean of its own, none of them the middle."""
    alpha, sigma = (v[:, None, None, None] for v in dtool.get_scheduler("linear").level(np.clip(t, 0, 999)))
    mean = np.array([-0.4, 0.4, 0.0])[label][:, None, None, None]
    return sigma * (x - alpha * mean) / (alpha**2 * 0.1 + sigma**2)


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder holds images for it."""
    net = use_network(monkeypatch, tmp_path, dtool.network(closed_form, shape=SHAPE, classes=2))
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 90)
    values = 0.8 * labels[:, None, None] - 0.4 + np.sqrt(0.1) * rng.standard_normal((90, 4, 4))
    pixels = np.round((values.clip(-1, 1) + 1) * 127.5).astype(np.uint8)
    np.savez("images.npz", x=pixels, y=labels)
    np.savez("eighths.npz", x=(pixels // 15 / 8 - 1).astype(np.float32).clip(-1, 1))
    return net


def test_the_command_writes_a_table_and_a_picture(capsys, tmp_path):
    result = ran(capsys, "likelihood", "--data", "images.npz", "-n", 20, "-o", "terms.png")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0] == "σ² analytic, 50 steps, n = 20, seed 0, 256 levels"
    assert lines[1].split()[:3] == ["term", "t", "bits/dim"]
    assert lines[2].split()[0] == "L_T"
    assert lines[-3].split()[0] == "L_0"
    assert lines[-2].split()[0] == "sum"
    assert lines[-1] == "terms.png"
    assert len(lines) == 2 + 1 + 10 + 1 + 1 + 1
    with Image.open("terms.png") as picture:
        assert picture.width > 900
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 10


def test_json_says_what_the_function_says(capsys, stub):
    result = ran(
        capsys,
        "likelihood",
        "--data",
        "images.npz",
        "-n",
        12,
        "--steps",
        7,
        "--variance",
        "beta",
        "--seed",
        3,
        "--json",
    )
    document = json.loads(result.out)
    assert document["conditional"] is True
    ids = document["ids"]
    images = np.load("images.npz")
    x = (images["x"][ids].astype(np.float32) / np.float32(127.5) - 1)[:, None]
    same = bound(stub, x, 7, variance="beta", labels=images["y"][ids], ids=ids, seed=3)
    assert document["bits_per_dim"] == pytest.approx(same.total, abs=1e-12)
    assert [term["name"] for term in document["terms"]] == ["L_T", *(f"L_{k}" for k in range(6, -1, -1))]
    assert sum(term["mean"] for term in document["terms"]) == pytest.approx(document["bits_per_dim"], abs=1e-12)
    plain = ran(
        capsys, "likelihood", "--data", "images.npz", "-n", 12, "--steps", 7, "--variance", "beta", "--seed", 3,
        "--class", "none", "--json",
    )  # fmt: skip
    unlabelled = bound(stub, x, 7, variance="beta", ids=ids, seed=3)
    assert json.loads(plain.out)["bits_per_dim"] == pytest.approx(unlabelled.total, abs=1e-12)
    assert unlabelled.total > same.total


def test_clip_is_handed_on(capsys, stub):
    words = ("likelihood", "--data", "images.npz", "-n", 8, "--steps", 7, "--variance", "beta", "--json")
    document = json.loads(ran(capsys, *words, "--clip").out)
    images, ids = np.load("images.npz"), document["ids"]
    x = (images["x"][ids].astype(np.float32) / np.float32(127.5) - 1)[:, None]
    how = {"variance": "beta", "labels": images["y"][ids], "ids": ids}
    clipped, plain = (bound(stub, x, 7, clip=clip, **how).total for clip in (True, False))
    assert document["bits_per_dim"] == pytest.approx(clipped, abs=1e-12)
    assert abs(clipped - plain) > 1e-9


def test_more_images_begin_with_the_same_ones(capsys):
    few, many = (
        json.loads(
            ran(capsys, "likelihood", "--data", "images.npz", "-n", n, "--steps", 5, "--variance", "beta", "--json").out
        )
        for n in (6, 15)
    )
    assert many["ids"][:6] == few["ids"]
    assert many["images"][:6] == few["images"]


def test_the_ode(capsys, stub):
    result = ran(capsys, "likelihood", "--data", "images.npz", "-n", 3, "--ode", "--tolerance", 1e-3, "--json")
    document = json.loads(result.out)
    images = np.load("images.npz")
    x = (images["x"][document["ids"]].astype(np.float32) / np.float32(127.5) - 1)[:, None]
    same = ode(stub, x, labels=images["y"][document["ids"]], ids=document["ids"], tolerance=1e-3)
    assert document["bits_per_dim"] == pytest.approx(same.total, abs=1e-12)
    printed = ran(capsys, "likelihood", "--data", "images.npz", "-n", 2, "--ode", "--trace", "hutchinson")
    assert "bits/dim" in printed.out
    assert "probes: 1, differences" in printed.err


def test_statistics_from_a_file_and_without_other_images(capsys, stub):
    images = np.load("images.npz")
    x = (images["x"] / 127.5 - 1)[:, None]
    dtool.measure_variance(stub, x, "stats.json", labels=images["y"])
    arguments = ("likelihood", "--data", "images.npz", "--variance", "analytic", "--steps", 9, "--json")
    own, file, all_of_them = (
        ran(capsys, *arguments, *more) for more in (("-n", 20), ("-n", 20, "--stats", "stats.json"), ("-n", 90))
    )
    totals = [json.loads(result.out)["bits_per_dim"] for result in (own, file, all_of_them)]
    assert totals == pytest.approx([totals[0]] * 3, abs=0.15)
    assert "there are no other images" in all_of_them.err
    assert "there are no other images" not in own.err


@pytest.mark.parametrize(
    ("arguments", "code", "cause", "hint"),
    [
        ((), 2, "there are no images", "--data"),
        (("--data", "nothing"), 1, "no such file", "folder"),
        (("--data", "images.npz", "-n", "91"), 2, "holds 90 images", "90 or fewer"),
        (("--data", "images.npz", "--steps", "1001"), 2, "1001 steps cannot be had", "1 to 1000"),
        (("--data", "images.npz", "--steps", "few"), 2, "--steps few", "50, or all"),
        (("--data", "images.npz", "--levels", "many"), 2, "--levels many", "256, or none"),
        (("--data", "eighths.npz"), 2, "not on 256 levels", "17"),
        (("--data", "images.npz", "--variance", "learned"), 2, "predicts no variance", "tilde"),
        (("--data", "images.npz", "--stats", "s.json", "--variance", "beta"), 2, "statistics are for", "leave"),
        (("--data", "images.npz", "--stats", "s.json", "--variance", "analytic"), 1, "s.json", "measure_variance"),
        (("--data", "images.npz", "-o", "terms.jpg"), 2, "is a PNG", ".png"),
        (("--data", "images.npz", "-o", "no/where.png"), 1, "no", ""),
        (("--data", "images.npz", "--ode", "--steps", "5"), 2, "--steps is for the bound", "--ode"),
        (("--data", "images.npz", "--probes", "2"), 2, "--probes is for --ode", "--ode"),
        (("--data", "images.npz", "--ode", "--tolerance", "2"), 2, "tolerance", "1e-5"),
        (("--data", "images.npz", "--spacing", "restart"), 2, "the levels go back up", "spacing"),
        (("--data", "images.npz", "--class", "5"), 2, "class", "0 … 1"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(capsys, arguments, code, cause, hint):
    failed(ran(capsys, "likelihood", *arguments), code, cause, hint)


def test_digits_have_seventeen_levels(capsys, monkeypatch):
    pytest.importorskip("sklearn")
    net = dtool.network(lambda x, t: x, shape=(1, 8, 8))
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": net)
    document = json.loads(ran(capsys, "likelihood", "--data", "digits", "-n", 4, "--steps", 3, "--json").out)
    assert document["levels"] == 17
    assert document["conditional"] is False


@pytest.mark.parametrize("method", [("--steps", "4"), ("--ode", "--tolerance", "1e-3")])
def test_two_parts_make_the_document_of_one_process(capsys, method):
    words = ("likelihood", "--data", "images.npz", "-n", 40, *method, "--json")
    alone = ran(capsys, *words, "--workers", 1)
    first = ran(capsys, *words, "--part", "1/2", "--into", "blocks")
    assert (first.code, first.out) == (0, "")
    assert "part 1/2 is done. blocks: 1 of 3 blocks are not there yet" in first.err
    for _ in range(2):  # again when all is there
        assert ran(capsys, *words, "--part", "2/2", "--into", "blocks").out == alone.out
    other = ran(capsys, *words, "--seed", 3, "--into", "blocks")
    assert other.code == 1
    assert "blocks holds the blocks of another likelihood" in other.err
    block = next(Path("blocks").glob("*.npz"))
    block.write_bytes(block.read_bytes()[:-30])
    damaged = ran(capsys, *words, "--into", "blocks")
    assert damaged.code == 1
    assert f"{block} is truncated, or was altered" in damaged.err


@pytest.mark.parametrize("method", [("--steps", "4"), ("--ode", "--tolerance", "1e-3")])
def test_work_that_is_shared_has_the_same_figures_and_no_time(capsys, method):
    words = ("likelihood", "--data", "images.npz", "-n", 20, *method, "--json", "-q")
    usual, shared = (json.loads(ran(capsys, *words, *more).out) for more in ((), ("--workers", 1)))
    assert shared["seconds"] is None
    np.testing.assert_allclose(shared["images"], usual["images"], rtol=1e-12)
    assert shared["ids"] == usual["ids"]
