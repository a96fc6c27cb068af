"""Where we differ from diffusers and k-diffusion on purpose: what is wrong there, shown."""

from __future__ import annotations

import importlib
from itertools import pairwise
from math import exp, log

import numpy as np
import pytest
import torch

import dtool
from dtool.plan import run_eager
from dtool.samplers import get_sampler
from tests.parity.diffusers_side import INVERSE, grid, precision, run
from tests.parity.k_diffusion_side import karras, sampling
from tests.parity.pairing import Noise, agree, difference, known, ours

DDIM = "ddim:DDIMScheduler"
MULTI = "dpmsolver_multistep:DPMSolverMultistepScheduler"
DOUBLE = torch.float64


def scheduler_of(where, n, **config):
    name, _, kind = where.partition(":")
    pytest.importorskip("diffusers")
    made = getattr(importlib.import_module(f"diffusers.schedulers.scheduling_{name}"), kind)(**config)
    made.set_timesteps(n)
    return made


def exact_step(now, to, eta):
    """(1+η)·∫ e^{(1+η)(l-λ')} l² dl over the step: what a rule of order 3 must make of x0 = λ²."""
    k = 1 + eta
    return sum(s * exp(k * (lam - to)) * (lam**2 - 2 * lam / k + 2 / k**2) for s, lam in ((1, to), (-1, now)))


def our_misses(recipe, points, eta):
    """How far each step with a whole history is from the integral of x0 = λ², without noise."""
    rule = get_sampler(recipe)
    xs = [run_eager(rule, points[: k + 1], lambda x, p: (x - p.alpha * p.lam**2) / p.sigma, 0.0) for k in
          range(2, len(points))]  # fmt: skip
    return misses(points[2:], xs, eta)


def misses(points, xs, eta):
    found = []
    for (now, x), (to, after) in pairwise(zip(points, xs, strict=True)):
        if to.sigma > 0:
            kept = to.sigma / now.sigma * exp(-eta * (to.lam - now.lam)) * float(x)
            found.append(abs(float(after) - kept - to.alpha * exact_step(now.lam, to.lam, eta)) / to.alpha)
    return found


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_k_diffusion_3m_lacks_a_factor_two_in_its_third_term(eta):
    """So a parabola in λ, which a rule of order 3 integrates exactly, is not integrated exactly: the order is 2."""
    sigmas, xs = karras(12, DOUBLE), []
    sampling().sample_dpmpp_3m_sde(
        lambda x, sigma: torch.full_like(x, log(float(sigma[0])) ** 2), torch.zeros(1, dtype=DOUBLE), sigmas,
        callback=lambda state: xs.append(state["x"]), disable=True, eta=eta, noise_sampler=lambda *_: 0.0,
    )  # fmt: skip
    points = [dtool.Point(1.0, float(v)) for v in sigmas[:-1]]
    known(recipe := f"dpmpp-3m-sde:eta={eta}")
    assert max(our_misses(recipe, points, eta)) < 1e-12
    assert min(misses(points[2:], xs[2:], eta)) > 1e-3


def test_diffusers_sde_of_order_3_has_the_wrong_sign_in_its_third_term():
    """Nor does it fall: its weight of the second difference tends to -1 with the step, where ½·h² belongs."""
    known("dpmpp-3m-sde")
    found = {}
    for n in (20, 80):
        xs: list[torch.Tensor] = []
        made = run(
            MULTI, n, DOUBLE, solver_order=3, algorithm_type="sde-dpmsolver++", lower_order_final=False,
            solver_type="heun", prediction_type="sample", says=_parabola, seen=xs, adapt=_silent,
        )  # fmt: skip
        flat = [x.flatten()[0] for x in xs]
        found[n] = misses(made.points[2:], flat[2:], 1.0)[n // 4 : n // 2]
        assert max(our_misses("dpmpp-3m-sde", made.points, 1.0)) < 1e-9
    assert max(found[20]) > 0.01
    # The steps of 80 are a quarter as long: of order 2 the error of a step would fall to a 64th.
    assert max(found[80]) > max(found[20]) / 16


def _parabola(scheduler, x, t):
    if scheduler.step_index is None:
        scheduler._init_step_index(t)
    return torch.full_like(x, log(float(scheduler.sigmas[scheduler.step_index])) ** 2)


def _silent(scheduler):
    step = scheduler.step
    scheduler.step = lambda said, t, x, **more: step(said, t, x, variance_noise=torch.zeros_like(x), **more)


@pytest.mark.parametrize(("place", "n"), [("linspace", 10), ("linspace", 30), ("trailing", 30), ("trailing", 7)])
def test_diffusers_ddim_steps_to_a_level_that_is_not_the_next(place, n):
    """It goes to t - T//N, and the network is then told another t."""
    found = run(DDIM, n, DOUBLE, clip_sample=False, timestep_spacing=place)
    assert difference(ours("ddim", found)[0], found.result) > 1e-4
    agree("ddim", run(DDIM, 10, DOUBLE, clip_sample=False))  # leading, and N divides T: the same level


def test_diffusers_trailing_makes_a_step_too_many():
    for n in (61, 103):
        times = scheduler_of(DDIM, n, timestep_spacing="trailing").timesteps
        assert len(times) == n + 1
        assert times[-1] == -1
        assert len(dtool.get_spacing("trailing")(dtool.get_scheduler("linear"), n)) == n


def test_diffusers_unipc_bh1_to_zero_is_nan():
    found = run("unipc_multistep:UniPCMultistepScheduler", 10, DOUBLE, solver_type="bh1")
    assert not torch.isfinite(found.result).all()
    known("unipc:variant=bh1")
    assert torch.isfinite(ours("unipc:variant=bh1", found)[0]).all()


def test_diffusers_fixed_large_log_is_nan():
    found = run("ddpm:DDPMScheduler", 10, DOUBLE, clip_sample=False, variance_type="fixed_large_log")
    assert not torch.isfinite(found.result).all()


@pytest.mark.parametrize(
    ("where", "options"),
    [
        ("euler_discrete:EulerDiscreteScheduler", {"final_sigmas_type": "sigma_min"}),
        ("deis_multistep:DEISMultistepScheduler", {"use_karras_sigmas": True}),
        ("sasolver:SASolverScheduler", {"use_karras_sigmas": True}),
    ],
)
def test_diffusers_calls_the_network_for_a_step_of_no_length(where, options):
    made = scheduler_of(where, 10, **options)
    assert made.sigmas[-1] == made.sigmas[-2]
    points = [dtool.Point(1.0, float(v)) for v in made.sigmas]
    ours = dtool.plan("euler", points=points[:-1], end=points[-1])
    assert ours.rows == len(made.timesteps)
    assert (ours.a[-1], ours.b[-1].tolist()) == (1.0, [0.0]), "it is followed, and leaves x where it is"


def test_diffusers_ipndm_divides_by_a_hundred_millionth_at_the_start():
    where = "ipndm:IPNDMScheduler"
    name, _, kind = where.partition(":")
    noise = Noise(torch.float32)
    with precision(name, torch.float32, noise) as module:
        made = getattr(module, kind)()
        made.set_timesteps(10)
        x = noise.start()
        assert made.alphas[0] < 1e-3
        after = made.step(torch.tanh(x), made.timesteps[0], x, return_dict=False)[0]
    assert after.abs().max() > 1  # at α = 0 the x0 of v = tanh(x) is -tanh(x)
    points = [dtool.Point(float(max(a, 0)), float(b)) for a, b in zip(made.alphas, made.betas, strict=True)][:2]
    points[0] = dtool.Point(0.0, 1.0)
    expected = points[1].alpha * -torch.tanh(x) + points[1].sigma * x
    assert difference(after, expected) > 0.01


def test_diffusers_inversion_tells_the_network_another_time():
    """The pipelines tell it the time of the level to which the step goes, not of that which x has."""
    known("ddim-inversion")
    where, options = "ddim_inverse:DDIMInverseScheduler", {"clip_sample": False, **INVERSE}
    agree("ddim-inversion", run(where, 10, DOUBLE, **options))
    theirs = run(where, 10, DOUBLE, clip_sample=False, points_of=INVERSE["points_of"])
    assert difference(ours("ddim-inversion", theirs)[0], theirs.result) > 1e-2


def test_diffusers_lms_begun_in_the_middle_drops_coefficients():
    """Four coefficients are computed there, for the one derivative that it has: they sum to the step, one does not."""
    where = "lms_discrete:LMSDiscreteScheduler"
    made = scheduler_of(where, 10)
    made.set_begin_index(5)
    x = torch.ones(1, 1, 2, 2)
    made.scale_model_input(x, made.timesteps[5])
    after = made.step(torch.ones_like(x), made.timesteps[5], x, return_dict=False)[0]
    length = float(made.sigmas[6] - made.sigmas[5])
    assert abs(float((after - x).mean()) - length) > 0.1 * abs(length)


def test_diffusers_flow_shifts_twice():
    made = scheduler_of("flow_match_euler_discrete:FlowMatchEulerDiscreteScheduler", 5, shift=3.0)
    times = np.linspace(1, 1 / 1000, 5)
    once = 3 * times / (1 + 2 * times)
    assert abs(float(made.sigmas[4]) / once[4] - 1) > 1
    agree("euler", run("flow_match_euler_discrete:FlowMatchEulerDiscreteScheduler", 5, DOUBLE, shift=3.0))


def test_diffusers_sa_solver_adds_a_term_at_order_two():
    """Published so (arXiv:2309.05019, appendix D), but not the integral that its section 5 derives."""
    known("sa-solver")
    options = {"tau_func": lambda _: torch.tensor(1.0), "predictor_order": 2, "corrector_order": 2}
    found = run("sasolver:SASolverScheduler", 20, DOUBLE, lower_order_final=False, **options)
    assert difference(ours("sa-solver:tau=1.0,predictor=2,corrector=2", found)[0], found.result) > 1e-3


def test_a_grid_is_that_of_the_scheduler():
    made = scheduler_of(MULTI, 10)
    assert len(grid(made)) == 11
    assert grid(made)[-1].sigma == 0
