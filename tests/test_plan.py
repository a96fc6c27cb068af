"""The plan compiler: symbols, what is refused, the table's form, and that it does what the rule does."""

import dataclasses
import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rules import configurations, dpmpp_3m, dpmpp_sde, predictor_corrector

from dtool.errors import CompileError, DtoolError, UsageError
from dtool.plan import CLEAN, ClampWarning, Node, Plan, Point, for_network, plan, run_eager
from dtool.plan import compile as compile_plan
from dtool.plan.form import Form
from dtool.plan.packed import pack
from dtool.plan.plan import COLUMNS
from dtool.plan.table import table
from dtool.samplers import sampler
from dtool.samplers.rule import sampler as rule_of
from dtool.schedulers import schedule
from dtool.testing import grids
from dtool.testing.compiled import difference
from dtool.testing.targets import THREE

RULES = [*map(sampler, configurations()), dpmpp_3m(2), predictor_corrector, dpmpp_sde]
FAR, NEAR = Point(0.1, 0.99), Point(0.8, 0.6)
numbers = st.floats(-1e3, 1e3)


def compiled(step, points=(FAR, NEAR, CLEAN), **options):
    return compile_plan(rule_of("mine", order=1, **options)(step), points, prediction="x0")


# Symbols


@given(st.lists(numbers, min_size=3, max_size=3), st.lists(numbers, min_size=3, max_size=3), numbers)
def test_a_form_is_a_vector(left, right, factor):
    a, b = Form(dict(enumerate(left))), Form(dict(enumerate(right)))
    made = factor * (a + b) - b / 2 + -a * 0.5
    expected = factor * (np.array(left) + right) - np.array(right) / 2 - 0.5 * np.array(left)
    assert [made.terms[i] for i in range(3)] == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-6)
    assert (a.terms, b.terms) == (dict(enumerate(left)), dict(enumerate(right))), "immutable"


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2), np.float32(2), np.int64(2)])
def test_numbers_of_every_kind_scale_a_form(number):
    form = Form({0: 1.5})
    assert (number * form).terms == (form * number).terms == {0: 3.0}
    assert (form / number).terms == {0: 0.75}
    assert (0 + form).terms == (form + 0).terms == (form - 0).terms == (+form).terms == form.terms
    assert sum([form, form]).terms == {0: 3.0}


NOT_LINEAR = {
    "product": (lambda x: x * x, "a symbol"),
    "quotient": (lambda x: 1 / x, "dividing by a symbol"),
    "power": (lambda x: x**2, r"\*\*"),
    "sum with a number": (lambda x: x + 1.0, r"\+ with a float"),
    "difference": (lambda x: x - 1.0, r"\+ with a float"),
    "abs": (abs, r"abs\(\)"),
    "math": (math.exp, "function of a symbol"),
    "numpy": (np.tanh, "numpy.tanh of a symbol"),
    "clip": (lambda x: np.clip(x, -1, 1), "not linear"),
    "maximum": (lambda x: np.maximum(x, 0), "numpy.maximum of a symbol"),
    "comparison": (lambda x: x if x > 0 else -x, "comparison"),
    "truth": (lambda x: x or 0, "decision"),
    "method": (lambda x: x.clip(-1, 1), ".clip of a symbol"),
    "index": (lambda x: x[0], "a part of a symbol"),
    "array": (lambda x: np.array([1.0, 2.0]) * x, "a ndarray"),
    "array, on the right": (lambda x: x * np.array([1.0, 2.0]), "a ndarray"),
    "array, added": (lambda x: np.array([1.0, 2.0]) + x, "a ndarray"),
    "constant": (lambda _: 0.5, "float, which is not a linear form"),
    "nothing": (lambda _: None, "NoneType, which is not a linear form"),
}


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_a_rule_that_is_not_linear_is_told_why(name):
    operation, cause = NOT_LINEAR[name]
    with pytest.raises(CompileError, match=cause) as error:
        compiled(lambda now, to: operation(now.x0))
    assert str(error.value).startswith("mine, from λ=")
    assert error.value.hint
    assert error.value.exit_code == 2


def test_an_error_inside_a_rule_names_the_interval():
    def step(now, to):
        return now.x0 * math.log(to.sigma)

    with pytest.raises(CompileError, match=r"mine, from λ=0.2877 to λ=inf: ValueError"):
        compiled(step)


def test_a_coefficient_that_is_not_finite_is_refused():
    with pytest.raises(CompileError, match="not finite"):
        compiled(lambda now, to: now.x0 * float(to.lam))


# Grids


@pytest.mark.parametrize(
    ("points", "cause"),
    [
        ((), "0 point"),
        ((FAR,), r"1 point\(s\) has no interval"),
        ((FAR, NEAR, NEAR, CLEAN), "points 1 and 2 are the same level"),
        ((FAR, Point(0.2, 1.98), CLEAN), "points 0 and 1 are the same level"),
        ((NEAR, FAR, CLEAN), "begins by going up"),
        ((FAR, NEAR, Point(0.4, 0.9)), "ends by going up"),
    ],
)
@pytest.mark.parametrize("token", ["ddim", "ddpm", "heun", "dpmpp-2m"])
def test_grids_that_cannot_be_walked(points, cause, token):
    with pytest.raises(CompileError, match=cause):
        compile_plan(sampler(token), points)


@pytest.mark.parametrize("level", [(-0.1, 1.0), (0.0, 0.0), (math.nan, 1.0), (1.0, math.inf)])
def test_points_that_are_no_level(level):
    with pytest.raises(UsageError, match="no noise level"):
        Point(*level)


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({"steps": 0}, "0 steps cannot be had"),
        ({"steps": 1001}, "1001 steps cannot be had from a schedule of 1000"),
        ({"points": [900, 500, 500]}, "same level"),
        ({"points": [500, 900]}, "begins by going up"),
        ({"points": [1000, 500]}, "outside this schedule's"),
        ({"points": [999, 500], "steps": 3}, "points are given"),
        ({"points": [999, 500], "spacing": "karras"}, "points are given"),
        ({"points": [FAR, 500]}, "mixes times and Points"),
        ({"eta": 0.5, "sigma": "beta"}, "has no option 'sigma'"),
        ({"eta": 2}, "eta=2 is refused"),
        ({"scheduler": "lineer"}, "there is no scheduler 'lineer'"),
    ],
)
def test_requests_that_are_refused(arguments, cause):
    with pytest.raises(UsageError, match=cause) as error:
        plan("ddim", **arguments)
    assert error.value.hint


def test_own_points():
    made = plan("ddim", scheduler="linear", points=[999, 750, 500, 250])
    assert made.t.tolist() == [999, 750, 500, 250]
    assert made.steps == 4
    to_time = plan("ddim", scheduler="linear", points=[999, 500], end=100)
    alpha, sigma = schedule("linear").level(100)
    assert to_time.a[-1] == pytest.approx(sigma / to_time.sigma[-1])
    levels = plan("ddim", points=[FAR, NEAR])
    assert levels.steps == 2, "points that do not end at an image are continued to it"
    assert (alpha > 0, levels.alpha.tolist()) == (True, [0.1, 0.8])


# The table


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.token)
@settings(max_examples=15, deadline=None)
@given(st.integers(2, 14), st.integers(0, 2**31), st.booleans())
def test_the_table_does_what_the_rule_does(rule, n, seed, clean):
    assert difference(rule, grids.random(n, seed, clean=clean)) < 1e-9


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.token)
def test_grids_that_go_up_again(rule):
    points = grids.up_again(12)
    assert difference(rule, points) < 1e-9
    made = compile_plan(rule, points, prediction="x0")
    falls = sum(to.lam > now.lam for now, to in pairwise(points))
    assert made.steps == falls, "an upward interval calls no network"
    assert made.draws >= 1


def test_an_upward_interval_is_the_forward_process():
    up = Point(0.3, math.sqrt(0.91))
    made = compile_plan(sampler("ddim"), (FAR, NEAR, up, CLEAN), prediction="x0")
    plain = compile_plan(sampler("ddim"), (FAR, NEAR, CLEAN), prediction="x0")
    scale = up.alpha / NEAR.alpha
    assert made.a[0] == pytest.approx(scale * plain.a[0])
    assert made.b[0, 0] == pytest.approx(scale * plain.b[0, 0])
    assert made.c[0] == pytest.approx(math.sqrt(up.sigma**2 - (scale * NEAR.sigma) ** 2))
    assert made.rows == 2


def test_history_starts_anew_after_going_up():
    points = grids.up_again(12)
    made = compile_plan(sampler("dpmpp-2m"), points, prediction="x0")
    first = next(i for i, p in enumerate(points[1:], 1) if p.lam < points[i - 1].lam) - 1
    assert made.b[first - 1, 1] != 0
    assert made.b[first, 1] == 0
    assert made.b[first + 1, 1] != 0


@pytest.mark.parametrize(("token", "history"), [("ddim", 1), ("ddpm", 1), ("euler", 1), ("heun", 2), ("dpmpp-2m", 2)])
def test_no_more_history_than_needed(token, history):
    made = plan(token, steps=20)
    assert made.history == history
    assert not made.save.any(), "the saved x is eliminated"


def test_a_corrected_state_costs_no_register_and_no_row():
    """One row a network call, and as much history as the corrector has nodes, however long the chain is."""
    made = compile_plan(predictor_corrector, grids.by_lam(40), prediction="x0")
    assert (made.rows, made.history, bool(made.save.any())) == (40, 3, False)


def test_what_is_kept_stays_short():
    """A state that is corrected from step to step would otherwise grow by a term a row."""
    sizes = []

    def step(now, to):
        if now.before is not None:
            sizes.append(len(now.before.kept["fixed"].terms))
        return predictor_corrector.step(now, to)

    compiled(step, grids.by_lam(40))
    assert max(sizes) <= 4


def test_noise_between_two_uses_of_x_needs_a_register():
    made = compile_plan(dpmpp_sde, grids.by_lam(5), prediction="x0")
    assert made.rows == 10
    assert made.save.tolist() == [True, False] * 5
    assert (made.a_saved[1::2] > 0).all()
    assert (made.a[1::2] == 0).all()


def test_noise_is_drawn_once():
    def twice(now, to, z):
        mid = yield to.alpha * now.x0 + 0.1 * z, NEAR
        return mid.x0 + 0.1 * z

    with pytest.raises(CompileError, match="noise twice"):
        compiled(twice, (FAR, CLEAN), calls=2)


def test_the_sign_of_noise_does_not_matter():
    made = compiled(lambda now, to, z: to.alpha * now.x0 - 0.5 * z, (FAR, NEAR))
    assert made.c.tolist() == [0.5]


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.token)
def test_json_gives_the_same_bits(rule):
    made = compile_plan(rule, grids.random(9, 7, clean=True), prediction="x0", recipe="a “recipe”\n")
    text = made.to_json()
    again = Plan.from_json(text)
    assert again == made
    assert (again.hash, hash(again), again.to_json()) == (made.hash, hash(made), text)
    for column in COLUMNS:
        assert getattr(again, column).tobytes() == getattr(made, column).tobytes(), column
    json.loads(text, parse_constant=pytest.fail)  # plain JSON: no NaN, no Infinity


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"format": 2}', '{"format": 1}'])
def test_json_that_is_no_plan(text):
    with pytest.raises(DtoolError, match="plan") as error:
        Plan.from_json(text)
    assert error.value.hint


def test_json_with_a_damaged_table():
    data = json.loads(plan("ddim", steps=3).to_json())
    for column, value in (("a", [1.0, 2.0]), ("b", [1.0] * 3), ("alpha", ["x"] * 3), ("sigma", [None] * 3)):
        with pytest.raises(DtoolError):
            Plan.from_json(json.dumps({**data, column: value}))


def test_a_plan_cannot_be_changed():
    made = plan("ddim", steps=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.a = np.zeros(3)
    for column in COLUMNS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(made, column)[0] = 1
    mine = np.array(made.a)
    other = dataclasses.replace(made, a=mine)
    mine[0] = 9.0
    assert other.a[0] == made.a[0], "the plan holds a copy"
    assert len({made, other, plan("ddim", steps=4)}) == 2


DAMAGE = {
    "not finite": ({"a": [math.nan, 1, 1]}, "row 0: a is not finite"),
    "too short": ({"c": [0.0]}, "column c has shape"),
    "history before the start": ({"b": [[1, 1], [1, 1], [1, 1]]}, "uses a prediction 1 rows back"),
    "negative noise": ({"c": [0, -1, 0]}, "row 1 scales its noise by a negative number"),
    "no end": ({"step_end": [True, True, False]}, "does not end a step"),
    "nothing saved": ({"a_saved": [0, 1, 0]}, "before any was saved"),
    "initial scale": ({"init": 0.0}, "initial scale"),
    "prediction": ({"prediction": "noise"}, "unknown prediction"),
    "basis": ({"basis": "v"}, "basis"),
    "empty": ({c: [] for c in COLUMNS}, "no rows"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_the_static_check(name):
    changes, cause = DAMAGE[name]
    with pytest.raises(CompileError, match=cause):
        dataclasses.replace(plan("ddim", steps=3), **changes)


@pytest.mark.parametrize("token", configurations())
def test_float64_throughout(token):
    made = plan(token, steps=7)
    assert {getattr(made, c).dtype for c in COLUMNS if c not in ("save", "step_end")} == {np.dtype(np.float64)}


def test_the_header_says_where_it_comes_from():
    made = plan("ddim:eta=0.5@cosine/karras", steps=5)
    assert (made.recipe, made.sampler, made.schedule) == ("ddim:eta=0.5@cosine/karras", "ddim:eta=0.5", "cosine")
    assert made.schedule_hash == schedule("cosine").hash
    assert "2010.02502" in made.cite


# Another network


def test_another_schedule_keeps_the_noise_level():
    trained = schedule("cosine")
    made = for_network(plan("ddim", scheduler="linear", spacing="linspace", steps=12), trained, "eps")
    alpha, sigma = trained.level(made.time)
    assert sigma / alpha == pytest.approx(made.sigma / made.alpha, rel=1e-9)
    assert made.c_in == pytest.approx(np.ones(12))
    assert np.abs(made.time - made.t).max() > 50, "the index itself would be another noise level"
    same = for_network(plan("ddim", scheduler="linear", steps=12), schedule("linear"), "eps")
    assert (same.time == same.t).all()


def test_levels_that_the_network_never_saw():
    with pytest.warns(ClampWarning, match="row 0 of 4 lies outside") as caught:
        made = for_network(plan("ddim", scheduler="cosine", steps=4), schedule("linear"), "eps")
    assert len(caught) == 1
    assert made.time[0] == 999


@pytest.mark.parametrize("recipe", ["ddim@flow", "dpmpp-2m@trigflow", "ddpm@jsd", "plms@linear:zero_snr=true"])
def test_an_eps_network_that_always_saw_some_signal_begins_without_any(recipe):
    """At α = 0 it is told its last level (α', σ'), and its word is taken there: σ' x/σ = α' x0 + σ' ε."""
    trained = schedule("linear")
    with pytest.warns(ClampWarning):
        made = for_network(plan(recipe, steps=6, prediction="x0"), trained, "eps")
    alpha, sigma = trained.alpha[-1], trained.sigma[-1]
    image, eps = np.random.default_rng(1).standard_normal((2, 50))
    x = (alpha * image + sigma * eps) / made.c_in[0]
    assert (made.alpha[0], made.time[0]) == (0, 999)
    np.testing.assert_allclose(made.c_skip[0] * x + made.c_out[0] * eps, image, atol=1e-12 / alpha)
    assert (made.m_x[0], made.m_f[0]) == (made.c_skip[0], made.c_out[0]), "the history holds the image there"


def test_another_scale_is_scaled():
    """A grid with α = 1 for a network in variance-preserving coordinates: its input is x/√(1+v²)."""
    trained = schedule("linear")
    points = [Point(1.0, float(s / a)) for a, s in zip(*trained.level([900, 500, 100]), strict=True)]
    made = for_network(plan("ddim", points=points, prediction="x0"), trained, "v")
    assert made.time == pytest.approx([900, 500, 100], abs=1e-6)
    assert made.c_in == pytest.approx(1 / np.hypot(1, made.sigma))
    image, eps = np.array([0.3, -0.2, 0.9]), np.array([1.1, 0.4, -2.0])
    output = made.c_in * (eps - made.sigma * image)  # v = α'ε - σ'x0
    assert made.c_skip * (image + made.sigma * eps) + made.c_out * output == pytest.approx(image, abs=1e-9)


def test_points_without_a_time_get_that_of_their_level():
    """A user's own levels, or a stage half-way in λ: the network must not be told another level than it sees."""
    table = schedule("linear")
    for made in (
        compile_plan(dpmpp_sde, [*grids.by_lam(4)[1:4], CLEAN], schedule=table),
        plan("ddim", points=grids.by_lam(5)[1:5], scheduler=table),
        for_network(plan("heun", points=grids.by_lam(5)[1:5], scheduler=table), table, "v"),
    ):
        alpha, sigma = table.level(made.time)
        assert sigma / alpha == pytest.approx(made.sigma / made.alpha, rel=1e-9)
        assert len(set(made.time.tolist())) > 2


# Step by step


def test_eager_runs_what_cannot_be_compiled():
    rule = rule_of("clipped", order=1)(lambda now, to: to.alpha * np.clip(now.x0, -1, 1) + to.sigma * now.eps)
    end = run_eager(rule, (FAR, NEAR, CLEAN), THREE.eps, np.array([3.0, -8.0]))
    assert (np.abs(end) <= 1).all()
    with pytest.raises(CompileError):
        compile_plan(rule, (FAR, CLEAN))


def test_either_prediction_follows_from_the_other():
    one, other = Node(NEAR, 1.0, x0=0.5), Node(NEAR, 1.0, eps=1.0)
    assert (one.eps, other.x0) == pytest.approx((1.0, 0.5))
    assert (one.v, one.t is not None, one.kept) == (pytest.approx(0.75), True, {})


def test_a_rule_takes_now_and_to():
    with pytest.raises(UsageError, match=r"its function takes \(x, t\)"):
        rule_of("other", order=1)(lambda x, t: x * t)


@pytest.mark.parametrize("told", [True, False])
def test_a_level_in_other_coordinates_is_scaled_for_the_network_whether_its_time_is_told_or_not(told):
    times = [900.0, 431.0, 57.0]
    alpha, sigma = schedule("linear").level(times)
    exploding = [Point(1.0, s / a, t if told else np.nan) for a, s, t in zip(alpha, sigma, times, strict=True)]
    made = plan("euler", points=exploding, scheduler="linear")
    assert made.c_in == pytest.approx(alpha, rel=1e-9)
    assert made.time == pytest.approx(times, abs=1e-6)


@pytest.mark.parametrize("recipe", ["ddpm", "dpmpp-2m", "heun"])
def test_what_is_derived_from_a_plan_is_made_once_and_nobody_writes_to_it(recipe):
    made, again = (plan(recipe, steps=5) for _ in range(2))
    for limited in (False, True):
        one = table(made, limited)
        assert one is table(made, limited)
        assert one is not table(again, limited)
        packed = pack(made, limited, 2)
        assert packed is pack(made, limited, 2)
        assert packed is not pack(made, limited, 3)
        for column in (one.a, one.d, one.m_x, packed.table, packed.times):
            with pytest.raises(ValueError, match="read-only"):
                column[0] = 1
    assert made == again
    assert made.to_json() == again.to_json()
