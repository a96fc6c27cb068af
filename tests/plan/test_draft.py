"""The rows while they are written: history, registers, noise, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.certify import grids
from dtool.errors import CompileError
from dtool.plan import CLEAN, grid, plan
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from dtool.samplers import get_sampler as named
from dtool.samplers.rule import sampler
from dtool.samplers.rule import sampler as rule_of
from dtool.schedulers import get_scheduler
from dtool.spacings import get_spacing
from tests.support.multistep import rows_on
from tests.support.rules import dpmpp_sde, predictor_corrector
from tests.support.small_functions import grid_of, toy
from tests.support.steps import FAR, NEAR, compiled, euler


def test_history_starts_anew_after_going_up():
    points = grids.two_pass_grid(12)
    made = compile_plan(get_sampler("dpmpp-2m"), points, prediction="x0")
    first = next(i for i, p in enumerate(points[1:], 1) if p.lam < points[i - 1].lam) - 1
    assert made.b[first - 1, 1] != 0
    assert made.b[first, 1] == 0
    assert made.b[first + 1, 1] != 0


@pytest.mark.parametrize(("token", "history"), [("ddim", 1), ("ddpm", 1), ("euler", 1), ("heun", 2), ("dpmpp-2m", 2)])
def test_no_more_history_than_needed(token, history):
    made = plan(token, steps=20)
    assert made.history == history
    assert not made.save.any(), "the saved x is eliminated"


def test_a_corrected_state_costs_no_register_and_no_row():
    """One row per network call, and as much history as the corrector has nodes, however long the chain is."""
    made = compile_plan(predictor_corrector, grids.by_lam(40), prediction="x0")
    assert (made.rows, made.history, bool(made.save.any())) == (40, 3, False)


def test_what_is_kept_stays_short():
    """A state that is corrected from step to step would otherwise grow by a term per row."""
    sizes = []

    def step(now, to):
        if now.before is not None:
            sizes.append(len(now.before.kept["fixed"].terms))
        return predictor_corrector.step(now, to)

    compiled(step, grids.by_lam(40))
    assert max(sizes) <= 4


def test_noise_between_two_uses_of_x_needs_a_register():
    made = compile_plan(dpmpp_sde, grids.by_lam(5), prediction="x0")
    assert made.rows == 10
    assert made.save.tolist() == [True, False] * 5
    assert (made.a_saved[1::2] > 0).all()
    assert (made.a[1::2] == 0).all()


def test_noise_is_drawn_once():
    def twice(now, to, z):
        mid = yield to.alpha * now.x0 + 0.1 * z, NEAR
        return mid.x0 + 0.1 * z

    with pytest.raises(CompileError, match="noise twice"):
        compiled(twice, (FAR, CLEAN), calls=2)


def test_the_sign_of_noise_does_not_matter():
    made = compiled(lambda now, to, z: to.alpha * now.x0 - 0.5 * z, (FAR, NEAR))
    assert made.c.tolist() == [0.5]


@pytest.mark.parametrize(
    "token", ["unipc", "unipc:order=3,variant=bh1", "sa-solver", "sa-solver:predictor=4,corrector=2"]
)
def test_a_corrector_costs_no_network_call(token):
    points = grids.random_grid(8, 1, clean=True)
    made = rows_on(token, points)
    assert made.rows == made.steps == 8
    assert made.a_saved.tolist() == [0] * 8
    assert made.draws == (7 if "sa" in token else 0), "the corrector reuses the step's noise"


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


def test_raw_eps_in_a_rule_of_either_basis():
    """One method, written in x0 and in eps: the same run with clipping and without."""
    net = dtool.network(toy, shape=(3,), schedule="cosine")
    runs = []
    for basis in ("x0", "eps"):

        @rule_of("raw", order=1, basis=basis)
        def raw(now, to):
            return to.alpha * now.x0 + to.sigma * now.raw_eps

        made = compile_plan(raw, grid_of(net, 5), schedule=net.schedule)
        x = np.random.default_rng(1).standard_normal((4, 3))
        runs.append([dtool.sample(net, made, x=x, clip=clip).x0 for clip in (True, False)])
    assert runs[0][0] == pytest.approx(runs[1][0], abs=1e-9)
    assert runs[0][1] == pytest.approx(runs[1][1], abs=1e-9)
    assert abs(runs[0][0] - runs[0][1]).max() > 1e-3


def test_the_raw_prediction_of_an_earlier_call_is_not_to_be_had():
    @rule_of("late", order=1)
    def late(now, to):
        last = now.before
        return to.alpha * now.x0 + to.sigma * (now.eps if last is None else last.raw_eps)

    with pytest.raises(CompileError, match="raw prediction of an earlier"):
        compile_plan(late, grids.by_lam(4))


def test_noise_of_an_earlier_call_cannot_be_sized_by_it():
    @rule_of("late", order=1, calls=2)
    def late(now, to, z):
        guess = to.alpha * now.x0 + to.sigma * now.eps
        yield guess, to
        return guess + now.noise(0.1, 0.2)

    points = grid(get_scheduler("linear"), get_spacing("trailing"), 4)
    with pytest.raises(CompileError, match="uses noise twice"):
        compile_plan(late, points)


def test_a_grid_that_goes_up_widens_both_bounds():
    from dtool.certify.grids import two_pass_grid

    points = two_pass_grid(8)
    learned = compile_plan(get_sampler("ddpm:sigma=learned"), points)
    ends = [compile_plan(get_sampler(f"ddpm:sigma={end}"), points) for end in ("tilde", "beta")]
    assert learned.c_low == pytest.approx(ends[0].c, rel=1e-12)
    assert learned.c == pytest.approx(ends[1].c, rel=1e-12)
