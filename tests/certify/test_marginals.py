"""Certificate 1: with x0 held constant, every network input is N(α·x0, σ²). By code of its own."""

import numpy as np
import pytest

import dtool
from dtool.certify import grids
from dtool.certify.marginals import deviation
from dtool.plan import compile as compile_plan
from dtool.plan import grid
from dtool.samplers import get_sampler
from dtool.schedulers import get_scheduler
from dtool.spacings import get_spacing
from tests.support.rules import (
    configurations,
    dpmpp_3m,
    dpmpp_sde,
    examined,
    keeps_marginals,
    predictor_corrector,
    wrong_level,
    wrong_stage,
)

OWN = [dpmpp_3m(2), predictor_corrector, dpmpp_sde]


def coefficients(plan):
    """What each network input and the end are made of: rows of coefficients of x0, of the first noise, of each z."""
    size = plan.rows + 2
    x = np.zeros(size)
    x[0], x[1] = plan.alpha[0], plan.sigma[0]
    image = np.eye(size)[0]
    saved, history, inputs = None, [], [x]
    for i in range(plan.rows):
        if plan.save[i]:
            saved = x
        m = image if plan.images[i] else (x - plan.alpha[i] * image) / plan.sigma[i]
        history.insert(0, m)
        x = plan.a[i] * x + sum(b * h for b, h in zip(plan.b[i], history, strict=False))
        if plan.a_saved[i]:
            x = x + plan.a_saved[i] * saved
        x = x + plan.c[i] * np.eye(size)[i + 2]
        inputs.append(x)
    return np.array(inputs)


def measured(rule, points):
    """(largest error of the mean, of the variance, what rounding a row's weights costs)."""
    plan = compile_plan(rule, points, prediction="x0")
    made = coefficients(plan)
    alpha, sigma = np.append(plan.alpha, points[-1].alpha), np.append(plan.sigma, points[-1].sigma)
    return (
        np.abs(made[:, 0] - alpha).max(),
        np.abs((made[:, 1:] ** 2).sum(axis=1) - sigma**2).max(),
        2e-15 * np.abs(plan.b).sum(axis=1).max(),
    )


def all_grids():
    levels = [
        get_scheduler("linear"),
        get_scheduler("cosine:T=50"),
        get_scheduler("sigmoid:zero_snr=true"),
        get_scheduler("vp:T=7"),
    ]
    for table in levels:
        for place in ("trailing", "karras"):
            for n in (1, 2, 7):
                yield grid(table, get_spacing(place), n)
    yield grid(levels[1], get_spacing("trailing"), 50)
    yield grids.two_pass_grid(12)
    for seed in range(5):
        yield grids.random_grid(11, seed, clean=seed % 2 == 0)


@pytest.mark.parametrize("token", configurations())
def test_marginals_are_kept(token):
    rule = get_sampler(token)
    errors = np.array([measured(rule, points) for points in all_grids()])
    bars = np.maximum(1e-10, errors[:, 2])
    assert (errors[:, 0] <= bars).all(), "the mean holds in every sampler, those that change the variance included"
    if keeps_marginals(token):
        assert errors[:, 1].max() <= 1e-10
    elif rule.family == "distilled":  # they jump: wrong for a mean that is no sample, right where x0 is one
        assert errors[:, 1].max() <= 1e-5
    else:
        assert errors[:, 1].max() > 0.01, "declared to leave the marginals, and does not"


@pytest.mark.parametrize("rule", OWN, ids=lambda r: r.name)
def test_marginals_of_rules_from_elsewhere(rule):
    assert max(max(measured(rule, points)[:2]) for points in all_grids()) <= 1e-10


@pytest.mark.parametrize("token", configurations())
def test_the_certificate_measures_the_same(token):
    rule = get_sampler(token)
    for points in (grids.random_grid(9, 3, clean=True), grids.by_lam(6), grids.two_pass_grid(8)):
        found = deviation(rule, points)
        assert (found.mean, found.variance) == pytest.approx(measured(rule, points)[:2], abs=1e-12)


@pytest.mark.parametrize("rule", [wrong_level, wrong_stage], ids=lambda r: r.name)
def test_a_wrong_level_is_found(rule):
    result = examined(rule, "marginals")["marginals"]
    assert result.status == "fail"
    assert deviation(rule, grids.by_lam(10)).variance > 0.01


def test_what_is_done_on_purpose_is_said():
    result = examined("ddpm:sigma=beta@linear/linspace", "marginals")["marginals"]
    assert result.status == "info"
    assert "too wide" in result.detail


def test_what_rounding_allows_ends():
    assert check_bar(1e138) == check_bar(1e10) == 1e-3
    assert check_bar(10, rounding=5e-9) == 5e-9
    assert check_bar(10, rounding=1.0) == 1e-3
    assert check_bar(10) == 1e-10


def check_bar(v, rounding=0.0):
    from dtool.certify.marginals import allowed_deviation

    return allowed_deviation((dtool.Point(1 / v, 1.0), dtool.Point(1.0, 0.0)), rounding)


def test_large_weights_are_allowed_their_rounding_and_no_more():
    points = grid(get_scheduler("linear"), get_spacing("karras"), 2)
    steep, gentle = (deviation(get_sampler(name), points) for name in ("tsitouras", "dpmpp-2m"))
    assert gentle.rounding < 1e-13
    assert 1e-10 < steep.mean < steep.rounding < 1e-7
    assert steep.variance < 1e-14
