"""Certificates cannot be passed by accident: rules, schedules and spacings that are wrong on purpose, and must fail."""

import dataclasses
import random
from math import exp, nan

import numpy as np
import pytest

import dtool
from dtool.errors import CompileError, DtoolError, UsageError
from dtool.plan import Recipe
from dtool.plan import compile as compile_plan
from dtool.plugins.registry import registry
from dtool.samplers import sampler as named
from dtool.samplers.rule import sampler
from dtool.schedulers.schedule import from_betas, from_lam, scheduler
from dtool.schedulers.spacing import spacing
from dtool.testing import check, grids, levels, rounding
from dtool.testing import order as orders
from dtool.testing.check import checks, guarded
from dtool.testing.result import largest
from dtool.testing.slopes import settled_slope, slope_of


def euler(now, to, eps):
    return to.alpha * (now.x - now.sigma * eps) / now.alpha + to.sigma * eps


def first(now, to):
    return to.alpha * now.x0 + to.sigma * now.eps


def edge(now, to):
    return to.sigma == 0 or now.alpha == 0


def heun(now, to, *, weight: float = 0.5):
    if edge(now, to):
        return first(now, to)
    mid = yield first(now, to), to
    return first(now, to) + (to.sigma - now.sigma * to.alpha / now.alpha) * weight * (mid.eps - now.eps)


def multistep(now, to, *, factor: float = 1.0):
    """DPM-Solver++(2M), its correction times `factor`."""
    last = now.before
    if edge(now, to) or last is None or last.alpha == 0:
        return first(now, to)
    h = to.lam - now.lam
    d = (now.x0 - last.x0) * (h / (now.lam - last.lam)) / 2
    return first(now, to) + factor * to.alpha * -(exp(-h) - 1) * d


MUTANTS = {}


def mutant(*fails, **facts):
    """A rule that is wrong, and the certificates of which at least one fails for it."""

    def add(function):
        name = function.__name__.replace("_", "-")
        MUTANTS[name] = (sampler(name, **({"order": 1} | facts))(function), fails)
        return function

    return add


@mutant("marginals", "order-local")
def ignores_the_image(now, to):
    return to.alpha / now.alpha * now.x if now.alpha else to.sigma / now.sigma * now.x


@mutant("marginals")
def ignores_the_network_after_the_start(now, to):
    return first(now, to) if now.before is None else to.alpha * now.before.x0 + to.sigma * now.before.eps + 0 * now.x


@mutant("marginals")
def a_little_too_loud(now, to):
    return to.alpha * now.x0 + (1 + 1e-6) * to.sigma * now.eps


@mutant("marginals")
def noise_in_the_wrong_size(now, to, z):
    return to.alpha * now.x0 + to.sigma * (0.8 * now.eps + 0.7 * z)


@mutant("marginals")
def noise_twice(now, to, z):
    return to.alpha * now.x0 + to.sigma * 0.5**0.5 * (z + (now.before.z if now.before is not None else z))


@mutant("order-local", "order-global", order=2)
def heun_with_another_weight(now, to):
    return (yield from heun(now, to, weight=0.45))


@mutant("order-global")
def heun_that_declares_too_little(now, to):
    return (yield from heun(now, to))


@mutant("ends", order=2)
def heun_that_says_one_call(now, to):
    return (yield from heun(now, to))


@mutant("ends", calls=2)
def euler_that_says_two_calls(now, to):
    return first(now, to)


@mutant("order-local", "order-global", order=2)
def two_steps_with_the_wrong_sign(now, to):
    return multistep(now, to, factor=-1.0)


@mutant("order-local", "order-global", order=2)
def two_steps_that_keep_for_nothing(now, to):
    now.keep(anything=1.0)
    return multistep(now, to, factor=0.9)


@mutant("order-local", order=1, corrects=True)
def declares_to_correct_and_keeps_nothing(now, to):
    return first(now, to)


@mutant("order-shipped", "moments", order=2, startup_order=2)
def a_start_that_is_worse_than_it_says(now, to):
    if now.before is None:
        return to.alpha * 0.999 * now.x0 + to.sigma * now.eps
    return multistep(now, to)


@mutant("invariances")
def variance_preserving_only(now, to):
    return to.alpha * now.x0 + (1 - to.alpha**2) ** 0.5 * now.eps


@mutant("invariances", "compiled")
def other_weights_in_other_coordinates(now, to):
    if edge(now, to) or now.before is None or now.before.alpha == 0:
        return first(now, to)
    return first(now, to) + 1e-3 * now.alpha * (now.x0 - now.before.x0) * (to.lam - now.lam) ** 2


@mutant("compiled")
def by_chance(now, to):
    return first(now, to) + 1e-12 * random.random() * now.x


@mutant("ends", "marginals")
def no_number_at_the_end(now, to):
    return first(now, to) if to.sigma else nan * now.x0


@mutant("ends", "marginals")
def divides_by_zero_at_the_end(now, to):
    return to.alpha * now.x0 + to.sigma * now.eps * (now.sigma / to.sigma) * (to.sigma / now.sigma)


@mutant("same", same={"euler": ""})
def claims_to_be_euler(now, to):
    return first(now, to) if now.before is None or edge(now, to) or now.before.alpha == 0 else multistep(now, to)


@mutant("same", same={"ddim": "eta=0"})
def claims_under_a_condition(now, to, *, eta: float = 0.0):
    return to.alpha * now.x0 + (1 - 1e-6) * to.sigma * now.eps


@mutant("moments", order=0)
def an_order_of_nothing(now, to, z):
    return to.alpha * now.x0 + to.sigma * z


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_rule_fails(name):
    rule, fails = MUTANTS[name]
    found = {one.__name__: guarded(one) for one in checks(rule) if one.__name__ in fails}
    assert set(found) == set(fails)
    assert [result for result in found.values() if result.status == "fail"], found
    assert all(result.status != "info" for result in found.values())


@pytest.mark.parametrize("rule", [sampler("fine", order=2)(multistep), sampler("heun-2", order=2, calls=2)(heun)])
def test_a_right_rule_passes_them(rule):
    rule = dataclasses.replace(rule, startup_order=1) if rule.calls == 1 else rule
    assert {r.name: r for r in check(rule) if r.status == "fail" and r.name != "backends"} == {}


# Correcting later is declared


def test_keeping_a_value_loosens_no_bar():
    """Euler that keeps something and declares order 2 is asked for 3, as if it kept nothing."""

    @sampler("kept", order=2)
    def kept(now, to):
        now.keep(x=now.x)
        return first(now, to)

    found = {one.__name__: one() for one in checks(kept) if one.__name__ == "order-local"}["order-local"]
    assert found.status == "fail"
    assert "3 (its order + 1)" in found.detail


def test_who_corrects_later():
    declared = {e.name for e in registry().samplers if named(e.name).later}
    assert declared == {"unipc", "sa-solver", "dpm-fast", "dpmpp-singlestep"}
    assert not named("unipc:corrector=false").later
    assert not named("sa-solver:corrector=0").later


def test_heunpp2_meets_the_bar_of_rules_that_do_not_correct():
    """Its leading term rules late: 1.80 over 256 to 1024 steps, 1.95 over 1024 to 4096."""
    found = {one.__name__: one() for one in checks("heunpp2") if one.__name__ == "order-local"}["order-local"]
    assert found.status == "pass"
    assert "2 (its order + 1), less 0.15" in found.detail
    assert min(orders.local_slope(named("heunpp2"), shape).value for shape in grids.SHAPES) > 1.9


def test_a_slope_that_has_not_settled_is_measured_further():
    def late(n):
        return 1e-5 * (64 / n) ** 2 * (1 + 128 / n)

    assert slope_of(late).value > 2.2
    assert settled_slope(late).value == pytest.approx(2.06, abs=0.01)
    assert settled_slope(late).errors[-1][0] > slope_of(late).errors[-1][0]
    assert settled_slope(lambda n: n**-2.0).errors == slope_of(lambda n: n**-2.0).errors


# Schedules and spacings are run on


@pytest.mark.parametrize("share", [1e-20, 1e-40, 3e-277])
def test_a_schedule_with_next_to_no_signal_fails(share):
    table = from_lam(np.linspace(5, np.log(share) / 2, 1000))
    found = levels.examine_samples("samples", table)
    assert found.status == "fail"
    assert f"ᾱ = {share:.2g} at its last level" in found.detail
    assert "zero_snr" in found.detail
    ends = {one.__name__: guarded(one) for one in checks(Recipe(named("ddim"), table)) if one.__name__ == "ends"}[
        "ends"
    ]
    assert ends.status == "fail"
    assert "rounding" in ends.detail


@pytest.mark.parametrize("entry", [e for e in registry().schedulers if e.name != "betas"], ids=lambda e: e.name)
def test_samplers_run_on_every_schedule(entry):
    assert rounding.lost(named("ddim"), entry.load()())[0] < rounding.BAR / 10


def test_what_rounding_allows_ends():
    assert check_bar(1e138) == check_bar(1e10) == 1e-3
    assert check_bar(10) == 1e-10


def check_bar(v):
    from dtool.testing.marginals import bar

    return bar((dtool.Point(1 / v, 1.0), dtool.Point(1.0, 0.0)))


def test_a_spacing_that_always_refuses_fails():
    @spacing("refuses")
    def refuses(schedule, n):
        raise UsageError("not today", "come tomorrow")

    assert levels.examine_steps("steps", refuses).status == "fail"
    assert levels.examine_steps("steps", dtool.schedulers.spacing("list:times=999;0")).status == "skip"


# Nothing seen is nothing passed


def test_the_largest_is_not_fooled():
    assert largest([1.0, nan]) == largest([nan, 1.0]) == largest([]) == float("inf")
    assert largest([1.0, 3.0, 2.0]) == 3.0


# Tables are bounded


@pytest.mark.parametrize("n", [50, 1000])
def test_a_history_that_grows_is_refused(n):
    @sampler("momentum", order=1)
    def momentum(now, to):
        mean = now.eps if now.before is None else 0.9 * now.before.kept["mean"] + 0.1 * now.eps
        now.keep(mean=mean)
        return euler(now, to, mean)

    @sampler("all-of-them", order=1)
    def all_of_them(now, to):
        node, total = now, now.eps
        while node.before is not None:
            node = node.before
            total = total + 1e-3 * node.eps
        return to.alpha * now.x0 + to.sigma * total

    for rule in (momentum, all_of_them):
        with pytest.raises(CompileError, match=r"more than 32 intervals ago.*a table of n² numbers") as error:
            compile_plan(rule, grids.by_lam(n))
        assert "follow now.before so many times and no further" in error.value.hint


@pytest.mark.parametrize("token", ["unipc:order=3", "sa-solver:predictor=4", "lms", "dpm-fast", "er-sde", "plms"])
def test_a_history_that_does_not_grow_is_none_of_these(token):
    assert compile_plan(named(token), grids.by_lam(200)).history <= 8


# What is declared is examined when it is declared

DECLARED = {
    "breaks names 'etaa=0', and there is no option 'etaa'": {"breaks": {"etaa=0": "x"}},
    "breaks names eta=7, which eta does not take": {"breaks": {"eta=7": "x"}},
    "breaks names eta=much, which": {"breaks": {"eta=much": "x"}},
    "breaks is not a mapping": {"breaks": "eta=0"},
    "same is not a mapping": {"same": ["euler"]},
    "same names the sampler itself": {"same": {"mine": ""}},
    "same names the condition 'on Sundays'": {"same": {"euler": "on Sundays"}},
    "order is -1": {"order": -1},
    "order is 1.5": {"order": 1.5},
    "startup_order is -4": {"startup_order": -4},
    "calls is 0": {"calls": 0},
    "calls is 'two'": {"calls": lambda **_: "two"},
    "startup_order is None": {"orders": lambda **_: (1, None)},
    "basis is 'v'": {"basis": "v"},
}


@pytest.mark.parametrize("why", DECLARED)
def test_a_declaration_that_cannot_hold_is_refused(why):
    from typing import Annotated

    from pydantic import Field

    def step(now, to, *, eta: Annotated[float, Field(ge=0, le=1)] = 0.0):
        return first(now, to)

    with pytest.raises(UsageError, match="sampler mine: " + why) as error:
        sampler("mine", **({"order": 1} | DECLARED[why]))(step)
    assert error.value.hint


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ("eta=0", 0.0, True), ("eta=0.0", 0, True), ("eta=0", 0.5, False), ("eta!=1", 1.0, False),
        ("eta!=1.0", 0.3, True), ("eta=5e-1", 0.5, True), ("last=true", True, True), ("last=1", True, True),
        ("last=false", True, False), ("n=3", 3, True), ("kind=a", "a", True), ("free=0", 0.0, True),
        ("free=0", "0", True), ("none=None", None, True),
    ],
)  # fmt: skip
def test_a_condition_is_read_as_its_option_reads_it(condition, value, holds):
    from typing import Literal

    @sampler("mine", order=1, breaks={condition: "on purpose"})
    def mine(
        now, to, *, eta: float = 0.25, last: bool = False, n: int = 1, kind: Literal["a", "b"] = "b", free=7,
        none: str | None = "x",
    ):  # fmt: skip
        return first(now, to)

    option = condition.partition("=")[0].rstrip("!")
    bound = dataclasses.replace(mine, options=(*((k, v) for k, v in mine.options if k != option), (option, value)))
    assert bound.exception == ("on purpose" if holds else None)


def test_a_schedule_that_returns_no_schedule_is_refused():
    @scheduler("mine")
    def mine(*, T: int = 10):  # noqa: N803
        return list(from_betas(np.full(T, 0.1)).alpha)

    with pytest.raises(DtoolError, match="returned a list, not a Schedule"):
        mine()
