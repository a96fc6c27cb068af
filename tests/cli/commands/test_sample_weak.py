"""`--weak`: guidance that compares with a weaker network, as it is typed."""

import json

import numpy as np
import pytest

import dtool
from tests.support.commandline import failed, ran

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
from tests.support.small_networks import write

SHAPE = (1, 4, 4)
WORDS = ("--sampler", "ddim", "--steps", "4", "-n", "3", "-q")


@pytest.fixture
def networks(folder):
    write(folder / "net.onnx", shape=SHAPE)
    write(folder / "weak.onnx", seed=1, shape=SHAPE)
    write(folder / "other.onnx", seed=1, shape=(1, 4, 5))
    net, weak = dtool.load("net.onnx", device="cpu"), dtool.load("weak.onnx", device="cpu")
    return net, weak


def test_it_is_what_the_python_argument_is(networks, capsys):
    net, weak = networks
    done = ran(
        capsys, "sample", "net.onnx", "--weak", "weak.onnx", "--guidance", "2", *WORDS, "--npz", "a.npz", "--json"
    )
    assert done.code == 0, done.err
    about = json.loads(done.out)
    assert (about["weak"], about["calls"], about["evaluations"]) == ("weak.onnx", 4, 8)
    want = dtool.sample(net, "ddim", steps=4, n=3, guidance=2, weak=weak).x0
    assert np.array_equal(np.load("a.npz")["x0"], want)
    assert np.abs(want - dtool.sample(net, "ddim", steps=4, n=3).x0).max() > 1e-2


def test_both_go_into_one_file(networks, capsys):
    net, weak = networks
    words = ("--recipe", "ddim", "--steps", "4", "--guidance", "2", "-q")
    done = ran(capsys, "export", "net.onnx", "--weak", "weak.onnx", *words, "-o", "app.onnx")
    assert done.code == 0, done.err
    assert ran(capsys, "sample", "app.onnx", "-n", "3", "--npz", "b.npz", "-q").code == 0
    want = dtool.sample(net, "ddim", steps=4, n=3, guidance=2, weak=weak).x0
    np.testing.assert_allclose(np.load("b.npz")["x0"], want, atol=1e-5)
    assert ran(capsys, "export", "--check", "app.onnx", "-q").code == 0
    refused = ran(capsys, "sample", "app.onnx", "--weak", "weak.onnx")
    failed(refused, 2, "a sampler's file takes no second network", "dtool export MODEL --weak WEAK")


def test_a_comparison_is_guided_against_it_too(networks, capsys):
    net, weak = networks
    words = (
        "--weak",
        "weak.onnx",
        "ddim~2",
        "heun",
        "--guidance",
        "1",
        "--steps",
        "4",
        "-n",
        "3",
        "--repeats",
        "1",
        "-q",
    )
    done = ran(capsys, "compare", "net.onnx", *words, "-o", "a.json", "--json")
    assert done.code == 0, done.err
    about = json.loads(done.out)
    assert [(one["calls"], one["evaluations"]) for one in about["entries"]] == [(4, 8), (7, 7)]
    assert about["model"] == "net.onnx, guided against weak.onnx"
    assert about["entries"][0]["solver"]["rmse"] > 0
    net.weak = weak
    found = dtool.compare(net, ["ddim~2"], steps=4, n=3, repeats=1, solver=False)
    assert np.array_equal(found.images[0], dtool.sample(net, "ddim", steps=4, n=3, guidance=2).x0)


@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        (("--weak", "weak.onnx"), "no guidance compares with it", "--guidance 2"),
        (("--weak", "other.onnx", "--guidance", "2"), "has another shape", "one trained as the other was"),
        (("--weak", "none.onnx", "--guidance", "2"), "no file", "check the path"),
    ],
)
def test_what_does_not_fit_is_refused(networks, capsys, words, says, hint):
    done = ran(capsys, "sample", "net.onnx", *words, *WORDS)
    assert done.code in (1, 2)
    failed(done, done.code, says, hint)


def test_an_export_without_a_sampler_has_no_place_for_it(networks, capsys):
    failed(ran(capsys, "export", "net.pt", "--weak", "weak.onnx"), 2, "--weak is for a sampler's file", "--recipe")
