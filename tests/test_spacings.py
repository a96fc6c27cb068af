"""Spacings: exactly n falling times, for every n; and each one's formula in exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.plan import CLEAN, grid
from dtool.plugins.registry import registry
from dtool.schedulers import schedule, spacing

EVERY = [entry for entry in registry().spacings if entry.provider.name == "dtool"]
# Those that give what they are told, those that take only some n (see test_more_spacings), and all the others.
TOLD, CHOOSY, RISING = ("list", "file"), ("ays", "lcm", "ddim-uniform", "linear-quadratic"), ("restart", "repaint")
NAMES = [entry.name for entry in EVERY if entry.name not in (*TOLD, *CHOOSY, *RISING)]
BOTH_ENDS = [name for name in NAMES if name not in ("beta", "sgm-uniform")]
WITH_OPTIONS = [
    *NAMES,
    "quadratic:reach=0.8",
    "karras:rho=3",
    "polyexponential:rho=3",
    "linspace:compat=diffusers",
    "leading:compat=diffusers",
    "trailing:compat=diffusers",
    "trailing:whole=false",
    "beta:compat=diffusers",
    "beta:alpha=2,beta=0.5",
    'karras:over="trailing"',
]
# Step counts at which np.arange(T, 0, -T/n) has one element too many, T = 1,000.
BAD = [n for n in range(1, 1001) if len(np.arange(1000, 0, -1000 / n)) != n]


def is_falling(times, n, last):
    return times.shape == (n,) and (np.diff(times) < 0).all() and times.min() >= 0 and times.max() <= last


@pytest.mark.parametrize("token", WITH_OPTIONS)
def test_exactly_n_steps_for_every_n(token):
    place = spacing(token)
    table = schedule("linear")
    for n in (*range(1, 40), *BAD, *range(40, 1001, 31), 500, 501, 999, 1000):
        assert is_falling(place(table, n), n, 999), (token, n)


@pytest.mark.parametrize("token", NAMES)
@pytest.mark.parametrize(
    "levels",
    [
        *("linear:T=1", "cosine:T=2", "cosine:T=7", "sigmoid:T=50", "sigmoid:T=50,zero_snr=true"),
        *("edm:T=1", "ve:T=2", "edm:T=50", "flow:T=1", "flow:T=2", "flow:T=50,shift=3", "jsd:T=2", "sub-vp:T=50"),
    ],
)
def test_short_schedules(token, levels):
    table = schedule(levels)
    for n in range(1, table.T + 1):
        times = spacing(token)(table, n)
        assert is_falling(times, n, table.T - 1), (token, levels, n)
        points = grid(table, spacing(token), n)
        assert len(points) == n + 1
        assert points[-1] == CLEAN
        assert [p.t for p in points[:-1]] == times.tolist()


def test_the_bad_step_counts_are_the_known_ones():
    assert len(BAD) == 62
    assert BAD[:3] == [61, 103, 121]


@pytest.mark.parametrize("n", BAD)
def test_trailing_in_exact_arithmetic(n):
    times = spacing("trailing")(schedule("linear"), n)
    assert times.tolist() == [round(Fraction(1000 * (n - i), n)) - 1 for i in range(n)]


@pytest.mark.parametrize("total", [1, 2, 7, 50, 1000])
def test_formulas_in_exact_arithmetic(total):
    table = schedule("cosine", T=total)
    for n in range(1, total + 1, max(1, total // 50)):
        found = {name: spacing(name)(table, n).tolist() for name in ("trailing", "leading", "linspace")}
        assert found["trailing"] == [round(Fraction(total * (n - i), n)) - 1 for i in range(n)]
        assert found["leading"] == [Fraction(i * total, n).__floor__() for i in reversed(range(n))]
        gaps = max(n - 1, 1)
        assert found["linspace"] == [total - 1 - round(Fraction(i * (total - 1), gaps)) for i in range(n)]


@pytest.mark.parametrize("name", BOTH_ENDS)
def test_every_step_is_every_step(name):
    """n = T: spacings by whole times must give all of them."""
    table = schedule("linear", T=50)
    if name in ("trailing", "leading", "linspace", "quadratic"):
        assert spacing(name)(table, 50).tolist() == list(range(50))[::-1]
    assert spacing(name)(table, 50)[[0, -1]].tolist() == [49, 0]


@pytest.mark.parametrize("levels", ["linear", "cosine", "vp:T=100"])
@pytest.mark.parametrize("n", [2, 5, 40])
def test_logsnr_is_even_in_lambda(levels, n):
    table = schedule(levels)
    alpha, sigma = table.level(spacing("logsnr")(table, n))
    lam = np.log(alpha) - np.log(sigma)
    assert lam == pytest.approx(np.linspace(table.lam[-1], table.lam[0], n), abs=1e-7)


@pytest.mark.parametrize("rho", [1.0, 3.0, 7.0])
def test_karras_is_even_in_a_power_of_v(rho):
    table = schedule("linear")
    alpha, sigma = table.level(spacing("karras", rho=rho)(table, 12))
    steps = np.diff((sigma / alpha) ** (1 / rho))
    assert steps == pytest.approx(np.full(11, steps[0]), rel=1e-6)


@pytest.mark.parametrize("name", ["logsnr", "karras", "polyexponential", "kl-optimal", "beta:compat=diffusers"])
@pytest.mark.parametrize("levels", ["linear:zero_snr=true", "flow", "jsd"])
@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_a_level_without_signal_comes_first(name, levels, n):
    table = schedule(levels)
    points = grid(table, spacing(name), n)
    assert points[0].alpha == 0
    assert all(p.alpha > 0 for p in points[1:])


def test_quadratic_is_dense_near_the_image():
    times = spacing("quadratic")(schedule("linear"), 10)
    assert times.tolist() == [int(999 * (i / 9) ** 2) for i in reversed(range(10))]
    assert spacing("quad", reach=0.8)(schedule("linear"), 10)[0] == int(0.8 * 999)


def test_own_times():
    place = spacing("list:times=999;750.5;20")
    assert place(schedule("linear"), 3).tolist() == [999, 750.5, 20]
    assert spacing(place.token).options == place.options


@pytest.mark.parametrize(
    ("token", "n", "cause"),
    [
        ("trailing", 0, "0 steps cannot be had from a schedule of 50"),
        ("trailing", 51, "51 steps cannot be had from a schedule of 50"),
        ("trailing", -1, "-1 steps cannot be had"),
        ("leading:offset=10", 50, "beyond T-1"),
        ("list:times=40;30", 3, "2 times were given for 3 steps"),
        ("list:times=30;40", 2, "gives no 2 falling times"),
        ("list:times=40;40", 2, "gives no 2 falling times"),
        ("list:times=50;40", 2, "times must lie in 0 … 49"),
        ("list:times=40;-1", 2, "times must lie in 0 … 49"),
        ("list:times=40;x", 2, "cannot read the times"),
        ("list", 2, "list needs the option 'times'"),
        ("karras:rho=0", 5, "karras: rho='0' is refused"),
        ("trailing:rho=5", 5, "trailing has no option 'rho'"),
        ("trailling", 5, "there is no spacing 'trailling'"),
    ],
)
def test_what_is_refused(token, n, cause):
    with pytest.raises(UsageError, match=cause) as error:
        spacing(token)(schedule("linear", T=50), n)
    assert error.value.hint


def test_leading_with_an_offset():
    assert spacing("leading:offset=1")(schedule("linear"), 50).tolist() == [20 * i + 1 for i in reversed(range(50))]
