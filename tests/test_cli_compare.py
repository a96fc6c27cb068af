"""`dtool compare`, `dtool forward` and `dtool export` as a user types them."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from commandline import failed, network, prototypes, ran
from PIL import Image

import dtool
from dtool.compare.run import SOLVED


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    net = network()
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": net)
    monkeypatch.chdir(tmp_path)
    return net


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


def test_what_the_table_s_cells_mean_is_said(capsys, monkeypatch):
    args = ["compare", "gmm:d=2", "ddim", "ddpm", "--steps", 4, "--repeats", 1, "--metrics", "energy"]
    one = ran(capsys, *args, "-n", SOLVED + 4)
    assert one.out.splitlines()[1].split()[-5:] == ["energy", "w2", "z", "of", "energy"]
    assert one.err.splitlines()[0] == f"RMSE to ODE is that of the first {SOLVED} of the {SOLVED + 4} images"
    assert "parentheses" not in one.err
    monkeypatch.setattr("dtool.compare.paired.MARGIN", 1e9)
    other = ran(capsys, *args, "-n", SOLVED)
    assert " (" in other.out.splitlines()[2]
    assert other.err.splitlines()[0].startswith("(in parentheses): cannot be judged")
    assert ran(capsys, *args, "-n", SOLVED, "-q").err == ""


def test_compare_in_json_is_only_json(capsys):
    result = ran(capsys, "compare", "ddim", "heun", "--steps", 4, "-n", 2, "--repeats", 1, "--json")
    found = json.loads(result.out)
    assert [entry["recipe"] for entry in found["entries"]] == ["ddim", "heun"]
    assert found["rmse"][0][0] == 0
    assert found["rmse"][0][1] == found["rmse"][1][0] > 0
    assert found["picture"] == "compare.png"


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
    found = json.loads(ran(capsys, "compare", "--steps", 2, "-n", 2, "--repeats", 1, "--json").out)
    assert [entry["recipe"] for entry in found["entries"]] == [
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
    found = json.loads(ran(capsys, *args, "--json").out)
    assert found["data"] == {"name": "data.npz", "count": 60}
    assert found["entries"][0]["figures"]["mmd"]["z"] is not None
    assert next(m for m in found["metrics"] if m["name"] == "agreement")["skipped"]
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


def test_every_kind_of_output(capsys, tmp_path, monkeypatch):
    pytest.importorskip("altair")
    pytest.importorskip("jinja2")
    args = ["compare", "ddim", "ddpm", "--steps", 3, "-n", 4, "--repeats", 1]
    monkeypatch.setattr(sys, "argv", ["/somewhere/dtool", *map(str, args), "-o", "a page.html"])
    result = ran(capsys, *args, "-o", "a.html", "-o", "a.json", "-o", "a.png", "-q")
    assert result.code == 0, result.err
    assert result.out.splitlines()[-3:] == ["a.png", "a.html", "a.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "a.json", "a.png"]
    made = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert made["command"] == "dtool compare ddim ddpm --steps 3 -n 4 --repeats 1 -o 'a page.html'"
    assert [e["recipe"] for e in made["entries"]] == ["ddim", "ddpm"]
    page = (tmp_path / "a.html").read_text("utf-8")
    assert "<html" in page
    assert made["verdict"].split(" (")[0] in page


def test_without_the_extra_the_page_says_what_to_install(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    args = ["compare", "ddim", "--steps", 2, "-n", 2, "--repeats", 1, "-o", "a.html"]
    failed(ran(capsys, *args), 1, "the page needs Altair and Jinja2", "dtool-diffusion[report]")
    assert list(tmp_path.iterdir()) == []


def test_a_closed_form_is_its_own_data(capsys):
    args = ["compare", "gaussian:d=2", "ddim", "heun", "--steps", "2,20", "-n", 300, "--repeats", 1, "--metrics", "mmd"]
    found = json.loads(ran(capsys, *args, "--json").out)
    assert [list(e["figures"]) for e in found["entries"]] == [["mmd", "w2"]] * 4
    assert found["picture"] is None
    coarse, fine, *_ = found["entries"]
    assert coarse["figures"]["w2"]["value"] > fine["figures"]["w2"]["value"]


def test_a_closed_form_can_be_sampled_like_any_network(capsys):
    result = ran(capsys, "sample", "gmm:d=2", "--steps", 4, "-n", 3, "--npz", "a.npz")
    assert result.code == 0, result.err
    assert np.load("a.npz")["x0"].shape == (3, 2)
    for command in (["sample", "gmm:d=2"], ["compare", "gmm:d=2", "ddim"], ["recommend", "gmm:d=2"]):
        failed(ran(capsys, *command, "--device", "cuda"), 2, "runs on numpy", "leave out")
    failed(ran(capsys, "sample", "gmm:dd=2"), 2, "gmm", "")


def test_a_limit_fails_with_3_and_against_the_past(capsys, tmp_path):
    args = ["compare", "gmm:d=2", "ddim", "-n", 200, "--repeats", 1, "--metrics", "mmd", "-q"]
    assert ran(capsys, *args, "--steps", 20, "-o", "old.json", "--fail-if", "mmd>9").code == 0
    same = [*args, "--steps", 20, "-o", "new.json", "--baseline", "old.json"]
    assert ran(capsys, *same, "--fail-if", "mmd>+1%", "--fail-if", "rmse>+1%").code == 0
    old = json.loads((tmp_path / "old.json").read_text())
    figure = old["entries"][0]["figures"]["mmd"]
    figure["value"] -= 0.1 * (figure["high"] - figure["low"])
    (tmp_path / "old.json").write_text(json.dumps(old))
    shown = [part for part in same if part != "-q"]
    chance = ran(capsys, *shown, "--fail-if", "mmd>+0")
    assert chance.code == 0
    assert "by no more than chance explains" in chance.err
    figure["value"], figure["low"], figure["high"] = (figure["value"] - by for by in (1.0, 1.1, 0.9))
    (tmp_path / "old.json").write_text(json.dumps(old))
    worse = ran(capsys, *same, "--fail-if", "mmd>+5%")
    assert worse.code == 3
    assert "ddim, 20 steps: mmd is" in worse.err
    assert (tmp_path / "new.json").exists()
    failed(ran(capsys, *args, "--steps", 5, "--baseline", "old.json", "--fail-if", "mmd>+5%"), 2, "has no mmd of these")


def test_a_limit_that_cannot_be_judged_is_told_after_what_was_found(capsys, tmp_path):
    args = ["compare", "ddpm", "--steps", 3, "-n", 4, "--repeats", 1, "-o", "a.json"]
    result = ran(capsys, *args, "--fail-if", "rmse>1", "--fail-if", "seconds>1e-9")
    assert result.code == 2
    assert (tmp_path / "a.json").exists()
    assert "ddpm" in result.out
    assert "seconds is" in result.err, "the others are judged"
    assert result.err.splitlines()[-2].startswith("error: --fail-if: no recipe has the figure 'rmse': it adds noise")
    assert result.err.splitlines()[-1].startswith("hint: ")


def test_a_baseline_of_another_number_of_images(capsys):
    args = ["compare", "gmm:d=2", "ddim", "--repeats", 1, "--steps", 4, "--metrics", "mmd,sliced-w2", "-q"]
    assert ran(capsys, *args, "-n", 60, "-o", "old.json").code == 0
    less = [*args, "-n", 50, "-o", "new.json", "--baseline", "old.json"]
    for figure in ("sliced-w2", "w2", "seconds"):
        result = ran(capsys, *less, "--fail-if", f"{figure}>+9%")
        failed(result, 2, f"{figure} depends on the number of images: 50 here, 60 in the baseline", "-n 60")
    result = ran(capsys, *less, "--fail-if", "mmd>+900%", "--fail-if", "rmse>+9%", "--fail-if", "calls>+1")
    assert result.code == 0, result.err


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


def test_metrics_are_listed(capsys):
    assert ran(capsys, "metrics").out.splitlines()[1].startswith("mmd")


def _photo(path, size=(300, 200)):
    gradient = np.linspace(0, 255, size[0] * size[1] * 3).reshape(size[1], size[0], 3).astype(np.uint8)
    Image.fromarray(gradient).save(path)


def test_forward_draws_a_row_a_schedule(capsys):
    _photo("photo.png")
    found = json.loads(ran(capsys, "forward", "photo.png", "--json").out)
    assert found["schedulers"][:6] == ["linear", "scaled-linear", "cosine", "sigmoid", "sigmoid-beta", "vp"]
    assert {"flow", "edm", "trigflow"} <= set(found["schedulers"])
    with Image.open("forward.png") as every:
        assert every.width > 9 * 128
        assert every.height > 6 * 85
    assert ran(capsys, "forward", "photo.png", "--scheduler", "cosine", "--steps", 4, "-o", "one.png").code == 0
    with Image.open("one.png") as one:
        assert one.width < every.width
        assert one.height < every.height / 3


def test_forward_of_a_digit_is_a_sample_of_the_package_s_network(capsys):
    assert ran(capsys, "forward", "digit", "--scheduler", "linear").out == "forward.png\n"


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


def test_export_refuses_what_is_no_checkpoint(capsys, tmp_path):
    failed(ran(capsys, "export", "model.txt"), 2, "model.txt: not a checkpoint", ".safetensors")
    failed(ran(capsys, "export", "model.onnx"), 1, "no file model.onnx")
    failed(ran(capsys, "export", "model.pt", "-o", "model.txt"), 2, "an export is an ONNX file", ".onnx")
    failed(ran(capsys, "export", "missing.pt"), 1, "missing.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_metric_that_too_few_images_have_is_refused_before_they_are_drawn(capsys, monkeypatch):
    from dtool.compare import drawing

    monkeypatch.setattr(drawing, "sample", lambda *_, **__: pytest.fail("drawn"))
    result = ran(capsys, "compare", "ddim", "--steps", 2, "-n", 6, "--metrics", "fd")
    failed(result, 2, "fd: n=6 is too few for 12 features: use -n 48", "--metrics")
