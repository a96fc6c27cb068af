"""`dtool compare --fail-if`, alone and against an earlier comparison."""

from __future__ import annotations

import json

import pytest

from tests.support.commandline import failed, network, ran, use_network


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


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


@pytest.mark.parametrize(
    ("limits", "code"), [(("calls>2", "calls>9"), 3), (("calls>9", "calls>2"), 3), (("calls>9", "calls<1"), 0)]
)
def test_of_several_limits_each_can_fail(capsys, limits, code):
    args = ["compare", "ddim", "--steps", 3, "-n", 4, "--repeats", 1, "--no-solver", "-q"]
    assert ran(capsys, *args, *(word for limit in limits for word in ("--fail-if", limit))).code == code


def test_a_baseline_of_another_number_of_images(capsys):
    args = ["compare", "gmm:d=2", "ddim", "--repeats", 1, "--steps", 4, "--metrics", "mmd,sliced-w2", "-q"]
    assert ran(capsys, *args, "-n", 60, "-o", "old.json").code == 0
    less = [*args, "-n", 50, "-o", "new.json", "--baseline", "old.json"]
    for figure in ("sliced-w2", "w2", "seconds"):
        result = ran(capsys, *less, "--fail-if", f"{figure}>+9%")
        failed(result, 2, f"{figure} depends on the number of images: 50 here, 60 in the baseline", "-n 60")
    result = ran(capsys, *less, "--fail-if", "mmd>+900%", "--fail-if", "rmse>+9%", "--fail-if", "calls>+1")
    assert result.code == 0, result.err
