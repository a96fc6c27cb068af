"""`dtool.fit`: on Gaussian data the best table is known; the same seed, the same plan; what cannot be fitted."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.fit.run import choose_calls
from dtool.targets import target
from tests.fit.conftest import TOKEN
from tests.fit.gaussian_closed_form import SCHEDULE, minimise, noise_gain, one_call, target_gains, two_calls

VARIANCES = 0.25 * np.geomspace(1, 1 / 60, 10)


def unroll_gains(plan):
    """What the plan makes of each axis, by its rows."""
    x, past = np.full_like(VARIANCES, plan.init), []
    for i in range(plan.rows):
        past.insert(0, noise_gain(plan.lam[i], VARIANCES) * x)
        x = plan.a[i] * x + sum(weight * entry for weight, entry in zip(plan.b[i], past, strict=False))
    return x


def test_with_one_call_time_and_row_are_those_of_the_closed_form():
    starts = (minimise(lambda p: one_call(p[0], VARIANCES)[0], [lam], [0.5]) for lam in (-3.0, 0.0, 2.0))
    (lam,), least = min(starts, key=lambda one: one[1])
    plan = dtool.fit(target(TOKEN).network(), calls=1, noises=(48, 48, 8), judge=False)
    assert np.abs(plan.lam - lam).max() < 1e-3
    assert np.abs([plan.a[0], plan.b[0, 0]] - one_call(lam, VARIANCES)[1]).max() < 1e-3
    assert abs(plan.fit.training / least - 1) < 1e-4


def test_with_two_calls_times_and_map_are_those_of_the_closed_form():
    """Rows are known up to the scale of x in between, which a linear network does not see: their map is compared."""
    low, high = SCHEDULE.lam[[-1, 0]]

    def error(numbers):
        first, second, _ = numbers
        return two_calls(*numbers, VARIANCES)[0] if low < first < second - 0.05 and second < high else 9.0

    starts = [
        minimise(error, [lam, lam + 2, share], [0.5, 0.5, 0.3], 40) for lam in (-2.5, -1) for share in (0.5, -0.5)
    ]
    (first, second, share), least = min(starts, key=lambda one: one[1])
    plan = dtool.fit(target(TOKEN).network(), calls=2, noises=(48, 48, 8), judge=False)
    assert np.abs(plan.lam - [first, second]).max() < 1e-3
    assert np.abs(unroll_gains(plan) - two_calls(first, second, share, VARIANCES)[1]).max() < 1e-3
    assert abs(plan.fit.training / least - 1) < 1e-3
    assert np.abs(unroll_gains(plan) - target_gains(VARIANCES)).max() < 3 * least


def test_the_same_seed_gives_the_same_plan_and_another_gives_another():
    net = target("gmm:d=2").network()
    one, again, other = (dtool.fit(net, calls=2, noises=(12, 8, 8), seed=seed, judge=False) for seed in (0, 0, 3))
    assert one == again
    assert one.hash != other.hash


def test_a_fit_goes_on_from_its_plan_and_never_gets_worse():
    net = target("gmm:d=2").network()
    seen = []
    cut = dtool.fit(net, calls=3, noises=(12, 8, 8), minutes=0, judge=False, on_better=seen.append)
    whole = dtool.fit(net, calls=3, noises=(12, 8, 8), resume=cut, judge=False)
    assert seen[0].fit.stage == "times"
    assert whole.fit.validation <= cut.fit.validation
    with pytest.raises(UsageError, match="the plan to go on from has 3 calls"):
        dtool.fit(net, calls=4, noises=(12, 8, 8), resume=cut)
    with pytest.raises(UsageError, match="was not fitted"):
        dtool.fit(net, calls=3, resume=dtool.plan("ddim", steps=3))


def test_every_plan_that_is_told_is_better_than_the_one_before():
    seen = []
    plan = dtool.fit(target("gmm:d=2").network(), calls=3, noises=(24, 16, 8), judge=False, on_better=seen.append)
    told = [one.fit.validation for one in seen]
    assert told == sorted(told, reverse=True)
    assert plan.fit.validation == told[-1]


def test_guidance_is_part_of_what_is_fitted():
    net = target("digits-gmm").network()
    plan = dtool.fit(net, calls=1, guidance=2.0, noises=(8, 8, 8), judge=False, labels=[3, 1])
    assert (plan.fit.scale, plan.scale) == (2.0, 2.0)
    dtool.sample(net, plan, n=2)
    with pytest.raises(UsageError, match="was fitted with guidance 2, not 1"):
        dtool.sample(net, plan, n=2, guidance=1.0)
    with pytest.raises(UsageError, match="no table can be fitted with guidance"):
        dtool.fit(net, calls=1, guidance="cfgpp:scale=0.6")
    with pytest.raises(UsageError, match="guidance needs a conditional network"):
        dtool.fit(target("gmm:d=2").network(), calls=1, guidance=2.0)


def test_a_budget_is_calls_or_milliseconds():
    net = target("gmm:d=2").network()
    assert choose_calls(net, None, 1e4, None) > 1
    for calls, ms in ((None, None), (3, 4.0)):
        with pytest.raises(UsageError, match="a budget is a number of calls or of milliseconds"):
            choose_calls(net, calls, ms, None)
    for calls in (0, 33):
        with pytest.raises(UsageError, match=f"calls={calls} is no budget of a fit"):
            choose_calls(net, calls, None, None)
    with pytest.raises(UsageError, match="nothing fits into"):
        choose_calls(net, None, 1e-9, None)
