"""`dtool compare` as a user types it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.support.commandline import failed, network, prototypes, ran, use_network


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


RECIPES = ["ddpm:sigma=beta", "ddpm:sigma=tilde", "ddpm:sigma=none", "ddim", "dpmpp-2m@cosine/karras"]


def test_the_command_of_the_documentation(capsys, tmp_path):
    result = ran(capsys, "compare", *RECIPES, "--steps", "3,6", "-n", 4, "--repeats", 1)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[1].split() == ["#", "recipe", "steps", "calls", "seconds", "images/s", "RMSE", "to", "ODE"]
    assert [line.split()[1:4] for line in lines[2:12]] == [[r, s, s] for r in RECIPES for s in ("3", "6")]
    assert lines[-1] == "compare.png"
    assert lines[13].startswith("root mean square difference")
    assert "is nearest to the solution of the ODE" in lines[-2]
    assert "it adds noise" in result.err
    assert "n=4 is too few for 12 features: use -n 48" in result.err
    assert [p.name for p in tmp_path.iterdir()] == ["compare.png"]
    with Image.open("compare.png") as picture:
        assert picture.height > 10 * 50


def test_compare_in_json_is_only_json(capsys):
    result = ran(capsys, "compare", "ddim", "heun", "--steps", 4, "-n", 2, "--repeats", 1, "--json")
    document = json.loads(result.out)
    assert [entry["recipe"] for entry in document["entries"]] == ["ddim", "heun"]
    assert document["rmse"][0][0] == 0
    assert document["rmse"][0][1] == document["rmse"][1][0] > 0
    assert document["picture"] == "compare.png"


def test_noise_of_one_path(capsys):
    result = ran(capsys, "compare", "ddpm", "--steps", "3", "-n", 2, "--repeats", 1, "--json", "--noise", "path")
    assert json.loads(result.out)["noise"] == "path"
    failed(ran(capsys, "compare", "ddpm", "--steps", 3, "--noise", "brownian"), 2, "neither path nor rows")


def test_the_first_word_may_be_a_network(capsys, monkeypatch, tmp_path):
    (tmp_path / "own_networks.py").write_text(
        "import dtool\n\ndef make():\n    return dtool.network(lambda x, t: 0 * x, shape=(1, 5, 5))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    result = ran(capsys, "compare", "own_networks:make", "ddim", "--steps", 2, "-n", 2, "--repeats", 1, "--json")
    assert json.loads(result.out)["shape"] == [1, 5, 5]
    assert json.loads(result.out)["data"] is None
    assert ran(capsys, "sample", "own_networks:make", "--steps", 2).out == "samples.png\n"


def test_without_recipes_the_usual_ones_are_compared(capsys):
    document = json.loads(ran(capsys, "compare", "--steps", 2, "-n", 2, "--repeats", 1, "--json").out)
    assert [entry["recipe"] for entry in document["entries"]] == [
        "ddpm",
        "ddim",
        "heun",
        "dpmpp-2m",
        "unipc",
        "dpmpp-2m-sde",
    ]


def test_quality_is_measured_against_the_data_that_are_given(capsys):
    images = np.concatenate([prototypes(3)] * 20) + 0.1 * np.random.default_rng(0).standard_normal((60, 1, 12, 10))
    np.savez("data.npz", x=(images.clip(-1, 1) * 127.5 + 127.5).astype(np.uint8))
    args = ["compare", "ddim", "--steps", 4, "-n", 30, "--repeats", 1, "--data", "data.npz"]
    document = json.loads(ran(capsys, *args, "--json").out)
    assert document["data"] == {"name": "data.npz", "count": 60}
    assert document["entries"][0]["figures"]["mmd"]["z"] is not None
    assert next(m for m in document["metrics"] if m["name"] == "agreement")["skipped"]
    only = json.loads(ran(capsys, *args, "--metrics", "energy,recall:k=3", "--json").out)
    assert list(only["entries"][0]["figures"]) == ["energy", "recall:k=3"]
    np.savez("other.npz", x=np.zeros((5, 8, 8), np.uint8))
    failed(ran(capsys, *args[:-1], "other.npz"), 2, "holds images of shape (1, 8, 8), the network draws (1, 12, 10)")


@pytest.mark.parametrize(
    ("args", "code", "cause", "hint"),
    [
        (["ddmp"], 2, "there is no sampler 'ddmp'", "did you mean ddpm"),
        (["missing.pt", "ddim"], 1, "there is no file missing.pt", ""),
        (["ddim", "--steps", "0"], 2, "--steps 0: not a list of whole numbers from 1", "10,20,50"),
        (["ddim", "--steps", "10,x"], 2, "--steps 10,x", "10,20,50"),
        (["ddim", "--steps", "2000"], 2, "2000 steps cannot be had", "1 to 1000"),
        (["ddim", "-n", "0"], 2, "'-n'", ""),
        (["ddim", "-o", "no/folder.png"], 1, "can't be written", "folder"),
        (["ddim", "-o", "compare.pdf"], 2, "compare.pdf: not a kind of output", ".html"),
        (["ddim", "-o", "a.png", "-o", "b.png"], 2, "a.png and b.png are both png", "one of each kind"),
        (["ddim", "--metrics", "foo"], 2, "there is no metric 'foo'", "dtool metrics"),
        (["ddim", "--metrics", "mmd"], 2, "the metrics mmd need real images", "--data"),
        (["gmm:d=2", "ddim", "--metrics", "mdd"], 2, "there is no metric 'mdd'", "mmd"),
        (["gmm:dd=2", "ddim"], 2, "gmm", ""),
        (["ddim", "--budget", "2x"], 2, "--budget 2x: not a time", "2m"),
        (["ddim", "--budget", "2m", "-n", "5"], 2, "both n and a budget", ""),
        (["ddim", "--fail-if", "fd"], 2, "--fail-if 'fd' is no limit", "fd>+5%"),
        (["ddim", "--fail-if", "fd>+5%"], 2, "is a change", "--baseline"),
        (["ddim", "--fail-if", "nosuch>5"], 2, "there is no figure 'nosuch'", "seconds"),
        (["ddim", "--fail-if", "mmd>5"], 2, "there is no figure 'mmd'", "--data"),
        (["ddim", "--no-solver", "--fail-if", "rmse>5"], 2, "there is no figure 'rmse'", "--no-solver"),
        (
            ["gmm:d=2", "ddim", "--metrics", "energy", "--fail-if", "mmd>5"],
            2,
            "no figure 'mmd'",
            "--metrics energy,mmd",
        ),
        (["ddim", "--classifier", "missing.onnx"], 2, "--classifier missing.onnx has no real images", "--data"),
        (["gmm:d=2", "ddim", "--classifier", "missing.onnx"], 2, "has no real images", "--data"),
        (["ddim", "-n", "nan"], 2, "'-n'", ""),
        (["ddim", "--budget", "nan"], 2, "--budget nan: not a time", "2m"),
        (["ddim", "--steps", "inf"], 2, "--steps inf: not a list", "10,20,50"),
        (["ddim", "--baseline", "old.json"], 1, "cannot read old.json", ""),
        (["ddim", "--data", "nowhere"], 1, "nowhere: there is no such file or folder", ""),
        (["ddim", "--repeats", "0"], 2, "'--repeats'", ""),
        (["ddim", "--sigma", "beta"], 2, "dtool compare has no option --sigma", ""),
    ],
)
def test_what_cannot_be_compared_is_refused_and_nothing_is_written(capsys, tmp_path, args, code, cause, hint):
    failed(ran(capsys, "compare", *args), code, cause, hint)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_form_is_its_own_data(capsys):
    args = ["compare", "gaussian:d=2", "ddim", "heun", "--steps", "2,20", "-n", 300, "--repeats", 1, "--metrics", "mmd"]
    document = json.loads(ran(capsys, *args, "--json").out)
    assert [list(e["figures"]) for e in document["entries"]] == [["mmd", "w2"]] * 4
    assert document["picture"] is None
    coarse, fine, *_ = document["entries"]
    assert coarse["figures"]["w2"]["value"] > fine["figures"]["w2"]["value"]


def test_a_closed_form_can_be_sampled_like_any_network(capsys):
    result = ran(capsys, "sample", "gmm:d=2", "--steps", 4, "-n", 3, "--npz", "a.npz")
    assert result.code == 0, result.err
    assert np.load("a.npz")["x0"].shape == (3, 2)
    for command in (["sample", "gmm:d=2"], ["compare", "gmm:d=2", "ddim"], ["recommend", "gmm:d=2"]):
        failed(ran(capsys, *command, "--device", "cuda"), 2, "runs on numpy", "leave out")
    failed(ran(capsys, "sample", "gmm:dd=2"), 2, "gmm", "")


def test_ctrl_c_keeps_what_was_drawn(capsys, tmp_path, monkeypatch):
    from dtool.compare import drawing

    whole, runs = drawing.sample, []

    def interrupted(*args, **options):
        runs.append(options["ids"])
        if len(runs) == 5:
            raise KeyboardInterrupt
        return whole(*args, **options)

    args = ["compare", "ddim", "ddpm", "--steps", 3, "-n", 300, "--repeats", 1, "--no-solver", "-o", "a.json"]
    monkeypatch.setattr(drawing, "sample", interrupted)
    result = ran(capsys, *args)
    assert result.code == 130
    assert "the same command goes on from there" in result.err
    assert [p.name for p in tmp_path.iterdir()] == [".a.parts"]
    runs[:] = [range(1)] * 10
    assert ran(capsys, *args).code == 0
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    starts = [ids[0] for ids in runs[10:]]
    assert starts[:3] == [0, 0, 144], "timing, timing, and on from what was kept"


def test_a_metric_that_too_few_images_have_is_refused_before_they_are_drawn(capsys, monkeypatch):
    from dtool.compare import drawing

    monkeypatch.setattr(drawing, "sample", lambda *_, **__: pytest.fail("drawn"))
    result = ran(capsys, "compare", "ddim", "--steps", 2, "-n", 6, "--metrics", "fd")
    failed(result, 2, "fd: n=6 is too few for 12 features: use -n 48", "--metrics")


def test_several_guidances_are_rows_and_a_baseline_of_another_is_told(capsys, tmp_path):
    words = ("compare", "digits-gmm", "ddim", "--steps", 6, "-n", 2, "--repeats", 1, "--no-solver")
    old = tmp_path / "old.json"
    first = ran(capsys, *words, "--guidance", 1, "--guidance", "3@-2:0", "-o", old)
    assert first.code == 0, first.err
    entries = json.loads(old.read_text())["entries"]
    assert [(e["name"], e["scale"], e["calls"]) for e in entries] == [("ddim~1", 1.0, 6), ("ddim~3@-2:0", 3.0, 6)]
    assert entries[0]["evaluations"] == 6 < entries[1]["evaluations"] < 12
    head = next(line for line in first.out.splitlines() if "evaluations" in line)
    assert head.split()[:5] == ["#", "recipe", "guidance", "steps", "calls"]
    told = ran(capsys, *words, "--guidance", 3, "--baseline", old, "-o", tmp_path / "new.json")
    assert "the baseline's guidance is none and 3@-2:0, not 3: they are not compared" in " ".join(told.err.split())
    same = ran(capsys, *words, "--guidance", "3@-2:0", "--baseline", old, "-o", tmp_path / "same.json")
    assert "not compared" not in same.err
    gate = ("--fail-if", "calls>+0", "--baseline", old, "-o", tmp_path / "gate.json")
    failed(ran(capsys, *words, "--guidance", 3, *gate), 2, "the baseline has no calls", "guidance")
