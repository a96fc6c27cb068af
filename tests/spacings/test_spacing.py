"""Spacings: exactly n falling times, for every n; their ends, and what is refused, and why."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtool
from dtool import plan
from dtool.certify.levels import examine_steps
from dtool.errors import UsageError
from dtool.plan import CLEAN, grid
from dtool.plugins.registry import get_registry
from dtool.schedulers import get_scheduler
from dtool.schedulers.schedule import Schedule, from_lam
from dtool.spacings import get_spacing
from dtool.spacings.spacing import WrongTimesError
from dtool.spacings.spacing import spacing as make_spacing
from tests.support.options import random_options, try_options
from tests.support.schedules import COORDINATES
from tests.support.spacings import BAD, EDM, LATENT, LINEAR, v_of

EVERY = [entry for entry in get_registry().spacings if entry.provider.name == "dtool"]

# Those that give what they are told, those that take only some n (see test_more_spacings), and all the others.
TOLD, CHOOSY, RISING = ("list", "file"), ("ays", "lcm", "ddim-uniform", "linear-quadratic"), ("restart", "repaint")

NAMES = [entry.name for entry in EVERY if entry.name not in (*TOLD, *CHOOSY, *RISING)]

OPEN = ("beta", "beta57", "logit-normal", "sgm-uniform", "smoothstep", "bong-tangent")  # they end above the last level
BOTH_ENDS = [name for name in NAMES if name not in OPEN]

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


def is_falling(times, n, last):
    return times.shape == (n,) and (np.diff(times) < 0).all() and times.min() >= 0 and times.max() <= last


@pytest.mark.parametrize("token", WITH_OPTIONS)
def test_exactly_n_steps_for_every_n(token):
    place = get_spacing(token)
    table = get_scheduler("linear")
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
    table = get_scheduler(levels)
    for n in range(1, table.T + 1):
        times = get_spacing(token)(table, n)
        assert is_falling(times, n, table.T - 1), (token, levels, n)
        points = grid(table, get_spacing(token), n)
        assert len(points) == n + 1
        assert points[-1] == CLEAN
        assert [p.t for p in points[:-1]] == times.tolist()


def test_the_bad_step_counts_are_the_known_ones():
    assert len(BAD) == 62
    assert BAD[:3] == [61, 103, 121]


@pytest.mark.parametrize("name", BOTH_ENDS)
def test_every_step_is_every_step(name):
    """n = T: spacings by whole times must give all of them."""
    table = get_scheduler("linear", T=50)
    if name in ("trailing", "leading", "linspace", "quadratic"):
        assert get_spacing(name)(table, 50).tolist() == list(range(50))[::-1]
    assert get_spacing(name)(table, 50)[[0, -1]].tolist() == [49, 0]


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
        get_spacing(token)(get_scheduler("linear", T=50), n)
    assert error.value.hint


@pytest.mark.parametrize("table", [LINEAR, EDM, get_scheduler("flow"), get_scheduler("sub-vp")])
@pytest.mark.parametrize("name", ["trailing", "linspace", "karras", "logsnr", "beta", "normal"])
@pytest.mark.parametrize("n", [1, 7])
def test_ends(table, name, n):
    place = get_spacing(name)
    assert grid(table, place, n)[-1] == CLEAN
    last = grid(table, get_spacing(name, end="sigma_min"), n)
    assert len(last) == n + 1
    assert [p.t for p in last] == pytest.approx(place(table, n + 1).tolist()), "n + 1 are placed, the last is the end"
    first = grid(table, get_spacing(name, end="alpha_bar_0"), n)
    assert len(first) == n + 1
    assert (first[-1].alpha, first[-1].sigma) == (table.alpha[0], table.sigma[0])
    more = place(table, n)[-1] == 0
    assert [p.t for p in first] == pytest.approx([*place(table, n + more).tolist(), *([] if more else [0.0])])


def test_an_end_of_its_own():
    """What leaves out its last level says itself where that is."""
    assert [p.t for p in grid(LATENT, get_spacing("sgm-uniform:end=sigma_min"), 3)] == [999, 666, 333, 0]
    given = grid(LINEAR, get_spacing("list:times=900;400;7,end=sigma_min"), 2)
    assert [p.t for p in given] == [900, 400, 7]


def test_every_step_leaves_no_level_for_the_end():
    with pytest.raises(UsageError, match="50 steps cannot be had from a schedule of 50 with trailing:end=alpha_bar_0"):
        get_spacing("trailing:end=alpha_bar_0")(get_scheduler("linear:T=50"), 50)
    with pytest.raises(UsageError, match="1 steps cannot be had") as error:
        get_spacing("karras:end=sigma_min")(get_scheduler("cosine:T=1"), 1)
    assert error.value.hint == "use another schedule"


def test_the_end_is_in_the_recipe_and_in_the_plan():
    made = plan("ddim/karras:end=sigma_min", steps=5)
    assert "end=sigma_min" in made.recipe
    assert made.steps == 5
    assert plan("ddim/karras", steps=5).recipe != made.recipe


@pytest.mark.parametrize("levels", ["linear", "cosine:zero_snr=true", "edm", "flow", "sub-vp"])
@pytest.mark.parametrize("name", NAMES)
def test_a_late_start_is_the_spacing_on_the_schedule_up_to_there(name, levels):
    table = get_scheduler(levels)
    late = get_spacing(f"{name}:start=743")
    if name in BOTH_ENDS and name not in ("leading", "flow-sigmas"):
        assert late(table, 7)[0] == pytest.approx(743, abs=1e-9)
    for n in (1, 2, 7, 50):
        times = late(table, n)
        assert is_falling(times, n, 743)
        shorter = Schedule(table.alpha[:744], table.sigma[:744], coordinates=table.coordinates)
        assert times.tolist() == get_spacing(name)(shorter, n).tolist()
    assert get_spacing(f"{name}:start=999")(table, 7).tolist() == get_spacing(name)(table, 7).tolist()


def test_a_late_start_has_ends_times_and_a_name_as_any_other():
    place = get_spacing("karras:start=743,end=sigma_min,network_time=round")
    first, *_, last = grid(LINEAR, place, 6)
    assert (first.t, last.t) == (743, 0)
    assert (first.alpha, first.sigma) == (LINEAR.alpha[743], LINEAR.sigma[743])
    made = plan("ddim/trailing:start=743", steps=4)
    assert made.recipe == "ddim/trailing:start=743"
    assert plan(made.recipe, steps=4) == made
    assert made.hash != plan("ddim", steps=4).hash
    assert made.time.tolist() == [743, 557, 371, 185]
    assert made.init == np.hypot(made.alpha[0], made.sigma[0])
    assert get_spacing('karras:over="trailing:start=743"')(LINEAR, 5)[0] == 743
    assert get_spacing("restart:start=743")(LINEAR, 18)[0] == 743


def test_network_time():
    """The level stays, what the network is told is whole."""
    plain = grid(LATENT, get_spacing("karras"), 9)
    for how, whole in (("round", np.round), ("floor", np.floor)):
        told = grid(LATENT, get_spacing("karras", network_time=how), 9)
        assert v_of(told).tolist() == v_of(plain).tolist()
        assert [p.t for p in told[:-1]] == [whole(p.t) for p in plain[:-1]]
    made = plan("dpmpp-2m@scaled-linear/karras:network_time=round", steps=9)
    assert made.time.tolist() == [round(p.t) for p in plain[:-1]]
    assert made.sigma == pytest.approx([p.sigma for p in plain[:-1]], rel=1e-15)


@pytest.mark.parametrize("token", ["ddim/restart", "ddpm/repaint", "dpmpp-2m/restart", "heun/repaint"])
def test_plans_that_go_up_again(token):
    for scheduler in ("linear", "edm", "flow"):
        made = plan(token, scheduler=scheduler, steps=30, prediction="x0")
        assert made.steps == 30
        assert np.isfinite(np.column_stack([made.a, made.c, made.time, *made.b.T])).all()
        assert (made.c > 0).any(), "going up adds noise"


@pytest.mark.parametrize(
    ("token", "n", "cause"),
    [
        ("karras:sigma_max=1000", 5, "σ/α=1000 is not on the schedule, which has 0.01 to 157.4"),
        ("karras:sigma_min=0.002", 5, "is not on the schedule"),
        ("karras:sigma_min=5,sigma_max=2", 5, "the noise does not fall"),
        ("karras:over=restart", 40, "restart goes up again"),
        ("karras:over=nonsense", 4, "there is no spacing 'nonsense'"),
        ("karras:end=clean", 4, "end='clean' is refused"),
        ("trailing:start=1000", 4, "time 1000 is outside this schedule's 0 … 999"),
        ("trailing:start=-1", 4, "start='-1' is refused"),
        ("trailing:start=2", 4, "4 steps cannot be had from a schedule of 3"),
        ("list:times=800;400,start=743", 2, "times must lie in 0 … 743"),
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
def test_options_that_are_refused(token, n, cause):
    with pytest.raises(UsageError, match=cause) as error:
        get_spacing(token)(LINEAR, n)
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
    assert examine_steps("steps", get_spacing(token)).status == ("skip" if name == "file" else "pass")


def test_steps_of_a_spacing_that_rises_are_bounded():
    with pytest.raises(UsageError, match="steps are too many"):
        dtool.plan("ddim/repaint", steps=10**9)


@pytest.mark.parametrize("name", [entry.name for entry in EVERY])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_whatever_the_options_n_times_fall_or_the_spacing_says_why_not(name, data):
    """On any schedule and for any n: n times in 0 … T-1 from noise to image, or an error with a remedy."""
    total, n = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 30))
    noisy, clean = data.draw(st.floats(-8, 0)), data.draw(st.floats(0.5, 8))
    table = from_lam(np.linspace(clean, noisy, total), data.draw(st.sampled_from(COORDINATES)))
    own = get_registry().spacings.get(name)
    options = data.draw(random_options(own.model))
    placed = try_options(lambda: own.bind(**options).place_times(table, n))
    if placed is None:
        return
    gaps = np.diff(placed.times)
    assert ((placed.times >= 0) & (placed.times <= total - 1)).all()
    assert placed.network_times.shape == placed.times.shape
    assert (gaps < 0).sum() == n - 1
    assert own.rises or len(placed.times) == n
    stays = options.get("end") == "stay"
    assert placed.end is None or 0 <= placed.end < placed.times[-1] or (stays and placed.end == placed.times[-1])


def test_a_last_step_of_no_length():
    times, told, end = get_spacing("karras:end=stay,network_time=floor").place_times(get_scheduler("linear"), 5)
    assert (len(times), end) == (5, times[-1])
    assert told.tolist() == np.floor(times).tolist()
