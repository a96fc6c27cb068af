"""`dtool plan`."""

from __future__ import annotations

from PIL import Image

import dtool
from dtool.plan import Plan
from tests.support.commandline import ran


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


def test_a_plan_is_drawn(capsys, tmp_path):
    path = tmp_path / "plan.png"
    result = ran(capsys, "plan", "heun/karras", "--steps", 5, "--plot", path)
    assert f"drawn into {path}" in result.err
    with Image.open(path) as picture:
        assert picture.format == "PNG"


def test_a_plan_with_guidance_says_which_rows_and_how_many_evaluations(capsys):
    result = ran(capsys, "plan", "ddim~3@-1.3:0.3", "--steps", 8)
    lines = [line.split() for line in result.out.splitlines()]
    place = lines[0].index("guided")
    assert [line[place] for line in lines[1:]] == ["0", "0", "0", "0", "1", "1", "1", "0"]
    assert "shift" not in lines[0]
    assert "8 network calls (11 evaluations)" in result.err
    assert "shift" in ran(capsys, "plan", "ddim~cfgpp:scale=0.6", "--steps", 2).out
    assert "(5 evaluations with the network's scale" in ran(capsys, "plan", "ddim~cfg-cosine", "--steps", 3).err
    assert "evaluations" not in ran(capsys, "plan", "ddim", "--steps", 2).err
