"""The commands that print tables: plan, samplers, schedulers, spacings, check, plugins, env."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from commandline import failed, ran
from PIL import Image

import dtool
from dtool.cli import plot, schedulers
from dtool.cli.output import Column, number, plain_table
from dtool.machine import gpus
from dtool.plan import Plan
from dtool.schedulers import schedule
from dtool.testing import CheckResult


def test_plan_as_json_is_the_plan(capsys):
    result = ran(capsys, "plan", "dpmpp-2m@cosine/karras", "--steps", 7, "--json", "-q")
    assert Plan.from_json(result.out) == dtool.plan("dpmpp-2m@cosine/karras", steps=7)


def test_plan_as_a_table_has_a_line_a_network_call(capsys):
    result = ran(capsys, "plan", "heun", "--steps", 4)
    lines = result.out.splitlines()
    assert lines[0].split() == ["row", "time", "alpha", "sigma", "a", "b0", "b1", "c"]
    assert len(lines) == 1 + dtool.plan("heun", steps=4).rows
    assert sum("the step goes on" in line for line in lines) == 3
    assert "4 steps, 7 network calls, no noise" in result.err


def test_plan_on_your_own_times(capsys):
    result = ran(capsys, "plan", "ddim:eta=0.5", "--points", "999,500,10", "--scheduler", "cosine", "--json")
    made = Plan.from_json(result.out)
    assert made.t.tolist() == [999, 500, 10]
    assert made.schedule == "cosine"
    assert made == dtool.plan("ddim:eta=0.5@cosine", points=[999, 500, 10])


def test_quiet_says_nothing_but_the_data(capsys):
    assert ran(capsys, "plan", "ddpm", "--steps", 3, "-q").err == ""


@pytest.mark.parametrize("kind", ["samplers", "schedulers", "spacings"])
def test_lists_have_every_name_and_the_same_in_json(capsys, kind):
    table = ran(capsys, kind).out
    found = json.loads(ran(capsys, kind, "--json").out)
    from dtool.plugins.registry import registry

    assert sorted(item["name"] for item in found) == sorted(entry.name for entry in getattr(registry(), kind))
    for item in found:
        assert item["name"] in table
        assert item["summary"]
        assert item["provider"]["version"]
        assert all(option["help"] for option in item["options"].values())


def test_one_sampler_in_full(capsys):
    text = ran(capsys, "samplers", "ddpm").out
    assert "beta | tilde | none" in text
    assert "arXiv:2006.11239" in text
    found = json.loads(ran(capsys, "samplers", "ddim", "--json").out)
    assert found["options"]["eta"]["default"] == 0
    assert "network call" in found["doc"]


def test_one_schedule_in_full_has_its_figures(capsys):
    found = json.loads(ran(capsys, "schedulers", "linear:T=100", "--json").out)
    assert found["as a token"] == "linear:T=100"
    assert json.loads(ran(capsys, "schedulers", "betas", "--json").out)["options"]["path"]["required"]


def test_the_schedules_are_drawn(capsys, tmp_path):
    path = tmp_path / "s.png"
    result = ran(capsys, "schedulers", "--plot", path, "--recipe", "ddim/karras", "--steps", 6)
    assert (result.code, result.out) == (0, f"{path}\n")
    plain = tmp_path / "plain.png"
    ran(capsys, "schedulers", "--plot", plain)
    with Image.open(path) as with_dots, Image.open(plain) as without:
        assert with_dots.width == without.width > 900
        assert len(with_dots.getcolors(1 << 20)) > 50
        assert np.asarray(with_dots.crop((0, 70, 400, 300))).std() > 0


def test_a_schedule_without_signal_can_be_drawn(capsys, tmp_path):
    assert ran(capsys, "schedulers", "cosine:zero_snr=true", "--plot", tmp_path / "s.png").code == 0


def test_a_plan_is_drawn(capsys, tmp_path):
    path = tmp_path / "plan.png"
    result = ran(capsys, "plan", "heun/karras", "--steps", 5, "--plot", path)
    assert f"drawn into {path}" in result.err
    with Image.open(path) as picture:
        assert picture.format == "PNG"


def test_a_picture_is_named_as_one(capsys, tmp_path):
    for words in ("schedulers", "plan ddim", "check ddim"):
        failed(ran(capsys, *words.split(), "--plot", tmp_path / "x.txt"), 2, "the picture is a PNG", "end its name")
    assert not list(tmp_path.iterdir())


def test_no_two_schedules_are_drawn_alike(monkeypatch):
    drawn = []
    monkeypatch.setattr(plot, "figure", lambda panels, *_, **__: drawn.extend(panels))
    schedulers._picture({f"s{i}": schedule("linear") for i in range(20)}, None, 10)
    for panel in drawn:
        assert len({(line.colour, line.dash) for line in panel.lines}) == 20


def test_what_to_mark_without_a_picture_is_refused(capsys):
    failed(ran(capsys, "schedulers", "--steps", 5), 2, "what to mark", "--plot")


def test_an_unwritable_plot_is_refused_before_anything_is_made(capsys, tmp_path):
    for command in (["plan", "ddim"], ["schedulers"]):
        failed(ran(capsys, *command, "--plot", tmp_path / "no" / "s.png"), 1, "can't be written", "folder")
    failed(ran(capsys, "plan", "ddim", "--plot", tmp_path), 1, "is a folder")


def _examiner(status):
    return lambda recipe: [
        CheckResult("marginals", "pass", "1e-16", f"of {recipe}"),
        CheckResult("order", status, "0.9", "declared 2"),
    ]


def test_check_prints_the_results_and_fails_if_one_fails(capsys, monkeypatch):
    monkeypatch.setattr("dtool.testing.check", _examiner("pass"))
    good = ran(capsys, "check", "ddim")
    assert good.code == 0
    assert "marginals  pass" in good.out
    assert "2 passed" in good.err
    monkeypatch.setattr("dtool.testing.check", _examiner("fail"))
    bad = ran(capsys, "check", "ddim", "--json")
    assert bad.code == 1
    assert json.loads(bad.out)["ddim"][1] == {
        "name": "order", "status": "fail", "figure": "0.9", "detail": "declared 2"
    }  # fmt: skip
    assert "1 passed, 1 failed" in bad.err


def test_check_all_examines_every_sampler(capsys, monkeypatch):
    monkeypatch.setattr("dtool.testing.check", _examiner("info"))
    found = json.loads(ran(capsys, "check", "--all", "--jobs", 1, "--json").out)
    assert {"ddpm", "ddim", "euler", "heun", "dpmpp-2m"} <= set(found)


def test_check_wants_to_know_what(capsys):
    failed(ran(capsys, "check"), 2, "which sampler", "--all")
    failed(ran(capsys, "check", "ddim", "--all"), 2, "which sampler")


def test_check_of_a_built_in_really_runs(capsys):
    result = ran(capsys, "check", "ddmp")
    failed(result, 2, "there is no sampler 'ddmp'", "did you mean ddpm")
    assert ran(capsys, "check", "ddim@linear/karras").code == 0


def test_plugins_lists_the_built_in_ones(capsys):
    found = json.loads(ran(capsys, "plugins", "--json").out)
    assert found[0]["name"] == "dtool"
    assert "ddpm" in found[0]["offers"]["samplers"]
    assert "ddpm" in ran(capsys, "plugins").out


def test_env_names_versions(capsys):
    found = json.loads(ran(capsys, "env", "--json").out)
    assert found["dtool"] == dtool.__version__
    assert found["packages"]["numpy"] == np.__version__
    assert found["cores"] >= 1
    assert f"numpy            {np.__version__}" in ran(capsys, "env").out


def test_env_names_gpus_as_the_benchmarks_do(capsys, monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA X, 100 MiB, 555.1'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert json.loads(ran(capsys, "env", "--json").out)["gpus"] == list(gpus()) == ["NVIDIA X, 100 MiB, driver 555.1"]
    assert "NVIDIA X, 100 MiB, driver 555.1" in ran(capsys, "env").out


def test_a_plain_table_is_aligned_and_never_cut():
    columns = [Column("name"), Column("figure", number=True)]
    lines = plain_table(columns, [["x̄" + "y" * 200, "1"], ["b", "22"]])
    assert lines[1].endswith("y       1")
    assert len({len(line) for line in lines[:1] + lines[2:]}) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (1.23456, "1.23"),
        (1234.5, "1234"),
        (2e-5, "2.00e-05"),
        (-0.5, "-0.5"),
        (3e7, "3.00e+07"),
    ],
)
def test_numbers_are_short(value, text):
    assert number(value) == text
