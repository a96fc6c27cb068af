"""`dtool bench` as a user types it."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import pytest

import dtool
from dtool.bench.ways import BARE, FUSED, HOST
from tests.support import foreign as make
from tests.support.benchmarking import needs_onnx
from tests.support.commandline import failed, network, ran, use_network

SHORT = ("--steps", 2, "--rounds", 1)


@pytest.fixture(autouse=True)
def unsettled(monkeypatch):
    """Nobody's time matters here."""
    monkeypatch.setattr("dtool.bench.run.SETTLE", 0)
    monkeypatch.setattr("dtool.bench.run.TURN", 0)


@pytest.fixture
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


@needs_onnx
def test_the_package_s_network_beside_its_fused_file(capsys):
    result = ran(
        capsys, "bench", "dpmpp-2m", "--steps", 2, "--batch", "1,2", "--rounds", 1, "--device", "cpu", "--json"
    )
    found = json.loads(result.out)
    fused = [t for t in found["timings"] if t["name"] == FUSED]
    assert [t["batch"] for t in fused] == [1, 2]
    assert max(t["difference"] for t in fused) < 1e-4
    assert found["machine"]["versions"]["onnxruntime"]
    assert found["device"] == "cpu"


def test_the_table_on_a_pipe(capsys, stub):
    result = ran(capsys, "bench", "ddpm", *SHORT, "--batch", "1,3")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["date", "machine", "versions", "load"]
    head = next(i for i, line in enumerate(lines) if line.startswith("batch "))
    assert lines[head].split() == ["batch", "way", "ms", "quartiles", "images/s", "ratio", "quartiles", "differs", "by"]
    ways = [re.split(r"  +", line)[:2] for line in lines[head + 1 :]]
    assert ["batch 1", HOST] in ways
    assert ["batch 3", BARE] in ways
    assert "without the fused file: a FunctionNetwork cannot be exported" in result.err
    assert f"ratio: to the {BARE}" in result.err


def test_json_and_quiet(capsys, stub):
    result = ran(capsys, "bench", *SHORT, "--batch", 2, "--guidance", 1.5, "--json", "-q")
    found = json.loads(result.out)
    assert result.err == ""
    assert (found["recipe"], found["steps"], found["guidance"], found["scale"], found["rounds"]) == (
        "ddim",
        2,
        "1.5",
        1.5,
        1,
    )
    assert (found["calls"], found["evaluations"]) == (2, 4)
    assert {t["name"] for t in found["timings"]} >= {BARE, HOST}
    for timing in found["timings"]:
        assert timing["seconds"].keys() == timing["ratio"].keys() == {"low", "median", "high"}
        assert len(timing["rounds"]) == 1


@pytest.mark.parametrize("name", ["figures.md", "figures.json"])
def test_a_file_of_it(capsys, stub, tmp_path, name):
    result = ran(capsys, "bench", *SHORT, "--batch", 1, "-o", name, "-q")
    assert result.out.splitlines()[-1] == name
    text = Path(name).read_text(encoding="utf-8")
    if name.endswith(".json"):
        assert json.loads(text)["reference"] == BARE
    else:
        assert f"| 1 | {HOST} |" in text
        assert text.startswith("- date: ")
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("args", "code", "cause", "hint"),
    [
        (["ddmp"], 2, "there is no sampler 'ddmp'", "did you mean ddpm"),
        (["missing.pt"], 1, "there is no file missing.pt", ""),
        (["ddim", "--batch", "0"], 2, "--batch 0: not a list of whole numbers from 1", "10,20,50"),
        (["ddim", "--batch", "4,x"], 2, "--batch 4,x", "10,20,50"),
        (["ddim", "--steps", "0"], 2, "'--steps'", ""),
        (["ddim", "--steps", "2000"], 2, "2000 steps cannot be had", "1 to 1000"),
        (["ddim", "--rounds", "0"], 2, "'--rounds'", ""),
        (["ddim", "--batch-size", "0"], 2, "'--batch-size'", ""),
        (["ddim", "--guidance=-1"], 2, "guidance -1 is no scale", "0 or more"),
        (["ddim", "--guidance", "1", "--guidance", "3"], 2, "--guidance 1 and --guidance 3 are given", "give one"),
        (["ddim-inversion"], 2, "ddim-inversion leads from an image to its noise", "time another"),
        (["ddpm:sigma=learned"], 2, "takes the variance of its noise from the network", "sigma=tilde"),
        (["ddim", "-o", "figures.txt"], 2, "figures.txt: neither Markdown nor JSON", ".md or .json"),
        (["ddim", "-o", "no/figures.md"], 1, "can't be written", "folder"),
        (["ddim", "--sigma", "beta"], 2, "dtool bench has no option --sigma", ""),
        (["ddim", "--fused", "none.onnx"], 1, "there is no file none.onnx", ""),
    ],
)
def test_what_cannot_be_measured_is_refused(capsys, stub, tmp_path, args, code, cause, hint):
    failed(ran(capsys, "bench", *args), code, cause, hint)
    assert list(tmp_path.iterdir()) == []


def test_guidance_needs_classes(capsys, monkeypatch):
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": dtool.network(lambda x, t: x, shape=(3,)))
    failed(ran(capsys, "bench", "--guidance", 2), 2, "guidance needs a conditional network", "leave out guidance")


def test_an_interruption_leaves_nothing(capsys, monkeypatch, tmp_path):
    inner, left = network(), [5]

    def fn(x, t, label):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return inner.fn(x, t, label)

    monkeypatch.setattr(dtool, "default_network", lambda device="auto": type(inner)(fn, inner.spec))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    failed(ran(capsys, "bench", *SHORT, "--batch", 3, "-o", "figures.md"), 130, "interrupted")
    assert list(tmp_path.iterdir()) == []


@needs_onnx
def test_bench_knows_what_a_foreign_file_is_told(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make.saved(make.network(), tmp_path)
    quick = ("--steps", "1", "--rounds", "1", "--batch", "1", "--json")
    result = ran(capsys, "bench", "foreign.onnx", "ddim", "--schedule", "linear", "--prediction", "eps", *quick)
    assert result.code == 0, result.err
    assert "does not say" not in result.err + json.dumps(json.loads(result.out)["skipped"])


def test_bench_takes_a_closed_form(capsys):
    result = ran(capsys, "bench", "gmm:d=2", "--steps", "1", "--rounds", "1", "--batch", "1", "--json")
    assert result.code == 0, result.err


def test_time_to_quality(capsys, stub, monkeypatch):
    monkeypatch.setattr("dtool.bench.to_quality.is_installed", lambda: False)
    monkeypatch.setattr("dtool.bench.to_quality.SETTLE", 0)
    # the best of one: what is swept by default takes long
    monkeypatch.setattr(
        "dtool.bench.to_quality.plan_within_budget",
        lambda net, budget, _: [dtool.plan("dpmpp-2m", steps=budget.most, network=net)],
    )
    arguments = ("bench", "--to-quality", "--calls", 3, "--entrant", "unipc", "--batch", 2, "--rounds", 1)
    found = json.loads(ran(capsys, *arguments, "--json", "-q").out)
    assert (found["recipe"], found["calls"], found["images"]) == ("dpmpp-2m", 3, 2)
    result = ran(capsys, *arguments, "-o", "figures.md")
    assert result.code == 0, result.err
    assert "time to an RMSE of" in result.out
    assert "| dpmpp-2m | 3 |" in Path("figures.md").read_text(encoding="utf-8")
    failed(ran(capsys, "bench", "ddim", "--to-quality"), 2, "takes no recipe", "--entrant ddim")
    failed(ran(capsys, "bench", "--entrant", "ddim"), 2, "--entrant is of --to-quality")
    failed(ran(capsys, "bench", "--to-quality", "--batch", "1,2"), 2, "one number of images")
