"""Guidance in a plan: its columns, what a row costs, and the file that it is written into."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dtool
from dtool.certify import grids, guided
from dtool.errors import DtoolError, UsageError
from dtool.guidances import Level, get_guidance
from dtool.plan.compiled_plan import FORMAT, GUIDANCE, GUIDED_FORMAT
from dtool.plan.guiding import compute_weights, count_evaluations, find_double_rows, guide

GUIDANCES = ["3@-1.3:0.3", "cfgpp:scale=0.6", "cfg-linear", "cfg:rescale=0.7", "0"]
RECIPES = ["ddim", "heun", "dpmpp-2m/karras", "ddpm", "dpmpp-2s-ancestral-cfgpp"]


@pytest.mark.parametrize("guidance", GUIDANCES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_columns_are_what_the_guidance_says_of_each_row(recipe, guidance):
    plain, bound = dtool.plan(recipe, steps=7), get_guidance(guidance)
    made = guide(plain, bound)
    for i in range(made.rows):
        level = Level(made.alpha[i], made.sigma[i], made.lam[i], i / (made.rows - 1))
        assert (made.guided[i], made.shift[i]) == bound(level)
    assert (made.guidance, made.scale, made.rescale) == (bound.token, bound.scale, bound.rescale)
    assert made.recipe == f"{plain.recipe}~{bound.token}"
    assert (made.b == plain.b).all()
    assert dtool.plan(f"{recipe}~{guidance}", steps=7) == made


def test_one_row_is_at_the_start():
    assert guide(dtool.plan("ddim", steps=1), get_guidance("cfg-linear")).guided.tolist() == [0.0]


@given(scale=st.floats(0, 20), low=st.floats(-6, 6), width=st.floats(0, 6))
def test_a_row_costs_two_where_its_scale_is_neither_none_nor_all(scale, low, width):
    made = guide(dtool.plan("ddim", steps=12), get_guidance("cfg", low=low, high=low + width))
    inside = (made.lam >= low) & (made.lam <= low + width)
    weights = compute_weights(made, scale)
    assert (weights[inside] == scale).all()
    assert (weights[~inside] == 1).all()
    assert (find_double_rows(made, scale) == inside & (scale not in (0, 1))).all()
    assert count_evaluations(made, scale) == 12 + (inside.sum() if scale not in (0, 1) else 0)


def test_what_is_compared_by_itself_costs_two_at_scale_one_too():
    made = guide(dtool.plan("ddim", steps=5), get_guidance("cfgpp"))
    assert made.compares.all()
    assert [count_evaluations(made, scale) for scale in (0.0, 0.5, 1.0)] == [5, 10, 10]
    rule = dtool.plan("dpmpp-2m-cfgpp", steps=5)
    assert rule.b_without.shape == (5, 2)
    assert rule.compares.tolist() == [True, True, True, True, False]
    assert count_evaluations(rule, 1.0) == 9


def test_what_says_its_guidance_takes_no_other():
    with pytest.raises(UsageError, match="names its guidance already"):
        guide(dtool.plan("ddim~3", steps=4), get_guidance("2"))
    with pytest.raises(UsageError, match="leads from an image to its noise"):
        guide(dtool.plan("ddim-inversion", steps=4), get_guidance("2"))


@pytest.mark.parametrize("recipe", ["ddim", "heun", "dpmpp-2m/karras", "ddpm:sigma=learned"])
def test_a_plan_that_says_nothing_of_guidance_is_written_as_before(recipe):
    made = dtool.plan(recipe, steps=6)
    fields = json.loads(made.to_json())
    assert fields["format"] == FORMAT == 2
    assert not set(GUIDANCE) & set(fields)
    assert dtool.Plan.from_json(made.to_json()).hash == made.hash
    spoken = replace(made, guided=np.ones(made.rows), shift=np.zeros(made.rows), scale=None, rescale=0.0)
    assert spoken.hash == made.hash


def test_the_fields_of_format_2_are_what_they_were():
    """Their names and their order make the hash; written down before plans knew of guidance."""
    points = [dtool.Point(0.1, 0.9), dtool.Point(0.6, 0.6), dtool.plan.CLEAN]
    made = dtool.plan.compile(dtool.get_sampler("euler"), points, prediction="x0")
    keys = [line.partition(":")[0].strip('"') for line in made.to_json().splitlines()[1:-1]]
    assert keys == [
        "format", "recipe", "sampler", "cite", "schedule", "schedule_hash", "trained_hash", "prediction", "basis",
        "init", "inverse", "t", "time", "alpha", "sigma", "c_in", "c_skip", "c_out", "m_x", "m_f", "a", "a_saved", "b",
        "c", "save", "step_end", "b_raw", "c_low",
    ]  # fmt: skip


@pytest.mark.parametrize("guidance", GUIDANCES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_format_3_gives_back_every_bit(recipe, guidance):
    made = dtool.plan(f"{recipe}~{guidance}", steps=7)
    text = made.to_json()
    assert json.loads(text)["format"] == GUIDED_FORMAT == 3
    again = dtool.Plan.from_json(text)
    assert again.to_json() == text
    for name in ("guided", "shift", "b_without"):
        assert (getattr(again, name) == getattr(made, name)).all()
    assert again.hash == made.hash != dtool.plan(recipe, steps=7).hash


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("guided", [1.0]), ("guided", [None] * 4), ("shift", ["0"] * 4), ("scale", -1.0), ("scale", "3"),
        ("rescale", 2.0),
        ("b_without", [[0.0, 1.0]] + [[0.0, 0.0]] * 3), ("guidance", 3), ("guided", [1e999] * 4),
        ("b_without", [1.0] * 4),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_in_one_place_is_refused(name, value):
    fields = json.loads(dtool.plan("ddim~3", steps=4).to_json())
    fields[name] = value
    with pytest.raises(DtoolError) as error:
        dtool.Plan.from_json(json.dumps(fields))
    assert error.value.hint


def test_a_row_of_cfgpp_is_plain_guidance_with_a_scale_that_depends_on_the_step():
    """For DDIM s/(1 - e^{-h}), h the step in λ."""
    points = (*grids.random_grid(8, 3, clean=False), dtool.plan.CLEAN)
    plan, scale = guided.make_plan(dtool.get_sampler("ddim"), get_guidance("cfgpp:scale=0.6"), points)
    h = np.diff([*plan.lam, np.inf])
    plain = replace(plan, shift=np.zeros(plan.rows), guided=(scale / -np.expm1(-h) - 1) / (scale - 1))
    x = np.linspace(-1.5, 1.5, 9)
    np.testing.assert_allclose(
        guided.run_guided(plan, scale, x), guided.run_guided(plain, scale, x), rtol=1e-9, atol=1e-9
    )


def test_more_steps_of_cfgpp_lead_nowhere():
    """While those of plain guidance do: the same starts, twice the steps."""
    x = np.linspace(-1.5, 1.5, 9)

    def moved(guidance):
        ends = [
            guided.run_guided(*guided.make_plan(dtool.get_sampler("ddim"), get_guidance(guidance), grids.by_lam(n)), x)
            for n in (100, 200, 400)
        ]
        return [float(np.abs(one - other).max()) for one, other in pairwise(ends)]

    plain, other = moved("0.6"), moved("cfgpp:scale=0.6")
    assert plain[1] < 0.6 * plain[0]
    assert other[1] > 0.02


def test_a_tilde_in_a_file_s_name_is_no_guidance(tmp_path):
    """What a plan is called holds its guidance, whatever else is in the name."""
    path = tmp_path / "~betas.npy"
    np.save(path, np.linspace(1e-4, 0.02, 50))
    made = dtool.plan(f'ddim@betas:path="{path}"~cfgpp:scale=0.6', steps=3)
    assert made.recipe.endswith('"~cfgpp:scale=0.6')
    assert dtool.plan(made.recipe, steps=3) == made
    plain = dtool.plan(f'ddim@betas:path="{path}"', steps=3)
    assert dtool.plan.guide(plain, dtool.get_guidance("cfgpp:scale=0.6")) == made
