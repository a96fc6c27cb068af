"""Guided runs against an independent integration of the guided field, and what the examination says of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import dtool
from dtool.certify import grids, guided
from dtool.certify.laws import THREE_GAUSSIANS, UPPER_CLASS
from dtool.errors import UsageError
from dtool.guidances import get_guidance
from dtool.samplers import get_sampler
from tests.support.rules import wrong_level

GUIDED = ("guided-rows", "guided-order")


def examine(target):
    return {one.__name__: one() for one in dtool.certify.checks(target) if one.__name__ in GUIDED}


def test_the_class_is_a_part_of_the_law():
    """P(class) times the density of the class is nowhere above that of the law; means and shares agree."""
    places = np.linspace(-1, 1, 201)
    law, part = (one.cdf(places) for one in (THREE_GAUSSIANS, UPPER_CLASS))
    assert (np.diff(law) - 0.7 * np.diff(part) > -1e-15).all()
    rest = np.diff(law - 0.7 * part) / 0.3
    assert rest.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_without_and_wholly_guided_the_ode_ends_where_the_closed_form_does(weight):
    points = grids.by_lam(32)
    plan, _ = guided.make_plan(get_sampler("ddim"), get_guidance("cfg"), points)
    law = UPPER_CLASS if weight else THREE_GAUSSIANS
    x = np.linspace(-1.5, 1.5, 5) * law.std(points[0])
    end = guided.transport(plan, weight, x, points)
    np.testing.assert_allclose(end, law.transport(x, points[0], points[-1]), rtol=0, atol=1e-9)


def test_the_law_of_guided_runs_by_quadrature():
    """Mean and deviation of what is drawn, over the start's Gaussian, converge to those of the guided ODE."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    for token in ("3", "3@-1.3:0.3"):
        errors = []
        for n in (64, 128):
            points = grids.by_lam(n)
            plan, scale = guided.make_plan(get_sampler("dpmpp-2m"), get_guidance(token), points)
            start = nodes * THREE_GAUSSIANS.std(points[0])
            ends = guided.run_guided(plan, scale, start), guided.transport(plan, scale, start, points)
            moments = [(weights @ end, np.sqrt(weights @ end**2 - (weights @ end) ** 2)) for end in ends]
            errors.append(max(abs(one - other) for one, other in zip(*moments, strict=True)))
        assert errors[1] < 1e-2
        assert errors[1] < 0.62 * errors[0]


@pytest.mark.parametrize(
    ("target", "order"),
    [("ddim~3@-1.3:0.3", 1), ("heun~3", 2), ("dpmpp-2m~3", 2), ("heun~3@-1.3:0.3", 1), ("ddim~cfg-linear:scale=2", 1)],
)
def test_the_order_of_guided_runs(target, order):
    found = examine(target)
    assert [found[name].status for name in GUIDED] == ["pass", "pass"]
    assert float(found["guided-order"].figure) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("ddim~cfgpp:scale=0.6", "no limit"), ("dpmpp-2m-cfgpp", "no limit"), ("ddpm~3", "stochastic"),
        ("euler_cfg_pp", "no limit"), ("res-multistep-cfgpp:eta=1", "no limit"),
    ],
)  # fmt: skip
def test_what_has_no_order_says_why_and_its_rows_are_examined(target, why):
    found = examine(target)
    assert found["guided-rows"].status == "pass"
    assert found["guided-order"].status == "skip"
    assert why in found["guided-order"].detail


def test_a_wrong_rule_fails_when_it_is_guided():
    recipe = dtool.Recipe(wrong_level).add_guidance("3")
    assert examine(recipe)["guided-order"].status == "fail"


@pytest.mark.parametrize("name", ["shift", "b_without", "b", "a"])
def test_a_wrong_column_is_seen(monkeypatch, name):
    run = guided.run_guided

    def disturb(plan, *given):
        return run(replace(plan, **{name: 1.001 * getattr(plan, name)}), *given)

    monkeypatch.setattr(guided, "run_guided", disturb)
    target = "dpmpp-2m-cfgpp" if name == "b_without" else "dpmpp-2m~cfgpp:scale=0.6"
    assert examine(target)["guided-rows"].status == "fail"


def test_without_guidance_there_are_no_such_certificates():
    assert not [one for one in dtool.certify.checks("ddim") if one.__name__ in GUIDED]


def test_an_inversion_is_not_guided():
    with pytest.raises(UsageError, match="without guidance"):
        dtool.check("ddim-inversion~3")


def test_networks_of_a_guided_recipe_take_a_class():
    chosen = [one for one in dtool.certify.checks("ddim~cfgpp:scale=0.6") if one.__name__ in ("backends", "batch")]
    assert [one().status for one in chosen] == ["pass", "pass"]
