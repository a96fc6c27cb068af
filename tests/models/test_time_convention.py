"""What a network is told as its time: each number said by hand, undone by hand, and the same images."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.time_convention import TIME_CONVENTIONS, tell_times
from dtool.run.loop import repeat_times
from tests.support.preconditioned import make_network, precondition

LAW = dtool.targets.target("gmm:d=2")
TIMES = np.array([0.0, 0.25, 17.0, 498.5, 999.0])


@pytest.mark.parametrize("schedule", ["linear", "edm", "flow", "cosine"])
def test_each_number_is_what_its_name_says(schedule):
    levels = dtool.get_scheduler(schedule)
    sigma = levels.level(TIMES)[1]
    told = {name: tell_times(name, levels, TIMES) for name in TIME_CONVENTIONS}
    assert told.keys() == {"index", "index+1", "u", "sigma", "log-sigma/4"}
    assert told["index"].tolist() == TIMES.tolist()
    assert told["index+1"].tolist() == [1.0, 1.25, 18.0, 499.5, 1000.0]
    np.testing.assert_allclose(told["u"], [0.001, 0.00125, 0.018, 0.4995, 1.0], rtol=1e-15)
    np.testing.assert_array_equal(told["sigma"], sigma)
    np.testing.assert_allclose(np.exp(4 * told["log-sigma/4"]), sigma, rtol=1e-12)
    assert {each.dtype.name for each in told.values()} == {"float64"}


def test_a_flow_network_of_a_thousand_steps_is_told_a_thousand_times_sigma():
    levels = dtool.get_scheduler("flow")
    np.testing.assert_allclose(tell_times("index+1", levels, TIMES), 1000 * levels.level(TIMES)[1], rtol=1e-12)


@pytest.mark.parametrize("T", [1, 100, 1000])
def test_u_ends_at_one_however_many_steps_there_are(T):  # noqa: N803
    levels = dtool.get_scheduler("cosine", T=T)
    assert tell_times("u", levels, np.array([T - 1.0])).tolist() == [1.0]


UNDO = {
    "index": lambda levels, told: told,
    "index+1": lambda levels, told: told - 1,
    "u": lambda levels, told: told * levels.T - 1,
    "sigma": lambda levels, told: find_time(levels, told),
    "log-sigma/4": lambda levels, told: find_time(levels, np.exp(4 * told)),
}


def find_time(levels, sigma):
    """The time at which σ is so much, by bisection: σ rises with time in all coordinates here."""
    low, high = np.zeros_like(sigma), np.full_like(sigma, levels.T - 1.0)
    for _ in range(80):
        middle = (low + high) / 2
        above = levels.level(middle)[1] > sigma
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def tell(convention, schedule, prediction="x0"):
    """The law's network, told another number, which it turns back into an index itself."""
    levels = dtool.get_scheduler(schedule)

    def fn(x, told):
        alpha, sigma = levels.level(UNDO[convention](levels, np.asarray(told, dtype=np.float64)))
        return LAW.predict(x, alpha, sigma, None, prediction).astype(x.dtype)

    return make_network(fn, LAW, levels, prediction, time=convention)


@pytest.mark.parametrize("recipe", ["ddim", "heun", "dpmpp-2m/karras", "ddpm"])
@pytest.mark.parametrize("schedule", ["edm", "flow", "ve"])
@pytest.mark.parametrize("convention", TIME_CONVENTIONS)
def test_a_network_that_undoes_it_gives_the_same_images(convention, schedule, recipe):
    """From the same float64 start, so that no time is rounded to float32 on the way."""
    plain, other = tell("index", schedule), tell(convention, schedule)
    plan = dtool.plan(recipe, network=plain, steps=6)
    random = np.random.default_rng(1)
    x, noise = plan.init * random.standard_normal((4, 2)), random.standard_normal((plan.draws, 4, 2))
    one, two = (dtool.sample(net, plan, x=x, noise=noise if plan.stochastic else None).x0 for net in (plain, other))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)


@pytest.mark.parametrize("convention", TIME_CONVENTIONS)
def test_generated_starts_in_single_precision(convention):
    plain, other = tell("index", "linear", "eps"), tell(convention, "linear", "eps")
    one, two = (dtool.sample(net, "dpmpp-2m", steps=8, n=6, seed=2).x0 for net in (plain, other))
    np.testing.assert_allclose(one, two, rtol=0, atol=2e-4)


def test_the_edm_network_as_its_paper_has_it():
    """c_in, c_skip, c_out and c_noise all inside: nothing is known of an index."""
    inner = precondition(LAW, "edm", 0.5)
    levels = inner.schedule

    def fn(x, c_noise):
        return inner.predict(x, find_time(levels, np.exp(4 * c_noise)))

    papers = make_network(fn, LAW, levels, "edm", time="log-sigma/4")
    x = 80 * np.random.default_rng(0).standard_normal((4, 2))
    one, two = (dtool.sample(net, "heun/karras", steps=9, x=x).x0 for net in (inner, papers))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)


def test_each_call_is_told_the_time_of_its_row_for_every_image():
    heard = []

    def fn(x, t):
        heard.append(t.copy())
        return 0 * x

    network = dtool.network(fn, shape=(2,), time="u")
    plan = dtool.plan("ddim", network=network, steps=4)
    dtool.sample(network, plan, x=np.ones((3, 2)))
    assert [each.tolist() for each in heard[-4:]] == [[1.0] * 3, [0.75] * 3, [0.5] * 3, [0.25] * 3]
    assert plan.time.tolist() == [999.0, 749.0, 499.0, 249.0], "the plan's own times stay indices"


def test_times_are_repeated_along_the_batch_in_the_dtype_of_the_run():
    made = repeat_times(np.array([0.1, 7.0]), 3, np.float32)
    assert made.shape == (2, 3)
    assert made.dtype == np.float32
    assert made.tolist() == [[np.float32(0.1)] * 3, [7.0] * 3]


def test_a_convention_that_there_is_not_is_refused():
    with pytest.raises(UsageError, match=r"^time='t' is refused") as error:
        dtool.network(lambda x, t: x, shape=(2,), time="t")
    assert "'index', 'index+1', 'u', 'sigma' or 'log-sigma/4'" in error.value.hint
