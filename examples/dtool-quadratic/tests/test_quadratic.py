"""What the author of a plugin tests: dtool's examination, and what is special about this package."""

import numpy as np
import pytest
from dtool_quadratic.word_lengths import word_lengths

import dtool
from dtool.errors import UsageError
from dtool.models.conditions import Condition


@pytest.mark.parametrize("examine", list(dtool.certify.checks("midpoint")), ids=lambda examine: examine.__name__)
def test_midpoint_passes_the_examination(examine):
    result = examine()
    assert result.status != "fail", result


@pytest.mark.parametrize("T", [1, 2, 10, 1000])
def test_the_signal_fades_along_a_straight_line(T):  # noqa: N803
    alpha = dtool.get_scheduler("quadratic-alpha", T=T).alpha
    assert np.allclose(alpha[:-1], 1 - np.arange(1, T) / T)
    assert 0 < alpha[-1] < 1 / T


def test_the_network_is_called_half_way_and_told_the_time_of_that_level():
    plan = dtool.plan("midpoint@quadratic-alpha", steps=3)
    assert list(plan.step_end) == [False, True, False, True, True]
    v = plan.sigma / plan.alpha
    assert v[1] == pytest.approx((v[0] * v[2]) ** 0.5)
    alpha, sigma = dtool.get_scheduler("quadratic-alpha").level(plan.time)
    assert np.allclose(sigma / alpha, v)
    assert plan.time[1] % 1 != 0


def test_midpoint_is_exact_for_the_eps_that_it_is_exact_for():
    """One interval, however long, where ε = 2 + 3/v²: x̄ ends at x̄ + 2(v' - v) + 3(1/v - 1/v')."""
    now, to = dtool.Point(0.2, 0.98), dtool.Point(0.9, 0.43)
    end = dtool.plan.run_eager(dtool.get_sampler("midpoint"), [now, to], lambda x, at: 2 + 3 / at.v**2, 0.7)
    wanted = 0.7 / now.alpha + 2 * (to.v - now.v) + 3 * (1 / now.v - 1 / to.v)
    assert end / to.alpha == pytest.approx(wanted, abs=1e-12)


def test_two_calls_a_step_are_worth_it():
    """On Gaussian data the ODE's end is known; forty steps of two calls end closer to it than Euler's eighty."""
    spread = 0.5
    schedule = dtool.get_scheduler("quadratic-alpha")

    def eps(x, t):
        alpha, sigma = (level[:, None] for level in schedule.level(t))
        return sigma * x / (alpha**2 * spread**2 + sigma**2)

    network = dtool.network(eps, shape=(1,), schedule="quadratic-alpha")
    start = np.array([[-1.5], [0.3], [2.0]])
    lam = schedule.lam[-2], schedule.lam[0]
    first, last = (float(np.hypot(a * spread, s)) for a, s in (schedule.level(schedule.T - 2), schedule.level(0)))

    def error(recipe, steps):
        times = schedule.time(np.linspace(*lam, steps + 1))
        plan = dtool.plan(recipe, network=network, points=times[:-1], end=times[-1])
        return np.abs(dtool.sample(network, plan, x=start).x0 - start * last / first).max()

    assert error("midpoint", 40) < error("euler", 80) / 3
    assert error("midpoint", 40) < error("midpoint", 20) / 3


def test_the_guidance_is_whole_in_the_middle_and_gone_a_width_away():
    tent = dtool.get_guidance("tent", middle=0.0, width=2.0)
    strengths = [tent(dtool.guidances.Level(0.7, 0.7, lam, 0.5)).strength for lam in (-2.5, -2, -1, 0, 0.5, 2)]
    assert strengths == pytest.approx([0, 0, 0.5, 1, 0.75, 0])
    with pytest.raises(UsageError, match="width"):
        dtool.get_guidance("tent:width=0")


def test_a_row_that_is_not_guided_calls_the_network_once():
    sizes = []

    def network(x, t, label):
        sizes.append(len(x))
        return 0.1 * x + 0.01 * label[:, None]

    conditional = dtool.network(network, shape=(2,), classes=3)
    plan = dtool.plan("midpoint~tent:scale=3,middle=0", network=conditional, steps=8)
    found = dtool.sample(conditional, plan, x=np.ones((2, 2)), labels=[0, 1])
    assert sizes[-plan.rows :] == [4 if guided else 2 for guided in plan.guided > 0]
    assert found.evaluations == plan.rows + (plan.guided > 0).sum() < 2 * plan.rows


@pytest.mark.parametrize(
    "examine", list(dtool.certify.checks("midpoint~tent:scale=3"))[-3:-1], ids=lambda examine: examine.__name__
)
def test_guided_by_it_midpoint_passes_the_examination(examine):
    result = examine()
    assert result.status == "pass", result


@pytest.fixture
def linear_file(tmp_path):
    """A network of two numbers that does not say what it predicts."""
    path = tmp_path / "net.json"
    path.write_text('{"format": "linear-network-1", "shape": [2], "weight": 0.3, "bias": 0.1}')
    return path


def test_a_linear_network_is_opened_and_sampled_from(linear_file):
    network = dtool.load(linear_file, spec={"prediction": "eps"})
    assert (network.shape, network.prediction, network.schedule.T) == ((2,), "eps", 1000)
    x = np.array([[1.0, -2.0]])
    assert np.allclose(network.predict(x, np.zeros(1)), 0.3 * x + 0.1)
    assert dtool.sample(network, "midpoint", steps=3, n=4).x0.shape == (4, 2)


def test_what_the_file_does_not_say_is_asked_for(linear_file):
    with pytest.raises(UsageError, match="does not say what it predicts"):
        dtool.load(linear_file)
    linear_file.write_text('{"format": "linear-network-1", "shape": [2], "weight": "much"}')
    with pytest.raises(dtool.DtoolError, match="is no linear network"):
        dtool.load(linear_file)


def test_other_files_are_not_its_own(tmp_path):
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(UsageError, match="neither a checkpoint nor an ONNX file"):
        dtool.load(other)


def test_the_lengths_of_words_are_a_condition():
    condition = Condition(name="words", shape=(4,), null=0)
    made = word_lengths.make("a cat sat", condition)
    assert made == [1, 3, 3, 0]
    network = dtool.network(lambda x, t, words: 0.1 * x + words.mean(axis=1, keepdims=True), shape=(2,),
                            conditions=[condition])  # fmt: skip
    assert dtool.sample(network, "midpoint", steps=3, n=4, conditions={"words": made}, guidance=2).x0.shape == (4, 2)
    with pytest.raises(UsageError, match="is no vector of a fixed length"):
        word_lengths.make("a cat", Condition(name="text", shape=(None, 4)))
