"""Noise schedules: closed formulas written down a second time, and what every schedule must be."""

import json
from dataclasses import replace
from math import cos, exp, pi, tanh

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.networks.spec import schedule_of
from dtool.plugins.registry import registry
from dtool.schedulers import schedule
from dtool.schedulers.schedule import Schedule, from_betas

NAMES = [entry.name for entry in registry().schedulers if entry.name != "betas" and entry.provider.name == "dtool"]
VP = [name for name in NAMES if schedule(name).coordinates == "vp"]
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


def alpha_bar(betas):
    """ᾱ as a running product in extended precision."""
    return np.cumprod(1 - np.asarray(betas, dtype=np.longdouble)).astype(np.float64)


@pytest.mark.parametrize("token", TOKENS)
def test_what_every_schedule_is(token):
    table = schedule(token)
    assert IS_ONE[table.coordinates](table.alpha, table.sigma) == pytest.approx(np.ones(table.T), abs=1e-14)
    assert (np.diff(table.lam) < 0).all()
    assert (np.diff(table.alpha) < 0).all() or table.coordinates == "ve"
    assert table.alpha[0] <= 1
    assert table.sigma[0] > 0
    assert schedule(table.token).hash == table.hash
    with pytest.raises(ValueError, match="read-only"):
        table.alpha[0] = 1.0


@pytest.mark.parametrize(("T", "scale"), [(1000, 1.0), (100, 10.0), (4000, 0.25)])
def test_linear(T, scale):  # noqa: N803
    betas = [scale * (1e-4 + (0.02 - 1e-4) * i / (T - 1)) for i in range(T)]
    table = schedule("linear", T=T)
    assert table.alpha**2 == pytest.approx(alpha_bar(betas), rel=1e-12)
    assert table.sigma**2 == pytest.approx(1 - alpha_bar(betas), rel=1e-10)
    assert table.betas == pytest.approx(betas, rel=1e-9)


def test_linear_end_is_that_of_ddpm():
    table = schedule("linear")
    assert table.alpha[-1] ** 2 == pytest.approx(4.04e-5, rel=2e-3)
    assert table.sigma[0] / table.alpha[0] == pytest.approx(0.0100, abs=1e-4)
    assert table.sigma[-1] / table.alpha[-1] == pytest.approx(157.4, abs=0.05)


def test_scaled_linear_is_that_of_latent_diffusion():
    betas = [(0.00085**0.5 + (0.012**0.5 - 0.00085**0.5) * i / 999) ** 2 for i in range(1000)]
    table = schedule("scaled-linear")
    assert table.alpha**2 == pytest.approx(alpha_bar(betas), rel=1e-12)
    assert (table.sigma / table.alpha)[[0, -1]] == pytest.approx([0.0292, 14.615], abs=5e-3)
    assert schedule("quadratic").hash == table.hash


@pytest.mark.parametrize("T", [10, 1000])
def test_cosine(T):  # noqa: N803
    """ᾱ telescopes: β = 1 - f(t+1)/f(t), so that all but the capped last level are f(t+1)/f(0)."""
    table = schedule("cosine", T=T)
    f = [cos((i / T + 0.008) / 1.008 * pi / 2) ** 2 for i in range(T + 1)]
    assert (table.alpha**2)[:-1] == pytest.approx([value / f[0] for value in f[1:-1]], rel=1e-9)
    assert table.betas[-1] == pytest.approx(0.999, rel=1e-9)
    assert (table.betas[:-1] < 0.999).all()


def test_cosine_cap():
    table = schedule("cosine")
    assert table.alpha[-1] ** 2 == pytest.approx(2.4e-9, rel=0.02)
    assert table.sigma[-1] / table.alpha[-1] == pytest.approx(20291, rel=1e-3)


def test_sigmoid():
    """Chen's ᾱ(u) = (s(3) - s(6u - 3)) / (s(3) - s(-3)), with s(y) = (1 + tanh(y/2))/2."""
    table = schedule("sigmoid", T=100)
    s = lambda y: (1 + tanh(y / 2)) / 2  # noqa: E731
    expected = [(s(3) - s(6 * (i + 1) / 100 - 3)) / (s(3) - s(-3)) for i in range(99)]
    assert (table.alpha**2)[:-1] == pytest.approx(expected, rel=1e-9)
    assert table.betas[-1] == pytest.approx(0.999, rel=1e-9)


def test_sigmoid_beta_is_another_thing():
    betas = [1e-4 + (0.02 - 1e-4) / (1 + exp(-(-6 + 12 * i / 999))) for i in range(1000)]
    assert schedule("sigmoid-beta").betas == pytest.approx(betas, rel=1e-8)


def test_vp_is_the_integral_of_its_beta():
    """log ᾱ(u) = -∫ β, β = 0.1 + 19.9 u; the integral by Simpson's rule, exact for a straight line."""
    table = schedule("vp", T=40)
    for i in (0, 7, 39):
        u = (i + 1) / 40
        integral = u / 6 * (0.1 + 4 * (0.1 + 19.9 * u / 2) + 0.1 + 19.9 * u)
        assert table.alpha[i] ** 2 == pytest.approx(exp(-integral), rel=1e-12)
    fine, discrete = schedule("vp", T=1000), schedule("vp", T=1000)
    assert np.abs(fine.alpha - discrete.alpha).max() < 0.002, "the limit of linear"


@pytest.mark.parametrize("name", [name for name in VP if schedule(name).alpha[-1] > 0])
def test_zero_snr(name):
    """arXiv:2305.08891: √ᾱ is shifted to end at 0 and stretched to keep its first value; the rest stays in order."""
    plain, zero = schedule(name), schedule(name, zero_snr=True)
    assert zero.alpha[-1] == 0
    assert zero.sigma[-1] == 1
    assert zero.alpha[0] == pytest.approx(plain.alpha[0], rel=1e-15)
    assert zero.token == f"{name}:zero_snr=true"
    expected = plain.alpha[0] * (plain.alpha - plain.alpha[-1]) / (plain.alpha[0] - plain.alpha[-1])
    assert zero.alpha == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("token", TOKENS)
def test_a_whole_time_is_the_table(token):
    table = schedule(token)
    alpha, sigma = table.level(np.arange(table.T))
    assert (alpha == table.alpha).all()
    assert (sigma == table.sigma).all()


@pytest.mark.parametrize("token", TOKENS)
def test_time_and_level_are_inverse(token):
    table = schedule(token)
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
    table = schedule("vp", T=10)
    assert table.time([100.0, -100.0]).tolist() == [0.0, 9.0]
    assert schedule("vp", T=10, zero_snr=True).time([np.inf, -np.inf]).tolist() == [0.0, 9.0]


@pytest.mark.parametrize("time", [-0.001, 9.001, np.nan])
def test_a_time_outside_is_refused(time):
    with pytest.raises(UsageError, match="outside this schedule's 0 … 9"):
        schedule("vp", T=10).level(time)


@pytest.mark.parametrize("write", ["npy", "json", "txt", "csv"])
def test_betas_from_a_file(tmp_path, write):
    betas = [0.01, 0.05, 0.2, 0.5]
    path = tmp_path / f"betas.{write}"
    if write == "npy":
        np.save(path, betas)
    else:
        separator = {"json": None, "txt": "\n", "csv": ", "}[write]
        path.write_text(json.dumps(betas) if separator is None else separator.join(map(str, betas)))
    table = schedule("betas", path=str(path))
    assert table.betas == pytest.approx(betas, rel=1e-12)
    assert schedule(table.token).hash == table.hash, "a path survives being written in a token"


@pytest.mark.parametrize("text", ["", "0.1 nonsense", "0.1 0.0", "0.1 1.5", "nan"])
def test_a_file_that_holds_no_betas(tmp_path, text):
    path = tmp_path / "betas.txt"
    path.write_text(text)
    with pytest.raises(UsageError, match="betas"):
        schedule("betas", path=str(path))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot read betas") as error:
        schedule("betas", path=str(tmp_path / "none.npy"))
    assert "give a" in error.value.hint


@pytest.mark.parametrize(
    ("token", "cause"),
    [
        ("cosin", "there is no scheduler 'cosin'"),
        ("cosine:S=1", "cosine has no option 'S'"),
        ("cosine:s=-1", "cosine: s='-1' is refused"),
        ("cosine:T=0", "cosine: T='0' is refused"),
        ("cosine:T=2.5", "cosine: T='2.5' is refused"),
        ("cosine:", "is not of the form"),
        ("cosine:s=1,s=2", "given twice"),
        ("linear:T=10", "numbers in"),
        ("linear:T=1,zero_snr=true", None),
        ("sigmoid:start=3", "start=3.0 is not below end=3.0"),
        ("betas", "betas needs the option 'path'"),
    ],
)
def test_what_is_refused(token, cause):
    with pytest.raises(DtoolError, match=cause) as error:
        schedule(token)
    assert error.value.exit_code == 2
    assert error.value.hint


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


def test_other_tables_are_not_called_by_the_first_ones_name():
    whole = schedule("linear")
    half = replace(whole, alpha=whole.alpha[:500], sigma=whole.sigma[:500])
    wide = replace(schedule("ve"), sigma=2 * schedule("ve").sigma)
    for table in (half, wide):
        assert (table.token, table.cite, table.portable) == ("", "", False)
        spec = dtool.NetworkSpec(shape=(1, 4, 4), schedule=table)
        assert schedule_of(spec).hash == table.hash
        assert dtool.plan("ddim", scheduler=table, steps=3).recipe == "ddim@custom"
    assert replace(whole, cite="another").token == whole.token
