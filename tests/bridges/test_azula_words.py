"""azula's samplers become plans: what they are, and which of dtool's they are."""

import math

import numpy as np
import pytest

import dtool
from dtool.bridges.azula_words import end_above_zero
from dtool.certify.adopted import SAME, adopt, find_same, measure_marginals
from dtool.errors import UsageError
from dtool.plan import CLEAN, Plan, Point, Recipe
from dtool.schedulers import get_scheduler

torch = pytest.importorskip("torch")
sample = pytest.importorskip("azula.sample", reason="azula is not installed: pip install 'dtool-diffusion[azula]'")

SAMPLERS = {
    "DDPMSampler": "ddpm",
    "DDIMSampler": "ddim",
    "DDIMSampler:eta=1.0": "ddpm",
    "EulerSampler": "ddim",
    "HeunSampler": "heun",
    "zABSampler:order=3": "lms:order=3",
    "zEABSampler:order=3": "dpm-solver",
    "xEABSampler:order=2": "res-multistep",
}


@pytest.mark.parametrize(("word", "ours"), SAMPLERS.items())
def test_a_sampler_is_one_of_ours(word, ours):
    """On a grid that ends above the image, where Heun's second call has a level."""
    made = adopt(Recipe.parse(f"azula:{word}"), 8)
    assert made.error < 1e-9
    assert max(measure_marginals(made.plan)[:2]) < 1e-9
    points = [Point(float(a), float(s)) for a, s in zip(made.plan.alpha, made.plan.sigma, strict=True)]
    starts = [points[i] for i in made.plan.step_starts]
    own = dtool.plan.compile(dtool.get_sampler(ours), [*starts, end_of(made.plan)], prediction="x0")
    np.testing.assert_allclose(end_row(own), end_row(made.plan), atol=1e-7)


def end_row(plan):
    """What x at the end is made of: of the start, of each predicted image, and of noise in law."""
    from dtool.plan.linear_map import unroll

    signal, noise = unroll(plan)
    return np.append(signal[-1], noise[-1] @ noise[-1])


def end_of(plan):
    from dtool.certify.adopted import find_end

    return find_end(plan)


def test_a_run_is_azulas_own():
    """The plan, run on a network that is not linear, against azula's own run of it."""
    noise, denoise = pytest.importorskip("azula.noise"), pytest.importorskip("azula.denoise")

    class Tame(denoise.Denoiser):
        def __init__(self):
            super().__init__()
            self.schedule = noise.VPSchedule()

        def forward(self, x, t, **_):
            return denoise.DiracPosterior(mean=torch.tanh(x))

    sampler = sample.zABSampler(Tame(), order=2, steps=7, silent=True, dtype=torch.float64)
    plan = dtool.adopt(sampler)
    x = torch.linspace(-2, 2, 5, dtype=torch.float64)
    own = sampler(x).numpy()
    state, history = x.numpy(), []
    for i in range(plan.rows):
        image = np.tanh(state)
        history.insert(0, image if plan.images[i] else (state - plan.alpha[i] * image) / plan.sigma[i])
        state = plan.a[i] * state + sum(b * h for b, h in zip(plan.b[i], history, strict=False))
    np.testing.assert_allclose(state, own, atol=1e-9)
    assert sampler.silent
    assert Plan.from_json(plan.to_json()) == plan
    assert plan.init == pytest.approx(math.hypot(plan.alpha[0], plan.sigma[0]))


def test_several_calls_a_step_are_one_step():
    plan = dtool.plan("azula:PCSampler:corrections=2", steps=4)
    assert (plan.steps, plan.rows) == (4, 12)
    assert plan.stochastic


def test_what_keeps_no_constant_image_is_adopted_and_found():
    """REAB is exact for data N(0, 1) instead."""
    assert measure_marginals(adopt(Recipe.parse("azula:REABSampler"), 8).plan)[0] > 1e-3


def test_the_image_gives_way_to_the_cleanest_level():
    levels = get_scheduler("linear")
    points = [Point(0.5, 0.8), CLEAN]
    assert end_above_zero(points, levels)[-1].v == pytest.approx(float(levels.sigma[0] / levels.alpha[0]))
    assert end_above_zero([Point(0.5, 0.8), Point(0.9, 0.1)], levels)[-1] == Point(0.9, 0.1)
    assert end_above_zero(points, None) == points


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("azula:DDIMSampel", "azula has no sampler 'DDIMSampel'"),
        ("azula:DDIMSampler:etaa=1", "has no option 'etaa'"),
        ("azula:DDIMSampler@linear:zero_snr=true", "its first level has no signal"),
    ],
)
def test_what_cannot_be_had_is_refused(word, cause):
    with pytest.raises(UsageError, match=cause) as error:
        dtool.plan(word, steps=5)
    assert error.value.hint


def test_find_same_knows_them():
    same, apart = find_same(adopt(Recipe.parse("azula:DDIMSampler"), 6).plan)
    assert (same, apart <= SAME) == ("ddim", True)
