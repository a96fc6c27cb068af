"""What every noise schedule must be: its tables, the levels between them, and times found again."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dtool.errors import UsageError
from dtool.plugins.registry import get_registry
from dtool.schedulers import get_scheduler
from dtool.schedulers.levels import compute_lam
from dtool.schedulers.schedule import Schedule, from_betas, from_lam
from tests.support.options import random_options, try_options
from tests.support.schedules import COORDINATES, NAMES, VP

# What α and σ satisfy in each of the coordinates.
IS_ONE = {
    "vp": lambda alpha, sigma: alpha**2 + sigma**2,
    "ve": lambda alpha, sigma: alpha,
    "flow": lambda alpha, sigma: alpha + sigma,
    "sub-vp": lambda alpha, sigma: alpha**2 + sigma,
}

TOKENS = [
    *NAMES,
    *(f"{name}:zero_snr=true" for name in VP),
    *(f"{name}:shift=3" for name in NAMES),
    "linear:shift=0.5,zero_snr=true",
    "cosine:T=7",
    "linear:T=50",
    "vp:T=1",
    "sigmoid:tau=0.3",
]


@pytest.mark.parametrize("token", TOKENS)
def test_what_every_schedule_is(token):
    table = get_scheduler(token)
    assert IS_ONE[table.coordinates](table.alpha, table.sigma) == pytest.approx(np.ones(table.T), abs=1e-14)
    assert (np.diff(table.lam) < 0).all()
    assert (np.diff(table.alpha) < 0).all() or table.coordinates == "ve"
    assert table.alpha[0] <= 1
    assert table.sigma[0] > 0
    assert get_scheduler(table.token).hash == table.hash
    with pytest.raises(ValueError, match="read-only"):
        table.alpha[0] = 1.0


@pytest.mark.parametrize("token", TOKENS)
def test_a_whole_time_is_the_table(token):
    table = get_scheduler(token)
    alpha, sigma = table.level(np.arange(table.T))
    assert (alpha == table.alpha).all()
    assert (sigma == table.sigma).all()


@pytest.mark.parametrize("token", TOKENS)
def test_time_and_level_are_inverse(token):
    table = get_scheduler(token)
    times = np.sort(np.random.default_rng(0).uniform(0, table.T - 1, 500))
    alpha, sigma = table.level(times)
    assert IS_ONE[table.coordinates](alpha, sigma) == pytest.approx(np.ones(500), abs=1e-12)
    with np.errstate(divide="ignore"):
        lam = np.log(alpha) - np.log(sigma)
    if table.T > 1:
        assert (np.diff(lam) <= 0).all()
    assert table.time(lam) == pytest.approx(times, abs=1e-6 * table.T)
    assert table.time(table.lam) == pytest.approx(np.arange(table.T), abs=1e-9 * table.T)


def test_levels_outside_are_clamped_in_time():
    table = get_scheduler("vp", T=10)
    assert table.time([100.0, -100.0]).tolist() == [0.0, 9.0]
    assert get_scheduler("vp", T=10, zero_snr=True).time([np.inf, -np.inf]).tolist() == [0.0, 9.0]


@pytest.mark.parametrize("time", [-0.001, 9.001, np.nan])
def test_a_time_outside_is_refused(time):
    with pytest.raises(UsageError, match="outside this schedule's 0 … 9"):
        get_scheduler("vp", T=10).level(time)


def test_a_table_that_is_no_schedule():
    with pytest.raises(UsageError, match="does not rise"):
        Schedule(np.array([0.5, 0.5]), np.array([0.9, 0.9]))
    with pytest.raises(UsageError, match="not a finite table"):
        Schedule(np.array([0.5, np.nan]), np.array([0.8, 0.9]))
    with pytest.raises(UsageError, match="no betas"):
        from_betas([])


def test_small_betas_keep_their_digits():
    table = from_betas(np.full(10, 1e-14))
    assert table.sigma**2 == pytest.approx(1e-14 * np.arange(1, 11), rel=1e-6)


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("seed", range(3))
def test_the_same_lambda_in_every_coordinates(coordinates, seed):
    """Between whole times: the table's interval, and in all coordinates but flow the very same λ."""
    rng = np.random.default_rng(seed)
    lam = np.sort(rng.uniform(-6, 6, 20))[::-1]
    table, vp = from_lam(lam, coordinates), from_lam(lam)
    times = rng.uniform(0, 19, 100)
    found = np.log(table.level(times)[0]) - np.log(table.level(times)[1])
    assert table.time(found) == pytest.approx(times, abs=1e-8)
    assert (found <= lam[np.floor(times).astype(int)]).all()
    assert (found >= lam[np.ceil(times).astype(int)]).all()
    if coordinates != "flow":
        assert found == pytest.approx(np.log(vp.level(times)[0]) - np.log(vp.level(times)[1]), abs=1e-9)


@pytest.mark.parametrize("token", ["jsd", "flow", "trigflow", "cosine:zero_snr=true", "flow:terminal=0.2"])
@pytest.mark.parametrize("total", [1, 2, 50])
def test_a_silent_end(token, total):
    """Up to the level without signal, times are found again, and the levels stay finite."""
    if token.startswith("cosine") and total == 1:
        pytest.skip("refused: see test_what_is_refused")
    table = get_scheduler(token, T=total)
    times = np.linspace(0, total - 1, 201)
    alpha, sigma = table.level(times)
    assert np.isfinite([alpha, sigma]).all()
    assert alpha[-1] == 0
    with np.errstate(divide="ignore"):
        lam = np.log(alpha) - np.log(sigma)
    assert table.time(lam) == pytest.approx(times, abs=1e-6)
    assert table.time([-np.inf, np.inf]).tolist() == [total - 1, 0]


@pytest.mark.parametrize(
    ("token", "cause"),
    [
        ("flow:shift=2,mu=1", "shift, mu and tokens all say"),
        ("flow:mu=1,tokens=256", "shift, mu and tokens all say"),
        ("flow:terminal=1", "terminal='1' is refused"),
        ("edm:sigma_min=80", "sigma_min=80.0 is not below sigma_max=80.0"),
        ("ve:sigma_max=0.001", "is not below sigma_max=0.001"),
        ("simple-diffusion:logsnr_max=-15", "is not below logsnr_max=-15.0"),
        ("const:T=2", "numbers in"),
        ("linear:shift=0", "shift='0' is refused"),
        ("vp:T=1,zero_snr=true", "at least two steps"),
    ],
)
def test_what_is_refused(token, cause):
    with pytest.raises(UsageError, match=cause) as error:
        get_scheduler(token)
    assert error.value.hint


def test_levels_of_other_coordinates_are_refused():
    table = from_betas([0.1, 0.3])
    with pytest.raises(UsageError, match="not in flow coordinates"):
        Schedule(table.alpha, table.sigma, coordinates="flow")


def test_small_lambda_steps_keep_their_digits():
    lam = 20 - np.arange(5) * 1e-6
    for coordinates in COORDINATES:
        assert from_lam(lam, coordinates).lam == pytest.approx(lam, abs=1e-12)


def test_betas_are_told_in_which_direction():
    with pytest.raises(UsageError, match="there is 2") as caught:
        from_betas([0.1, 2])
    assert "smaller betas" in caught.value.hint
    with pytest.raises(UsageError, match=r"there is -0\.1") as caught:
        from_betas([-0.1])
    assert caught.value.hint == "use larger betas"


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_time_is_found_again_by_its_level_whatever_the_options(name, data):
    maker = get_registry().schedulers.get(name)
    options = data.draw(random_options(maker.model))
    table = try_options(lambda: maker(**options))
    if table is None:
        return
    assert (np.diff(table.lam) < 0).all()
    # Where levels lie so close together that float64 hardly tells them apart, it cannot tell their times either.
    apart = np.abs(np.diff(table.sigma if table.coordinates == "flow" else table.lam)).min(initial=np.inf)
    assume(apart > 1e-9)
    times = st.integers(0, 1000 * (table.T - 1)).map(lambda part: part / 1000)
    wanted = np.sort(data.draw(st.lists(times, min_size=1, max_size=8, unique=True)))
    lam = compute_lam(*table.level(wanted))
    assert (np.diff(lam) < 0).all()
    rounding = 64 * np.finfo(float).eps * (1 + np.abs(lam[np.isfinite(lam)]).max(initial=0)) / apart  # in steps
    assert table.time(lam) == pytest.approx(wanted, abs=1e-6 * table.T + rounding)
