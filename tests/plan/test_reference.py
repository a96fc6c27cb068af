"""What a row of a plan means, on plans whose answer is known; and every other reader of plans against that."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest

import dtool
from dtool.certify import grids
from dtool.certify.laws import THREE_GAUSSIANS, run_optimal_network
from dtool.plan import CLEAN, Plan, Point, plan, reference, run_eager
from dtool.plan import compile as compile_plan
from dtool.plan.compiled_plan import COLUMNS
from dtool.plan.reference import Answer
from dtool.run import loop, numpy_loop
from dtool.run.clipping import Clipping
from dtool.run.noise import normals
from dtool.samplers import get_sampler
from tests.support.rules import configurations, dpmpp_3m, dpmpp_sde, predictor_corrector

# Mathematics: rows whose answer is known


def two_rows(**columns) -> Plan:
    """A plan of two rows in which every coefficient counts, or as `columns` say."""
    values = {
        "c_in": [0.5, 2.0], "c_skip": [0.25, 0.75], "c_out": [1.5, -0.5], "m_x": [0.25, 0.75], "m_f": [1.5, -0.5],
        "a": [0.5, 0.125], "a_saved": [0.0, 0.375], "b": [[2.0, 0.0], [3.0, 5.0]], "b_raw": [0.0, 0.0],
        "c": [0.0, 0.25], "c_low": [0.0, 0.25], "save": [True, False], "time": [9.0, 4.0], "step_end": [False, True],
    }  # fmt: skip
    return dataclasses.replace(plan("ddim", points=[Point(0.6, 0.8), Point(0.8, 0.6)]), basis="x0", **values | columns)


def double_plus_time(x, t):
    return 2 * x + t


def test_every_column_by_hand():
    """x = 4: F = 2·2 + 9 = 13, D = 1 + 19.5 = 20.5, x' = 2 + 41 = 43; then F = 176, D = -55.75."""
    made = two_rows()
    row_0 = 0.5 * 4 + 2 * 20.5
    row_1 = 0.125 * 43 + 0.375 * 4 + 3 * -55.75 + 5 * 20.5 + 0.25 * 7
    assert row_0 == 43
    assert reference.run_plan(made, double_plus_time, 4.0, lambda i: {1: 7.0}[i]) == row_1


def test_clipping_and_what_it_takes_off_by_hand():
    made = two_rows(b_raw=[0.5, 0.0], a_saved=[0.0, 0.0], c=[0.0, 0.0], c_low=[0.0, 0.0])
    row_0 = 0.5 * 4 + 2 * 15 + 0.5 * (20.5 - 15)
    image = 0.75 * row_0 - 0.5 * (2 * 2 * row_0 + 4)
    row_1 = 0.125 * row_0 + 3 * max(image, -15) + 5 * 15
    clip = partial(np.clip, a_min=-15, a_max=15)
    assert reference.run_plan(made, double_plus_time, 4.0, clip=clip) == pytest.approx(row_1, rel=1e-15)


def test_the_history_of_an_eps_plan_holds_the_noise_that_follows_from_the_clipped_image():
    made = dataclasses.replace(two_rows(a_saved=[0, 0], c=[0, 0], c_low=[0, 0]), basis="eps")
    eps = [(4 - 0.6 * 15) / 0.8]
    x = 0.5 * 4 + 2 * eps[0]
    image = np.clip(0.75 * x - 0.5 * (2 * 2 * x + 4), -15, 15)
    eps.append((x - 0.8 * image) / 0.6)
    end = reference.run_plan(made, double_plus_time, 4.0, clip=partial(np.clip, a_min=-15, a_max=15))
    assert end == pytest.approx(0.125 * x + 3 * eps[1] + 5 * eps[0], rel=1e-15)


@pytest.mark.parametrize("v", [-1.0, -0.25, 1.0])
def test_the_network_chooses_the_noise_between_its_bounds(v):
    made = two_rows(c=[0.0, 0.5], c_low=[0.0, 0.125])
    assert made.learned
    silent = reference.run_plan(made, lambda x, t: (double_plus_time(x, t), v), 4.0)
    loud = reference.run_plan(made, lambda x, t: (double_plus_time(x, t), v), 4.0, lambda _: 1.0)
    assert loud - silent == pytest.approx({-1.0: 0.125, -0.25: 0.125 * 4**0.375, 1.0: 0.5}[v], rel=1e-12)


def test_every_column_is_explained():
    explained = reference.__doc__.split("reads its columns in this order")[1]
    assert not [name for name in COLUMNS if name not in explained.replace("`", " ").replace(",", " ").split()]


def test_nothing_is_overwritten_and_every_state_is_there():
    made, x = plan("heun", steps=4), np.array([1.0, -2.0])
    before = x.copy()
    states = list(reference.iterate_states(made, lambda x, _: Answer(np.tanh(x)), x))
    assert len(states) == made.rows + 1
    assert states[0] is x
    assert (x == before).all()
    assert (states[-1] == reference.run_rows(made, lambda x, _: Answer(np.tanh(x)), x)).all()
    assert len({id(state) for state in states}) == len(states)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_precision_is_that_of_x(kind):
    x = np.linspace(-1, 1, 5, dtype=kind)
    end = reference.run_plan(plan("dpmpp-2m", steps=5), lambda x, _: np.tanh(x), x, lambda _: x, clip=np.tanh)
    assert end.dtype == kind


# The rule, run step by step

RULES = [*map(get_sampler, configurations()), dpmpp_3m(2), predictor_corrector, dpmpp_sde]
DETERMINISTIC = [rule for rule in RULES if not compile_plan(rule, grids.by_lam(3), prediction="x0").stochastic]


@pytest.mark.parametrize("rule", DETERMINISTIC, ids=lambda r: r.token)
def test_the_rule_run_step_by_step_ends_where_the_rows_end(rule):
    for seed in range(3):
        points = grids.random_grid(9, seed, clean=seed % 2 == 0)
        made = compile_plan(rule, points, prediction="x0")
        x = np.linspace(-1.8, 1.8, 7) * THREE_GAUSSIANS.std(points[0])
        end = run_eager(rule, points, THREE_GAUSSIANS.eps, x)
        scale = max(1.0, np.abs(made.b).max())
        assert run_optimal_network(made, THREE_GAUSSIANS, x) == pytest.approx(end, abs=1e-9 * scale)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.token)
def test_a_clip_that_changes_nothing_is_none(rule):
    """m as it follows from D, and m_x·x + m_f·F."""
    made = compile_plan(rule, grids.random_grid(8, 2, clean=True), prediction="v")
    ask = with_variance if made.learned else network
    random = np.random.default_rng(1)
    x, *noise = random.standard_normal((made.rows + 1, 5))
    plain, same = (reference.run_plan(made, ask, x, lambda i: noise[i], clip=clip) for clip in (None, lambda d: d))
    assert same == pytest.approx(plain, rel=1e-8, abs=1e-8)


# The loops, and the graph

CLIPS = {"unclipped": None, "clipped": Clipping(-1, 1), "thresholded": Clipping(-0.5, 2, 0.9)}
SILENT = ["dpmpp-2m@flow", "lcm@linear:zero_snr=true/trailing", "ddpm@linear:zero_snr=true/trailing"]  # alpha = 0
RECIPES = [
    *configurations(), *(f"{token}@cosine/karras" for token in ("ddim", "dpmpp-2m", "unipc", "heun", "seeds-3")),
    "heun@ve/karras", "euler-ancestral@edm", "ddim/restart", "ddpm/repaint", *SILENT,
]  # fmt: skip
LOOPS = {"the loop": loop.run, "the fast loop": numpy_loop.run}


def network(x, t):
    """Not linear, and dependent on x and t."""
    return np.tanh(x * (1 + 1e-3 * np.reshape(t, (-1, *[1] * (x.ndim - 1))))) + 0.3 * np.cos(x)


def with_variance(x, t):
    """The same, and v = 1: the noise is at its upper bound, as the loops are given it here."""
    return network(x, t), 1.0


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_loops_compute_what_the_rows_say(recipe, clip):
    random = np.random.default_rng(len(recipe))
    for prediction in ("eps", "v", "x0", "flow")[recipe in SILENT :]:
        made = plan(recipe, steps=9, prediction=prediction)
        x, *noise = random.standard_normal((made.rows + 1, 3, 2, 4))
        x = made.init * x
        ask = with_variance if made.learned else network
        expected = reference.run_plan(made, ask, x, lambda i, z=noise: z[i], clip=CLIPS[clip])
        scaled = [made.c[i] * noise[i] for i in range(made.rows) if made.c[i]]
        times = loop.repeat_times(made.time, 3, np.float64)
        for name, run in LOOPS.items():
            end = run(made, network, x, times, iter(scaled), limit=CLIPS[clip])
            np.testing.assert_allclose(end, expected, rtol=1e-7, atol=1e-9, err_msg=f"{name}, {prediction}")


@pytest.mark.parametrize("recipe", configurations())
@pytest.mark.filterwarnings("ignore::dtool.plan.ClampWarning")
def test_an_exported_sampler_computes_what_the_rows_say(recipe, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from tests.support.small_networks import write

    shape, seed, ids = (3, 4), 5, np.arange(4, dtype=np.uint64)
    write(tmp_path / "net.onnx", shape=shape, learned_variance="learned" in recipe)
    dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan=recipe, steps=5, check=False)
    net, file = dtool.load(tmp_path / "net.onnx", device="cpu"), dtool.load(tmp_path / "app.onnx", device="cpu")

    def ask(x, t):
        output = net.predict(np.asarray(x, np.float32), np.full(len(x), t, np.float32)).astype(np.float64)
        return np.split(output, 2, axis=1) if file.plan.learned else output

    start = file.plan.init * normals(seed, ids, 0, shape)[0].astype(np.float64)
    noise = [normals(seed, ids, i + 1, shape)[0] for i in range(file.plan.rows)]
    for clip in (None, Clipping(-1, 1)):
        expected = reference.run_plan(file.plan, ask, start, lambda i: noise[i], clip=clip)
        images = dtool.sample(file, file.plan, n=4, seed=seed, clip=clip is not None).x0
        assert np.abs(images - expected).max() / max(1, np.abs(expected).max()) < 1e-5


def test_a_plan_that_begins_at_an_image():
    made = plan("ddim-inversion", steps=6)
    x = np.random.default_rng(0).standard_normal((3, 2, 4))
    expected = reference.run_plan(made, network, x)
    assert made.sigma[0] == 0
    for run in LOOPS.values():
        end = run(made, network, x, loop.repeat_times(made.time, 3, np.float64), iter([]))
        np.testing.assert_allclose(end, expected, rtol=1e-9)


def test_the_end_of_a_grid_is_the_predicted_image():
    made = compile_plan(get_sampler("ddim"), (Point(0.1, 0.99), Point(0.8, 0.6), CLEAN), prediction="x0")
    assert reference.run_plan(made, lambda x, _: np.full_like(x, 0.25), np.ones(3)) == pytest.approx([0.25] * 3)
