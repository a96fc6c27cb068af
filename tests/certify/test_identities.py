"""Different names for one thing, and the coefficients that papers print."""

import dataclasses

import numpy as np
import pytest

from dtool.certify import grids, identities
from dtool.certify.grids import by_lam, random_grid
from dtool.certify.identities import rule_distance
from dtool.errors import UsageError
from dtool.plan import CLEAN, Point
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler
from dtool.samplers.claims import Same, Steps
from dtool.schedulers import get_scheduler
from tests.support.method_pairs import BAR, apart
from tests.support.multistep import SEEDS, rows_on
from tests.support.rules import examined

# Euler's method for the probability-flow ODE, and the reverse step with the posterior's noise, by other names.
EULER = [
    "ddim:eta=0",
    "unipc:order=1,corrector=false",
    "dpm-solver:order=1",
    "deis:order=1",
    "lms:order=1",
    "ipndm:order=1",
    "sa-solver:tau=0,predictor=1,corrector=0",
    "er-sde:order=1,phi=ode",
    "flow-ancestral:eta=0",
    "euler-ancestral:eta=0",
    "flow-euler",
    "gradient-estimation:gamma=1",
]
ANCESTRAL = ["ddim:eta=1", "euler-ancestral", "sa-solver:tau=1,predictor=1,corrector=0", "er-sde:order=1,phi=sde"]


def same(one, other):
    assert one.rows == other.rows
    for column in ("a", "b", "c"):
        assert getattr(one, column) == pytest.approx(getattr(other, column), abs=1e-12), column


def some_grids():
    table = get_scheduler("linear", T=200)
    alpha, sigma = table.alpha[::-1], table.sigma[::-1]
    yield (*(Point(float(a), float(s)) for a, s in zip(alpha, sigma, strict=True)), CLEAN)
    yield from (grids.random_grid(12, seed, clean=seed % 2 == 0) for seed in range(4))


# Names for one method on any grid, as the literature and the libraries have them.
SAME = [
    *(("euler", other) for other in EULER),
    *(("ddpm:sigma=tilde", other) for other in ANCESTRAL),
    ("dpmpp-2m", "unipc:order=2,variant=bh2,corrector=false"),
    ("dpm-solver-2s:r=0.5", "dpm2"),
    ("dpmpp-2m-sde:eta=0", "dpmpp-2m"),
    ("dpmpp-3m-sde:eta=0", "dpmpp-3m"),
    ("dpmpp-2m:variant=heun", "sa-solver:tau=0,predictor=2,corrector=0"),
    ("dpmpp-3m", "sa-solver:tau=0,predictor=3,corrector=0"),
    ("dpmpp-2m:variant=heun", "res-multistep"),
    ("edm-heun:churn=0,gamma=0", "heun"),
    ("edm-euler:churn=0,gamma=0", "euler"),
    ("dpm2-ancestral:eta=0", "dpm2"),
    ("dpmpp-2s-ancestral:eta=0", "dpmpp-2s"),
    ("seeds-2:eta=0", "dpmpp-2s"),
    ("seeds-3:eta=0", "dpmpp-3s"),
    ("dpm-solver:order=2", "deis:order=2,variable=logrho"),
    ("dpm-solver:order=3", "deis:order=3,variable=logrho"),
    ("lms:order=4", "deis:order=4,variable=rho"),
    ("lms:order=2", "deis:order=2,variable=rho"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_names_for_one_method(one, other):
    for points in some_grids():
        assert apart(one, other, points) < BAR


# Methods that are often taken for one another: they differ by more than rounding.
DIFFERENT = [
    ("dpmpp-2m", "dpmpp-2m:variant=heun"),
    ("unipc:order=2,variant=bh1,corrector=false", "dpmpp-2m"),
    ("ddim:eta=0.5", "dpmpp-2m-sde:eta=0.5"),
    ("dpmpp-3m", "dpmpp-3m:variant=published"),
    ("dpm-solver-2s", "dpmpp-2s"),
    ("heun", "dpm2"),
    ("dpm-solver:order=2", "dpmpp-2m"),
    ("deis:order=3,variable=t", "deis:order=3,variable=rho"),
    ("unipc:corrector=true", "unipc:corrector=false"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_methods_that_are_not_the_same(one, other):
    assert apart(one, other, grids.by_lam(10, "uneven")) > 1e-4


def claimed():
    for entry in get_registry().samplers:
        rule = entry.load()
        yield from (pytest.param(rule, claim, id=f"{rule.name}-{claim.recipe}") for claim in rule.same)


@pytest.mark.parametrize(("rule", "claim"), list(claimed()))
def test_what_a_sampler_says_of_itself_holds(rule, claim):
    """`same` of every registered sampler, under its condition."""
    for words, one, other, panel in identities.list_claims(dataclasses.replace(rule, same=(claim,))):
        for points in panel:
            assert identities.rule_distance(one, other, points) < identities.BAR, words


@pytest.mark.parametrize("false", [Same("euler", when={"eta": 0.5}), Same("heun"), Same("ddpm", when={"eta": 0})])
def test_a_false_claim_is_found(false):
    rule = dataclasses.replace(get_sampler("ddim"), same=(false,))
    assert examined(rule, "same")["same"].status == "fail"


@pytest.mark.parametrize(
    ("claim", "cause"),
    [
        (Same("nonesuch"), "there is no sampler 'nonesuch'"),
        (Same("ddpm:nonsense=1"), "no option 'nonsense'"),
        (Same("euler", when={"nonsense": 1}), "no option 'nonsense'"),
        (Same("ddim"), "that is this rule itself"),
    ],
)
def test_a_claim_that_cannot_be_examined_is_refused(claim, cause):
    with pytest.raises(UsageError, match=cause):
        list(identities.list_claims(dataclasses.replace(get_sampler("ddim"), same=(claim,))))


@pytest.mark.parametrize("steps", Steps)
def test_a_claim_about_some_grids_is_examined_on_those(steps):
    [(words, _, _, panel)] = identities.list_claims(
        dataclasses.replace(get_sampler("lms"), same=(Same("ipndm", when={"order": 4}, on=steps),))
    )
    assert words == f"lms = ipndm, {steps.value}"
    for points in panel:
        gaps = {
            Steps.EQUAL_IN_LAM: [p.lam for p in points],
            Steps.EQUAL_IN_V: [p.v for p in points],
            Steps.ONE: [0, 1] if len(points) == 2 else [0, 1, 3],
        }[steps]
        assert np.ptp(np.diff(gaps)) < 1e-12 * np.ptp(gaps)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lms", "deis:variable=rho,order=4"),
        ("lms:order=2", "deis:variable=rho,order=2"),
        ("lms", "ipndm:variable=true"),
        ("dpm-solver", "deis:variable=logrho,order=3"),
        ("dpmpp-2m-sde:eta=0", "dpmpp-2m"),
        ("dpmpp-2m-sde:eta=0,variant=heun", "dpmpp-2m:variant=heun"),
        ("dpmpp-3m-sde:eta=0,variant=published", "dpmpp-3m:variant=published"),
        ("unipc:order=2,corrector=false", "dpmpp-2m"),
        ("res-multistep", "dpmpp-2m:variant=heun"),
        ("sa-solver:tau=1,predictor=3,corrector=0", "dpmpp-3m-sde"),
        ("sa-solver:tau=1,predictor=1,corrector=0", "ddpm"),
        ("sa-solver:tau=0,predictor=3,corrector=4", "unipc:order=3"),
        *((f"{name}:order=1", "euler") for name in ("lms", "ipndm", "deis", "dpm-solver")),
        ("unipc:order=1,corrector=false", "euler"),
    ],
)
def test_two_names_for_one_multistep_method(one, other):
    """SA-Solver without noise and UniPC differ in how they start; a row later they are the same."""
    panel = [grids.random_grid(9, seed, clean=seed % 2 == 0) for seed in SEEDS]
    if "unipc:order=3" in other:
        for points in panel:
            plans = [rows_on(token, points) for token in (one, other)]
            assert plans[0].b[4:] == pytest.approx(plans[1].b[4:], rel=1e-6, abs=1e-9)
    else:
        assert max(identities.rule_distance(get_sampler(one), get_sampler(other), points) for points in panel) < 1e-9


@pytest.mark.parametrize(
    "pair", [("unipc", "unipc:variant=bh1"), ("dpmpp-2m", "dpmpp-2m:variant=heun"), ("lms", "deis")]
)
def test_two_multistep_methods_are_two(pair):
    assert identities.rule_distance(*map(get_sampler, pair), grids.random_grid(9, 1, clean=True)) > 1e-3


SAME_IN_STAGES = [
    ("euler-ancestral:eta=0", "euler"),
    ("euler-ancestral:eta=1", "ddpm"),
    ("euler-ancestral:eta=0.4", "ddim:eta=0.4"),
    ("edm-euler:churn=0", "euler"),
    ("edm-heun:churn=0", "heun"),
    ("dpm2", "dpm-solver-2s"),
    ("dpm2:power=1", "heun:alpha=0.5"),
    ("dpm2-ancestral:eta=0,power=0.5", "dpm2:power=0.5"),
    ("dpmpp-2s-ancestral:eta=0", "dpmpp-2s"),
    ("dpmpp-sde:eta=0,r=0.3", "dpmpp-2s:r=0.3"),
    ("seeds-2:eta=0,r=0.3", "dpmpp-2s:r=0.3"),
    ("seeds-3:eta=0", "dpmpp-3s"),
    ("exp-heun-2", "dpmpp-2s:r=1,weights=exact"),
    ("exp-heun-2:eta=1", "seeds-2:r=1,weights=exact"),
]  # fmt: skip


DIFFERENT_IN_STAGES = [
    ("heun", "dpm2"),
    ("dpm2", "dpmpp-2s"),
    ("dpm-solver-3s", "dpmpp-3s"),
    ("dpmpp-sde", "seeds-2"),
    ("dpm2-ancestral", "dpmpp-2s-ancestral"),
    ("dpm-solver-2s", "dpm-solver-2s:weights=exact"),
]


@pytest.mark.parametrize(("one", "other"), SAME_IN_STAGES)
def test_two_names_for_one_method_of_stages(one, other):
    for points in (by_lam(9, "uneven"), *(random_grid(7, seed, clean=seed % 2 == 0) for seed in range(3))):
        assert rule_distance(get_sampler(one), get_sampler(other), points) <= 1e-9


@pytest.mark.parametrize(("one", "other"), DIFFERENT_IN_STAGES)
def test_two_methods_of_stages_that_are_not_one(one, other):
    assert rule_distance(get_sampler(one), get_sampler(other), by_lam(9)) > 1e-4
