"""Spacings one by one: their formulas written down a second time, their end points, what is refused, and why."""

from itertools import pairwise
from math import atan, cos, exp, log, pi, tan

import numpy as np
import pytest

from dtool import plan
from dtool.errors import UsageError
from dtool.plan import CLEAN, grid
from dtool.schedulers import schedule, spacing
from dtool.schedulers.beta import quantile
from dtool.schedulers.spacing import WrongTimesError
from dtool.schedulers.spacing import spacing as make_spacing
from dtool.testing.levels import examine_steps

LINEAR = schedule("linear")
LATENT = schedule("scaled-linear")
EDM = schedule("edm")


def v_of(points):
    return np.array([p.v for p in points])


def levels(token, table, n):
    """σ/α where the steps begin and where the last ends."""
    return v_of(grid(table, spacing(token), n))


# Formulas


def test_edm_grid():
    """arXiv:2206.00364, eq. 5 with the paper's ends, on a variance-preserving schedule that reaches them."""
    table = schedule("simple-diffusion:image_d=1024")
    found = levels("karras:sigma_min=0.05,sigma_max=80", table, 18)
    expected = [(80 ** (1 / 7) + i / 17 * (0.05 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(18)]
    assert found == pytest.approx([*expected, 0.0], rel=1e-9)
    own = [(80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(18)]
    assert levels("karras", EDM, 18) == pytest.approx([*own, 0.0], rel=1e-9)


def test_exponential_and_polyexponential():
    high, low = 157.4, 0.0101
    table = EDM.__class__(np.ones(3), np.array([0.0101, 1.0, 157.4]), coordinates="ve")
    ramp = [1 - i / 8 for i in range(9)]
    assert levels("exponential", table, 3)[:2] == pytest.approx([high, (high * low) ** 0.5], rel=1e-9)
    for rho in (1.0, 2.5):
        expected = [exp(u**rho * (log(80) - log(0.002)) + log(0.002)) for u in ramp]
        assert levels(f"polyexponential:rho={rho}", EDM, 9)[:-1] == pytest.approx(expected, rel=1e-8)


def test_kl_optimal():
    expected = [tan(i / 11 * atan(0.002) + (1 - i / 11) * atan(80)) for i in range(12)]
    assert levels("kl_optimal", EDM, 12)[:-1] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("a", "b"), [(0.6, 0.6), (0.3, 1.5), (2.0, 5.0), (1.0, 1.0), (10.0, 0.3)])
def test_beta_quantiles(a, b):
    stats = pytest.importorskip("scipy.stats")
    p = np.concatenate([[0, 1e-9], np.linspace(0.001, 1, 300)])
    assert quantile(p, a, b) == pytest.approx(stats.beta.ppf(p, a, b), rel=1e-10, abs=1e-14)


def test_beta_is_that_of_comfyui_before_rounding():
    stats = pytest.importorskip("scipy.stats")
    found = spacing("beta")(LATENT, 20)
    assert found == pytest.approx(999 * stats.beta.ppf(1 - np.arange(20) / 20, 0.6, 0.6), abs=1e-9)


@pytest.mark.parametrize("n", [1, 2, 10, 31])
def test_linear_quadratic(n):
    """Half of the steps at a distance of 0.025/half, then a parabola that leaves with that slope and ends at 0."""
    half = n // 2
    sigma = [1 - 0.025 * i / half for i in range(half)]
    if n > 1:
        a = (half - 0.025 * n) / (half * (n - half) ** 2)
        b = 0.025 / half - 2 * (half - 0.025 * n) / (n - half) ** 2
        sigma += [1 - (a * i * i + b * i + a * half**2) for i in range(half, n)]
    else:
        sigma = [1.0]
    found = [p.sigma for p in grid(schedule("flow"), spacing("linear-quadratic"), n)]
    assert found == pytest.approx([*sigma, 0.0], abs=1e-9)


def test_by_time():
    """The names of user interfaces: fractional, rounded down, without the last."""
    assert spacing("normal")(LATENT, 4).tolist() == [999, 666, 333, 0]
    assert spacing("sgm_uniform")(LATENT, 3).tolist() == [999, 666, 333]
    assert spacing("simple")(LATENT, 3).tolist() == [999, 999 - 333, 999 - 666]
    assert spacing("simple")(LATENT, 7).tolist() == [999 - int(i * 1000 / 7) for i in range(7)]
    assert spacing("ddim_uniform")(LATENT, 20).tolist() == [50 * i + 1 for i in reversed(range(20))]
    assert spacing("lcm")(LATENT, 4).tolist() == [999, 759, 499, 259]
    assert spacing("trailing:whole=false")(LATENT, 3) == pytest.approx([999, 1000 * 2 / 3 - 1, 1000 / 3 - 1])


def test_trailing_on_a_flow_is_that_of_flux():
    found = [p.sigma for p in grid(schedule("flow"), spacing("trailing:whole=false"), 28)]
    assert found == pytest.approx([1 - i / 28 for i in range(29)], abs=1e-12)


def test_sections():
    """OpenAI's: parts of equal length, the first ones longer by the remainder, evenly from first to last."""
    expected = sorted([round(i * 333 / 9) for i in range(10)] + [334 + round(i * 332 / 14) for i in range(15)])
    expected += [667 + round(i * 332 / 19) for i in range(20)]
    for token in ("sections:counts=10;15;20", 'sections:counts="10,15,20"'):
        assert spacing(token)(LINEAR, 45).tolist() == expected[::-1]
    assert spacing("sections:counts=ddim50")(LINEAR, 50).tolist() == list(range(0, 1000, 20))[::-1]
    assert spacing("sections:counts=1;1")(LINEAR, 2).tolist() == [500, 0]
    assert spacing("sections")(LINEAR, 10).tolist() == [round(i * 111) for i in reversed(range(10))]


def test_align_your_steps():
    found = levels("ays", LATENT, 10)
    assert found[[0, 1, 9, 10]] == pytest.approx([14.6146412293, 6.4745760956, 0.1515232662, 0], rel=1e-6)
    twice = levels("ays:table=sdxl", LATENT, 20)
    assert twice[[0, 2, 18]] == pytest.approx([14.6146412293, 6.3184485287, 0.1114188177], rel=1e-6)
    assert twice[1] == pytest.approx((14.6146412293 * 6.3184485287) ** 0.5, rel=1e-6)
    assert levels("ays:table=svd", schedule("edm:sigma_max=700"), 10)[:3] == pytest.approx(
        [700, 54.5, 15.886], rel=1e-6
    )
    assert levels("ays:end=sigma_min", LATENT, 10)[-1] == pytest.approx(0.0291671582, rel=1e-4)


@pytest.mark.parametrize("write", ["txt", "json"])
def test_a_file_of_times(tmp_path, write):
    path = tmp_path / f"times.{write}"
    path.write_text("[900, 500.5, 3]" if write == "json" else "900, 500.5\n3")
    place = spacing("file", path=str(path))
    assert place(LINEAR, 3).tolist() == [900, 500.5, 3]
    assert grid(LINEAR, spacing("file", path=str(path), end="sigma_min"), 2)[-1].t == 3
    with pytest.raises(UsageError, match="3 times were given for 4 steps"):
        place(LINEAR, 4)


def test_levels_one_by_one():
    assert levels("list:times=14.6;3;0.5,unit=v", LATENT, 3) == pytest.approx([14.6, 3, 0.5, 0], rel=1e-9)
    assert spacing('list:times="999,2.5"')(LINEAR, 2).tolist() == [999, 2.5]


# Where the steps end


@pytest.mark.parametrize("table", [LINEAR, EDM, schedule("flow"), schedule("sub-vp")])
@pytest.mark.parametrize("name", ["trailing", "linspace", "karras", "logsnr", "beta", "normal"])
@pytest.mark.parametrize("n", [1, 7])
def test_ends(table, name, n):
    place = spacing(name)
    assert grid(table, place, n)[-1] == CLEAN
    last = grid(table, spacing(name, end="sigma_min"), n)
    assert len(last) == n + 1
    assert [p.t for p in last] == pytest.approx(place(table, n + 1).tolist()), "n + 1 are placed, the last is the end"
    first = grid(table, spacing(name, end="alpha_bar_0"), n)
    assert len(first) == n + 1
    assert (first[-1].alpha, first[-1].sigma) == (table.alpha[0], table.sigma[0])
    more = place(table, n)[-1] == 0
    assert [p.t for p in first] == pytest.approx([*place(table, n + more).tolist(), *([] if more else [0.0])])


def test_an_end_of_its_own():
    """What leaves out its last level says itself where that is."""
    assert [p.t for p in grid(LATENT, spacing("sgm-uniform:end=sigma_min"), 3)] == [999, 666, 333, 0]
    given = grid(LINEAR, spacing("list:times=900;400;7,end=sigma_min"), 2)
    assert [p.t for p in given] == [900, 400, 7]


def test_every_step_leaves_no_level_for_the_end():
    with pytest.raises(UsageError, match="50 steps cannot be had from a schedule of 50 with trailing:end=alpha_bar_0"):
        spacing("trailing:end=alpha_bar_0")(schedule("linear:T=50"), 50)
    with pytest.raises(UsageError, match="1 steps cannot be had") as error:
        spacing("karras:end=sigma_min")(schedule("cosine:T=1"), 1)
    assert error.value.hint == "use another schedule"


def test_the_end_is_in_the_recipe_and_in_the_plan():
    made = plan("ddim/karras:end=sigma_min", steps=5)
    assert "end=sigma_min" in made.recipe
    assert made.steps == 5
    assert plan("ddim/karras", steps=5).recipe != made.recipe


def test_network_time():
    """The level stays, what the network is told is whole."""
    plain = grid(LATENT, spacing("karras"), 9)
    for how, whole in (("round", np.round), ("floor", np.floor)):
        told = grid(LATENT, spacing("karras", network_time=how), 9)
        assert v_of(told).tolist() == v_of(plain).tolist()
        assert [p.t for p in told[:-1]] == [whole(p.t) for p in plain[:-1]]
    made = plan("dpmpp-2m@scaled-linear/karras:network_time=round", steps=9)
    assert made.time.tolist() == [round(p.t) for p in plain[:-1]]
    assert made.sigma == pytest.approx([p.sigma for p in plain[:-1]], rel=1e-15)


# Spacings that go up again


def downs(points):
    lam = [p.lam for p in points]
    return sum(b > a for a, b in pairwise(lam))


def test_restart():
    """Each interval: from its top, three Karras steps to the level of the base that it began at; twice."""
    place = spacing("restart")
    points = grid(EDM, place, 24)
    base = grid(EDM, spacing("karras"), 18)
    assert downs(points) == 24
    v = v_of(points)
    ups = [i for i in range(1, len(v)) if v[i] > v[i - 1]]
    assert len(ups) == 2
    near = v_of(base)[np.argmin(np.abs(v_of(base)[:-1] - 0.06))]
    inside = [(0.3 ** (1 / 7) + i / 3 * (near ** (1 / 7) - 0.3 ** (1 / 7))) ** 7 for i in range(4)]
    for i in ups:
        assert v[i - 1] == pytest.approx(near, rel=1e-9)
        assert v[i : i + 4] == pytest.approx(inside, rel=1e-6)
    kept = [*v[: ups[0]], *v[ups[1] + 4 :]]
    assert kept == pytest.approx(v_of(base), rel=1e-9), "without the detours it is the base"


def test_restart_with_several_intervals():
    place = spacing("restart:intervals=2x1x0.1x0.5;4x3x1x10,base=logsnr")
    points = grid(LINEAR, place, 40)
    assert downs(points) == 40
    v = v_of(points)
    assert sum(b > a for a, b in pairwise(v)) == 4
    assert spacing(place.token).options == place.options


def repaint_times(steps, length, times):
    """The paper's own loop, appendix B: time goes down by one, and from every `length`-th up again."""
    jumps = dict.fromkeys(range(0, steps - length, length), times - 1)
    t, found = steps, []
    while t >= 1:
        t -= 1
        found.append(t)
        if jumps.get(t, 0) > 0:
            jumps[t] -= 1
            for _ in range(length):
                t += 1
                found.append(t)
    return found


@pytest.mark.parametrize(("steps", "length", "times"), [(25, 5, 3), (20, 10, 2), (7, 10, 10), (12, 1, 2), (9, 3, 1)])
def test_repaint_is_that_of_the_paper(steps, length, times):
    """Where the paper's number of steps down is asked for, it is the paper's; upward steps are one jump here."""
    expected = repaint_times(steps, length, times)
    n = 1 + sum(b < a for a, b in pairwise(expected))
    turns = [
        t for i, t in enumerate(expected)
        if not (0 < i < len(expected) - 1 and expected[i - 1] < t < expected[i + 1])
    ]  # fmt: skip
    table = schedule("cosine", T=steps)
    found = spacing("repaint:base=leading", jump_length=length, jump_n=times)(table, n)
    assert found.tolist() == turns


@pytest.mark.parametrize(
    "options", ["", ":jump_length=3,jump_n=2", ":jump_length=1,jump_n=4", ":jump_n=1,end=sigma_min"]
)
def test_repaint_has_exactly_n_steps(options):
    for n in range(1, 200):
        assert downs(grid(LINEAR, spacing(f"repaint{options}"), n)) == n


@pytest.mark.parametrize("token", ["ddim/restart", "ddpm/repaint", "dpmpp-2m/restart", "heun/repaint"])
def test_plans_that_go_up_again(token):
    for scheduler in ("linear", "edm", "flow"):
        made = plan(token, scheduler=scheduler, steps=30, prediction="x0")
        assert made.steps == 30
        assert np.isfinite(np.column_stack([made.a, made.c, made.time, *made.b.T])).all()
        assert (made.c > 0).any(), "going up adds noise"


# What is refused


@pytest.mark.parametrize(
    ("token", "n", "cause"),
    [
        ("karras:sigma_max=1000", 5, "σ/α=1000 is not on the schedule, which has 0.01 to 157.4"),
        ("karras:sigma_min=0.002", 5, "is not on the schedule"),
        ("karras:sigma_min=5,sigma_max=2", 5, "the noise does not fall"),
        ("karras:over=restart", 40, "restart goes up again"),
        ("karras:over=nonsense", 4, "there is no spacing 'nonsense'"),
        ("karras:end=clean", 4, "end='clean' is refused"),
        ("ays:table=svd", 10, "σ/α=700 is not on the schedule"),
        ("lcm", 51, "51 of the 50 times are not to be had"),
        ("ddim-uniform", 30, "there are 31 times, not 30, at every 33th of 1000"),
        ("linspace:compat=diffusers-multistep", 1000, "the same time twice"),
        ("leading:compat=diffusers-multistep", 1000, "the same time twice"),
        ("sections:counts=10;20", 50, "10;20 is 30 steps, not 50"),
        ("sections:counts=ddim37", 37, "no whole stride gives 37 times of 1000"),
        ("sections:counts=ddim40", 50, "ddim40 is not 50 steps"),
        ("sections:counts=a;b", 50, "cannot read the counts"),
        ("sections:counts=501;1", 502, "a part of 500 times has no 501 of them"),
        ("restart", 7, "6 of 7 steps are inside the intervals"),
        ("restart:intervals=3x2x0.3", 20, "cannot read the interval"),
        ("restart:intervals=3x2x0.3x0.1", 20, "has no step down"),
        ("restart:intervals=3x2x0.06x300", 20, "σ/α=300 is not on the schedule"),
        ("restart:base=repaint", 20, "repaint goes up again"),
        ("repaint:jump_n=1", 1001, "1001 steps cannot be had from a schedule of 1000"),
        ("linear-quadratic:threshold=0.6", 10, "threshold=0.6 is too large"),
        ("list:times=-1;2,unit=v", 2, "is not on the schedule"),
        ("file", 2, "file needs the option 'path'"),
        ("file:path=none.txt", 2, "cannot read times"),
    ],
)
def test_what_is_refused(token, n, cause):
    with pytest.raises(UsageError, match=cause) as error:
        spacing(token)(LINEAR, n)
    assert error.value.hint
    assert not isinstance(error.value, WrongTimesError)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda table, n: np.arange(n),
        lambda table, n: np.zeros(n),
        lambda table, n: np.arange(n + 2)[::-1],
        lambda table, n: np.full(n, np.nan),
        lambda table, n: table.T - np.arange(n),
    ],
)
@pytest.mark.parametrize("rises", [False, True])
def test_a_spacing_that_is_wrong_is_found_out(wrong, rises):
    place = make_spacing("mine", rises=rises)(wrong)
    with pytest.raises(WrongTimesError, match="gives no 3 falling times"):
        place(LINEAR, 3)
    assert examine_steps("steps", place).status == "fail"


def test_a_spacing_must_say_that_it_rises():
    def up(table, n):
        return [30, 20, 25, 10]

    with pytest.raises(WrongTimesError):
        make_spacing("up")(up)(LINEAR, 3)
    assert make_spacing("up", rises=True)(up)(LINEAR, 3).tolist() == [30, 20, 25, 10]


@pytest.mark.parametrize(
    "name", ["ays", "lcm", "ddim-uniform", "linear-quadratic", "restart", "repaint", "file", "beta"]
)
def test_the_certificate(name):
    token = "file:path=none.txt" if name == "file" else name
    assert examine_steps("steps", spacing(token)).status == ("skip" if name == "file" else "pass")


def test_cosines_are_cosines():
    """The levels of `normal` on cosine are those of its formula between whole times: λ is linear there."""
    table = schedule("cosine", T=10)
    (point, *_) = grid(table, spacing("list:times=2.5"), 1)
    lam = [
        0.5 * log(a / (1 - a))
        for a in ((cos(((i + 1) / 10 + 0.008) / 1.008 * pi / 2) / cos(0.008 / 1.008 * pi / 2)) ** 2 for i in (2, 3))
    ]
    assert point.lam == pytest.approx(sum(lam) / 2, rel=1e-9)
