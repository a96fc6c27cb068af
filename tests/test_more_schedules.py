"""Schedules beyond DDPM's: formulas written down a second time, coordinates, and how the transforms compose."""

from math import atan, cos, exp, expm1, log, pi, sin, sqrt, tan

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.schedulers import schedule
from dtool.schedulers.schedule import Schedule, from_betas, from_lam, on_coordinates

COORDINATES = ("vp", "ve", "flow", "sub-vp")


def log_snr(token):
    return 2 * schedule(token).lam


def test_const_and_exp():
    assert schedule("const").betas == pytest.approx(np.full(1000, 0.02), rel=1e-9)
    assert schedule("const:T=100,beta=0.01").betas == pytest.approx(np.full(100, 0.1), rel=1e-9)
    for total in (1, 10, 1000):
        alpha_bar = schedule("exp", T=total).alpha_bar
        assert alpha_bar == pytest.approx([exp(-12 * (i + 1) / total) for i in range(total)], rel=1e-9)


@pytest.mark.parametrize("total", [1, 2, 50, 1000])
def test_jsd_erases_the_same_share_each_time(total):
    table = schedule("jsd", T=total)
    assert table.alpha_bar == pytest.approx([1 - (i + 1) / total for i in range(total)], rel=1e-9, abs=1e-14)
    assert table.alpha[-1] == 0


def test_sqrt():
    table = schedule("sqrt", T=100)
    assert table.alpha_bar[:-1] == pytest.approx([1 - sqrt((i + 1) / 100 + 1e-4) for i in range(99)], rel=1e-9)
    assert table.betas[-1] == pytest.approx(0.999, rel=1e-9)


def test_laplace():
    found = log_snr("laplace:T=10,mu=0.3,b=0.7")
    u = [(i + 0.5) / 10 for i in range(10)]
    expected = [0.3 - 0.7 * (1 if x < 0.5 else -1) * log(1 - 2 * abs(x - 0.5)) for x in u]
    assert found == pytest.approx(expected, rel=1e-12)
    assert (np.diff(log_snr("laplace")) < 0).all()
    assert log_snr("laplace") == pytest.approx(-log_snr("laplace")[::-1], abs=1e-9), "symmetric about mu = 0"


def test_vdm():
    for i in (0, 20, 49):
        u = (i + 1) / 50
        assert log_snr("vdm-linear:T=50")[i] == pytest.approx(-log(expm1(1e-4 + 10 * u * u)), rel=1e-12)
    own, cosine = schedule("vdm-cosine").alpha_bar, schedule("cosine").alpha_bar
    for i in (0, 500, 998):
        assert own[i] == pytest.approx(cos(((i + 1) / 1000 + 0.008) / 1.008 * pi / 2) ** 2, rel=1e-9)
    assert own[:-1] / cosine[:-1] == pytest.approx(np.full(999, cos(0.008 / 1.008 * pi / 2) ** 2), rel=1e-9)


@pytest.mark.parametrize(("image_d", "noise_d"), [(64, 64), (256, 32), (32, 64)])
def test_simple_diffusion(image_d, noise_d):
    found = log_snr(f"simple-diffusion:image_d={image_d},noise_d={noise_d}")
    low, high = atan(exp(-7.5)), atan(exp(7.5))
    for i in (0, 400, 999):
        plain = -2 * log(tan(low + (i + 1) / 1000 * (high - low)))
        assert found[i] == pytest.approx(plain + 2 * log(noise_d / image_d), abs=1e-9)
    assert found[-1] == pytest.approx(-15 + 2 * log(noise_d / image_d), abs=1e-9)


def test_edm_is_karras_spaced():
    table = schedule("edm", T=40)
    assert (table.alpha == 1).all()
    assert table.sigma[[0, -1]] == pytest.approx([0.002, 80], rel=1e-12)
    gaps = np.diff(table.sigma ** (1 / 7))
    assert gaps == pytest.approx(np.full(39, gaps[0]), rel=1e-9)
    assert schedule("edm", T=1).sigma == pytest.approx([80], rel=1e-12), "one level is the noisiest"


def test_ve_is_geometric():
    table = schedule("ve:T=30,sigma_min=0.02,sigma_max=100")
    assert table.sigma == pytest.approx([0.02 * (100 / 0.02) ** (i / 29) for i in range(30)], rel=1e-12)


def test_sub_vp_has_the_mean_of_vp():
    own, vp = schedule("sub-vp"), schedule("vp")
    assert (own.alpha == vp.alpha).all()
    assert own.sigma == pytest.approx(vp.sigma**2, rel=1e-12)


def test_flow_and_its_shifts():
    table = schedule("flow", T=8)
    assert table.sigma == pytest.approx([(i + 1) / 8 for i in range(8)], rel=1e-15)
    assert table.alpha[-1] == 0
    shifted = schedule("flow:T=8,shift=3")
    assert shifted.sigma == pytest.approx(3 * table.sigma / (1 + 2 * table.sigma), rel=1e-12)
    assert schedule(f"flow:T=8,mu={log(3)}").sigma == pytest.approx(shifted.sigma, rel=1e-12)
    for tokens, mu in ((256, 0.5), (4096, 1.15), (1024, 0.5 + 0.65 * 768 / 3840)):
        dynamic = exp(mu) / (exp(mu) + (1 / table.sigma - 1))
        assert schedule(f"flow:T=8,tokens={tokens}").sigma == pytest.approx(dynamic, rel=1e-12)
    stretched = schedule("flow:T=8,shift=3,terminal=0.1")
    assert stretched.sigma == pytest.approx(1 - (1 - shifted.sigma) * 0.9 / (1 - shifted.sigma[0]), rel=1e-12)
    assert stretched.sigma[[0, -1]] == pytest.approx([0.1, 1], rel=1e-12)


def test_trigflow():
    table = schedule("trigflow", T=10)
    theta = [pi / 2 * (i + 1) / 10 for i in range(10)]
    assert table.alpha[:-1] == pytest.approx([cos(x) for x in theta[:-1]], rel=1e-12)
    assert table.sigma == pytest.approx([sin(x) for x in theta], rel=1e-12)
    assert table.alpha[-1] == 0


@pytest.mark.parametrize("name", ["linear", "cosine", "sub-vp", "edm", "flow", "trigflow", "jsd"])
@pytest.mark.parametrize("k", [0.3, 2.0])
def test_a_shift_multiplies_the_noise(name, k):
    plain, shifted = schedule(name), schedule(name, shift=k)
    assert shifted.coordinates == plain.coordinates
    with np.errstate(divide="ignore"):
        v = plain.sigma / plain.alpha
        assert shifted.sigma / shifted.alpha == pytest.approx(k * v, rel=1e-9)


def test_the_shift_comes_before_zero_snr():
    """The stretch keeps the first level of the shifted schedule, not of the plain one."""
    both = schedule("cosine:T=50,shift=2,zero_snr=true")
    shifted = schedule("cosine:T=50,shift=2")
    assert both.alpha[0] == pytest.approx(shifted.alpha[0], rel=1e-14)
    assert both.alpha[-1] == 0
    first, last = shifted.alpha[0], shifted.alpha[-1]
    assert both.alpha == pytest.approx(first * (shifted.alpha - last) / (first - last), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", ["ve", "edm", "sub-vp", "flow"])
def test_zero_snr_is_for_vp(name):
    with pytest.raises(UsageError, match="variance-preserving") as error:
        schedule(name, zero_snr=True)
    assert error.value.hint


def test_zero_snr_leaves_a_schedule_that_ends_so():
    assert schedule("jsd:zero_snr=true").hash == schedule("jsd").hash
    assert schedule("trigflow:zero_snr=true").hash == schedule("trigflow").hash


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_levels_in_every_coordinates(coordinates):
    """λ is what it should be, at both extremes too, and at the infinite ends where these coordinates have them."""
    lam = np.array([-300.0, -40.0, -5.0, 0.0, 1e-9, 5.0, 40.0, 300.0])
    alpha, sigma = on_coordinates(lam, coordinates)
    assert np.log(alpha) - np.log(sigma) == pytest.approx(lam, rel=1e-12, abs=1e-12)
    alpha, sigma = on_coordinates(np.array([np.inf, -np.inf]), coordinates)
    assert alpha[0] == 1
    assert sigma[0] == 0
    if coordinates != "ve":
        assert alpha[1] == 0
        assert sigma[1] == 1


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
    table = schedule(token, T=total)
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
        schedule(token)
    assert error.value.hint


def test_levels_of_other_coordinates_are_refused():
    table = from_betas([0.1, 0.3])
    with pytest.raises(UsageError, match="not in flow coordinates"):
        Schedule(table.alpha, table.sigma, coordinates="flow")


def test_small_lambda_steps_keep_their_digits():
    lam = 20 - np.arange(5) * 1e-6
    for coordinates in COORDINATES:
        assert from_lam(lam, coordinates).lam == pytest.approx(lam, abs=1e-12)
