"""Certificate 6: σ = 0, α = 0, one step, every step; finite, exactly n steps, the stated number of network calls."""

import numpy as np
import pytest

from dtool.certify import ends
from dtool.certify.laws import THREE_GAUSSIANS, run_optimal_network
from dtool.errors import CompileError
from dtool.plan import CLEAN, Point, Recipe, plan
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from dtool.samplers.rule import sampler as rule_of
from tests.support.rules import configurations, dpmpp_3m, dpmpp_sde, predictor_corrector

RULES = [*map(get_sampler, configurations()), dpmpp_3m(2), predictor_corrector, dpmpp_sde]
CASES = ends.make_cases(Recipe(RULES[0]))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.label)
@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.token)
def test_ends(rule, case):
    assert ends.examine(rule, case) == ""


@pytest.mark.parametrize("token", configurations())
def test_a_level_without_signal_says_nothing_to_an_eps_network(token):
    with pytest.raises(CompileError, match="alpha=0") as error:
        plan(token, scheduler="linear:zero_snr=true", steps=10)
    assert "use prediction v or x0" in error.value.hint
    assert plan(token, scheduler="linear:zero_snr=true", steps=10, prediction="v").steps == 10


@pytest.mark.parametrize("token", configurations())
@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_no_row_depends_on_what_the_network_predicts(token, prediction):
    """A network that knows the answer, whatever the form of its output, gives the same history entries."""
    made = plan(token, scheduler="cosine:T=40", steps=8, prediction=prediction)
    rng = np.random.default_rng(3)
    image, eps = rng.standard_normal((2, made.rows))
    x = made.alpha * image + made.sigma * eps
    output = {"eps": eps, "x0": image, "v": made.alpha * eps - made.sigma * image}[prediction]
    assert made.c_skip * x + made.c_out * output == pytest.approx(image, rel=1e-6, abs=1e-6)
    entry = np.where(made.images, image, eps)
    assert made.m_x * x + made.m_f * output == pytest.approx(entry, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.token)
def test_the_image_is_reached(rule):
    """Data that are one image: whatever the noise, that image is what comes out of any grid that ends at σ = 0."""
    from dtool.certify.laws import gaussian

    for points in ((Point(0.0, 1.0), Point(0.6, 0.8), CLEAN), (Point(0.1, 0.99), CLEAN)):
        made = compile_plan(rule, points, prediction="x0")
        rng = np.random.default_rng(1)
        x = rng.standard_normal(4)
        end = run_optimal_network(made, gaussian(0.4, 0.0), x, lambda _: rng.standard_normal(4))  # noqa: B023
        assert end == pytest.approx([0.4] * 4, abs=1e-9)


@pytest.mark.parametrize(
    ("token", "steps", "calls"), [("ddim", 20, 20), ("heun", 20, 39), ("heun", 1, 1), ("dpmpp-2m", 7, 7)]
)
def test_network_calls_are_counted(token, steps, calls):
    made = plan(token, steps=steps)
    assert (made.steps, made.rows) == (steps, calls)


def test_a_call_too_many_is_found():
    @rule_of("greedy", order=1)
    def greedy(now, to):
        mid = yield now.x * 1.0, now.point
        return to.alpha * mid.x0 + to.sigma * mid.eps

    assert "2 network calls in one step; the rule states 1" in ends.examine(greedy, CASES[0])


def test_a_result_that_is_not_finite_is_found():
    @rule_of("explosive", order=1)
    def explosive(now, to):
        return 1e300 * (to.alpha * now.x0 + to.sigma * now.eps)

    case = next(c for c in CASES if c.steps == 7)
    with np.errstate(over="ignore", invalid="ignore"):
        assert ends.examine(explosive, case) == "the result is not finite"


def test_the_start_has_the_law_of_the_first_level():
    for points in ((Point(0.0, 1.0), CLEAN), (Point(1.0, 20.0), CLEAN)):
        made = compile_plan(get_sampler("ddim"), points, prediction="x0")
        assert made.init == pytest.approx(np.hypot(points[0].alpha, points[0].sigma))
    assert THREE_GAUSSIANS.std(Point(0.0, 1.0)) == 1.0
