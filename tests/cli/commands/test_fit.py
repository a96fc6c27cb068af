"""`dtool fit` as a user types it, and what the other commands make of its file."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dtool
from dtool.cli.commands import fit as command
from dtool.cli.show.fit import show_plan
from dtool.fit import run
from dtool.targets import target
from tests.support.commandline import failed, ran
from tests.support.fitted_plans import make_plan, write_plan

NOISES = ("--noises", "16,12,16")


def test_a_plan_is_fitted_shown_and_run_by_the_other_commands(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = ran(capsys, "fit", "gmm:d=2", "--calls", 2, *NOISES, "-o", "two.json")
    assert shown.code == 0, shown.err
    assert "this plan (path)" in shown.out
    assert "two.json" in shown.out
    assert "held-out noises" in shown.err
    assert "floor of this last row" in shown.err
    plan = dtool.plan("two.json")
    assert (plan.rows, plan.fit.noises) == (2, (16, 12, 16))
    drawn = ran(capsys, "sample", "gmm:d=2", "--recipe", "two.json", "-n", 3, "--npz", "a.npz")
    assert drawn.code == 0, drawn.err
    with np.load("a.npz") as arrays:
        own = dtool.sample(target("gmm:d=2").network(), plan, n=3).x0
        assert any(np.array_equal(arrays[name], own) for name in arrays.files)
    compared = json.loads(
        ran(capsys, "compare", "gmm:d=2", "two.json", "ddim", "--steps", "2,3", "-n", 8, "--json", "-o", "c.json").out
    )
    entries = {entry["name"]: entry for entry in compared["entries"]}
    assert [entry["calls"] for entry in compared["entries"]] == [2, 2, 3]
    assert entries["two.json"]["solver"]["rmse"] < entries["ddim"]["solver"]["rmse"]
    assert ran(capsys, "plan", "two.json", "--json").out == plan.to_json()
    failed(ran(capsys, "sample", "gmm:d=2,k=5", "--recipe", "two.json"), 2, "another network", "force=true")
    forced = ran(capsys, "sample", "gmm:d=2,k=5", "--recipe", "two.json:force=true", "-n", 2, "--npz", "b.npz")
    assert forced.code == 0, forced.err


def test_several_budgets_are_several_files_and_may_share_their_times(capsys, tmp_path):
    out = tmp_path / "fits.json"
    words = ("fit", "gmm:d=2", "--calls", "1,3", *NOISES, "--no-judge", "--minutes", 0, "--shared-times", "-o", out)
    shown = ran(capsys, *words, "--json")
    assert shown.code == 0, shown.err
    assert len(json.loads(shown.out)) == 2
    one, three = (dtool.plan(str(tmp_path / f"fits-{n}.json")) for n in (1, 3))
    assert np.abs(three.lam - one.lam[0]).min() < 1e-9


def test_interrupted_the_best_so_far_is_whole_and_is_gone_on_from(capsys, tmp_path, monkeypatch):
    out = tmp_path / "three.json"

    class Interrupted(run.Refinement):
        def _iterate_steps(self, found, damping):
            raise KeyboardInterrupt

    words = ("fit", "gmm:d=2", "--calls", 3, *NOISES, "--no-judge", "-o", out)
    with monkeypatch.context() as patched:
        patched.setattr(run, "Refinement", Interrupted)
        assert ran(capsys, *words).code == 130
    before = dtool.plan(str(out))
    assert before.fit.stage == "times"
    resumed = ran(capsys, *words, "--resume")
    assert resumed.code == 0, resumed.err
    after = dtool.plan(str(out))
    assert after.fit.validation <= before.fit.validation
    assert [path.name for path in tmp_path.iterdir()] == ["three.json"]


def test_bad_words_are_refused_before_any_work(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed(ran(capsys, "fit"), 2, "a budget is a number of calls or of milliseconds", "--calls 5")
    failed(ran(capsys, "fit", "--calls", 3, "--ms", 3), 2, "a budget is", "--ms 40")
    failed(ran(capsys, "fit", "--calls", "3,x"), 2, "--calls 3,x", "10,20,50")
    failed(ran(capsys, "fit", "--calls", 40), 2, "--calls 40 is no budget", "1 to 32")
    failed(ran(capsys, "fit", "gmm:d=2", "--ms", "nan"), 2, "is not a time", "40")
    failed(ran(capsys, "fit", "gmm:d=2", "--calls", 2, "--noises", "3,4"), 2, "--noises 3,4", "96,64,128")
    failed(ran(capsys, "fit", "gmm:d=2", "--calls", 2, "--basis", "v"), 2, "--basis v", "eps or x0")
    failed(ran(capsys, "fit", "gmm:d=2", "--calls", 2, "-o", "a.png"), 2, "a plan is JSON", ".json")
    failed(ran(capsys, "fit", "gmm:d=2", "--calls", 2, "--resume"), 2, "there is no plan in fit-2.json", "--resume")
    failed(ran(capsys, "fit", "gmm:d=2", "--calls", 2, "--shared-times"), 2, "several budgets", "--calls 4,6,8")
    failed(ran(capsys, "fit", "gmm:d=2", "--calls", 2, "--guidance", 3), 2, "guidance needs a conditional", "leave out")
    (tmp_path / "fit-2.json").write_text("{}")
    failed(ran(capsys, "fit", "gmm:d=2", "--calls", 2), 2, "fit-2.json exists, and is no plan", "-o")
    assert (tmp_path / "fit-2.json").read_text() == "{}"


def test_what_is_shown_of_a_plan(capsys):
    net = target("gmm:d=2").network()
    show_plan(make_plan(net), False)
    printed = capsys.readouterr()
    assert "0.625" in printed.out or "0.630 [0.500, 0.700]" in printed.out
    assert "the solution is itself off by 2.0e-03" in printed.err
    show_plan(make_plan(net, held_out=None), True)
    assert "on the noises that stopped the fit" in capsys.readouterr().out


def test_files_are_read_and_named(tmp_path):
    assert command.name_files(None, [3, 5])[5].name == "fit-5.json"
    assert command.name_files(tmp_path / "a.json", [3])[3] == tmp_path / "a.json"
    net = target("gmm:d=2").network()
    plan = make_plan(net)
    path = tmp_path / "plan.json"
    write_plan(path, plan)
    assert command.read_plan(path) == plan
    with pytest.raises(dtool.UsageError):
        command.parse_noises("1,2,3")
