"""Samplers of other libraries on the command line, as they are typed; and their files without the libraries."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("onnxruntime")

import dtool
from tests.bridges.test_adopt import BLOCK
from tests.support.commandline import plain_environment, ran

MULTI = "diffusers:DPMSolverMultistepScheduler"


def test_plan_prints_it_and_writes_json(capsys):
    shown = ran(capsys, "plan", f"{MULTI}:solver_order=3,use_karras_sigmas=true", "--steps", 6)
    assert shown.code == 0
    assert f"{MULTI}:solver_order=3,use_karras_sigmas=true on linear: 6 steps, 6 network calls" in shown.err
    written = ran(capsys, "plan", MULTI, "--steps", 6, "--json")
    assert dtool.Plan.from_json(written.out) == dtool.plan(MULTI, steps=6)


def test_check_examines_it(capsys):
    token = "diffusers:DDIMScheduler:timestep_spacing=linspace"
    done = ran(capsys, "check", token, "--json")
    assert done.code == 1
    results = {one["name"]: one for one in json.loads(done.out)[token]}
    assert results["adopted"]["status"] == "pass"
    assert "another level than that of x" in results["marginals"]["detail"]


def test_sample_takes_it_with_its_options_as_flags(capsys, tmp_path):
    out = tmp_path / "x.png"
    done = ran(capsys, "sample", "--recipe", "diffusers:DDIMScheduler", "--eta", 0.5, "--steps", 4, "-n", 2, "-o", out)
    assert done.code == 0, done.err
    assert "2 images, diffusers:DDIMScheduler:eta=0.5, 4 steps" in done.err
    assert out.exists()
    assert ran(capsys, "sample", "--sampler", MULTI, "--steps", 3, "-n", 1, "-o", out).code == 0


def test_compare_takes_it_as_a_recipe(capsys, tmp_path):
    out = tmp_path / "c.json"
    done = ran(capsys, "compare", "gmm:d=2", MULTI, "dpmpp-2m", "--steps", 6, "-n", 16, "-o", out)
    assert done.code == 0, done.err
    assert [entry["recipe"] for entry in json.loads(out.read_text())["entries"]] == [MULTI, "dpmpp-2m"]
    assert ran(capsys, "compare", MULTI, "ddim", "--steps", 3, "-n", 2, "-o", out).code == 0


def test_recommend_takes_it_as_a_candidate(capsys):
    done = ran(capsys, "recommend", "gmm:d=2", "--calls", 6, "--recipe", MULTI, "--recipe", "ddim", "--json")
    assert done.code == 0, done.err
    assert MULTI in {one["recipe"] for one in json.loads(done.out)["candidates"]}


def test_an_exported_file_runs_without_the_library(capsys, tmp_path):
    pytest.importorskip("onnx")
    file = tmp_path / "app.onnx"
    done = ran(
        capsys, "export", "--recipe", "diffusers:UniPCMultistepScheduler", "--steps", 4, "--no-check", "-o", file
    )
    assert done.code == 0, done.err
    code = textwrap.dedent(BLOCK) + "import sys\nfrom dtool.cli import main\nsys.exit(main(sys.argv[1:]))"

    def run(*words):
        command = [sys.executable, "-c", code, *map(str, words)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=100, env=plain_environment(), cwd=tmp_path
        )

    plain = run("sample", file, "-n", 2, "-o", tmp_path / "a.png")
    assert plain.returncode == 0, plain.stderr
    assert "diffusers:UniPCMultistepScheduler, 4 steps" in plain.stderr
    again = run("sample", file, "-n", 2, "--steps", 6, "-o", tmp_path / "b.png")
    assert again.returncode == 2
    assert "must be compiled again for that, and it was adopted from another library" in again.stderr
    missing = run("plan", MULTI)
    assert missing.returncode == 2
    assert "torch is not installed, which samplers of diffusers need" in missing.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("plan", "diffusers:DDIMSchedular"), "diffusers has no scheduler 'DDIMSchedular'"),
        (("check", "diffusers:DDIMSchedular"), "diffusers has no scheduler 'DDIMSchedular'"),
        (("check", "diffusers:DDIMScheduler", "--plot", "x.png"), "diffusers:DDIMScheduler makes its own"),
        (("sample", "--recipe", "diffusers:DDIMScheduler:etaa=1"), "diffusers:DDIMScheduler has no option 'etaa'"),
        (("compare", "diffusers:PiflowScheduler"), "each network call answers with several predictions"),
        (("plan", "diffusers:DDPMScheduler:thresholding=true"), "is not linear: x after network call 1"),
        (("plan", "diffusers:DDIMScheduler", "--points", "900,500"), "has levels of its own"),
        (("plan", "diffusers:DDIMScheduler", "--spacing", "karras"), "has levels of its own"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(capsys, tmp_path, monkeypatch, words, why):
    monkeypatch.chdir(tmp_path)
    done = ran(capsys, *words)
    assert done.code == 2
    assert why in done.err
    assert "hint: " in done.err
    assert not list(tmp_path.iterdir())
