"""`dtool check`."""

from __future__ import annotations

import json

import pytest

from dtool.certify import CheckResult
from tests.support.commandline import failed, ran


def _examiner(status):
    return lambda recipe: [
        CheckResult("marginals", "pass", "1e-16", f"of {recipe}"),
        CheckResult("order", status, "0.9", "declared 2"),
    ]


def test_check_prints_the_results_and_fails_if_one_fails(capsys, monkeypatch):
    monkeypatch.setattr("dtool.certify.check", _examiner("pass"))
    good = ran(capsys, "check", "ddim")
    assert good.code == 0
    assert "marginals  pass" in good.out
    assert "2 passed" in good.err
    monkeypatch.setattr("dtool.certify.check", _examiner("fail"))
    bad = ran(capsys, "check", "ddim", "--json")
    assert bad.code == 1
    assert json.loads(bad.out)["ddim"][1] == {
        "name": "order", "status": "fail", "figure": "0.9", "detail": "declared 2"
    }  # fmt: skip
    assert "1 passed, 1 failed" in bad.err


def test_one_bad_sampler_among_good_ones_fails(capsys, monkeypatch):
    bad, good = _examiner("fail"), _examiner("pass")
    monkeypatch.setattr("dtool.certify.check", lambda recipe: (bad if "heun" in str(recipe) else good)(recipe))
    for samplers in (("ddim", "heun"), ("heun", "ddim"), ("ddim", "heun", "euler")):
        assert ran(capsys, "check", *samplers, "--jobs", 1).code == 1
    assert ran(capsys, "check", "ddim", "euler", "--jobs", 1).code == 0


def test_check_all_examines_every_sampler(capsys, monkeypatch):
    monkeypatch.setattr("dtool.certify.check", _examiner("info"))
    found = json.loads(ran(capsys, "check", "--all", "--jobs", 1, "--json").out)
    assert {"ddpm", "ddim", "euler", "heun", "dpmpp-2m"} <= set(found)


def test_check_wants_to_know_what(capsys):
    failed(ran(capsys, "check"), 2, "which sampler", "--all")
    failed(ran(capsys, "check", "ddim", "--all"), 2, "which sampler")


def test_check_of_a_models_own_recipe(capsys, monkeypatch, tmp_path):
    """A folder means what its makers sample it with, a sampler's file the plan in it; a name goes before a file."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tokenizers")
    from tests.support.small_onnx_folder import write_small_folder

    monkeypatch.setattr("dtool.certify.check", _examiner("pass"))
    folder = write_small_folder(tmp_path / "small")
    found = ran(capsys, "check", folder)
    recipe = "ddim/leading:offset=1,compat=diffusers,end=alpha_bar_0"
    assert found.code == 0
    assert f"small is sampled with {recipe}" in " ".join(found.err.split())
    assert f"of {recipe}" in " ".join(found.out.split())
    (folder / "scheduler" / "scheduler_config.json").unlink()
    (folder / "model.dtool.json").write_text('{"schedule": "linear", "prediction": "eps"}')
    failed(ran(capsys, "check", folder), 2, "does not say what it is sampled with", "dtool check ddim")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ddim").mkdir()
    assert "of ddim" in ran(capsys, "check", "ddim").out


def test_check_of_a_built_in_really_runs(capsys):
    result = ran(capsys, "check", "ddmp")
    failed(result, 2, "there is no sampler 'ddmp'", "did you mean ddpm")
    assert ran(capsys, "check", "ddim@linear/karras").code == 0
