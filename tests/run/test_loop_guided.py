"""Guided runs: every loop, on every backend and in a file, is the rows as they are read by hand."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.plan.guiding import count_evaluations
from dtool.run.clipping import Clipping
from dtool.run.noise import normals
from tests.support.guided_runs import count_rows, run_by_hand

torch = pytest.importorskip("torch")

RECIPES = [
    "ddim", "ddpm", "heun", "dpmpp-2m/karras", "unipc", "dpm2-ancestral", "seeds-3", "ddim/restart", "ddpm/repaint",
    "dpmpp-2m-cfgpp", "dpmpp-2s-ancestral-cfgpp", "res-multistep-cfgpp:eta=1", "gradient-estimation:last=euler",
]  # fmt: skip
GUIDANCES = ["3@-1.3:0.3", "cfgpp:scale=0.6", "cfg-linear:scale=2", "cfg:scale=3,rescale=0.7", "0"]
SHAPE, LABELS, CLASSES = (2, 3), [0, 2, 1], 3
WHOLLY = ("heun", "dpmpp-2m-cfgpp", "ddpm:sigma=learned")  # with every way of limiting; the others take turns
LIMITS = {"free": {"clip": False}, "clipped": {"clip": True}, "thresholded": {"clip": True, "threshold": 0.8}}
CASES = [
    (recipe, guidance, limit)
    for i, recipe in enumerate([*RECIPES, "ddpm:sigma=learned"])
    for j, guidance in enumerate(GUIDANCES)
    for k, limit in enumerate(LIMITS)
    if recipe in WHOLLY or (i + j + k) % len(LIMITS) == 0
]


def predict(x, t, label):
    """Not linear, on numpy arrays and tensors alike; the second half is a variance."""
    count = x.shape[1]
    told = 0.3 * (label.to(x.dtype) if isinstance(x, torch.Tensor) else label).reshape(-1, 1, 1)
    level = 1 + 1e-3 * t.reshape(-1, 1, 1)
    bent = x / (1 + x * x)
    mean = 0.8 * x / level + 0.5 * bent * (1 + told) + 0.2 * told
    both = [mean, 0.9 * bent]
    assert count == SHAPE[0]
    return torch.cat(both, 1) if isinstance(x, torch.Tensor) else np.concatenate(both, 1)


def make_network(backend="numpy", learned=False):
    def alone(x, t, label):
        return predict(x, t, label)[:, : SHAPE[0]]

    return dtool.network(
        predict if learned else alone, shape=SHAPE, classes=CLASSES, learned_variance=learned, backend=backend,
        prediction="v",
    )  # fmt: skip


def run_reference(plan, scale, x, noise, limit):
    def outputs(label):
        return lambda x, t: predict(x, np.full(len(x), t), np.asarray(label))

    clip = {"free": None, "clipped": Clipping(-1, 1), "thresholded": Clipping(-1, 1, 0.8)}[limit]
    return run_by_hand(plan, outputs(LABELS), outputs([CLASSES] * 3), scale, x, noise, clip)


def prepare(recipe, guidance, network):
    plan = dtool.plan.guide(dtool.plan(recipe, network=network, steps=9), dtool.get_guidance(guidance))
    random = np.random.default_rng(len(recipe))
    return plan, plan.init * random.standard_normal((3, *SHAPE)), random.standard_normal((plan.rows, 3, *SHAPE))


@pytest.mark.filterwarnings("ignore::dtool.plan.ClampWarning")
@pytest.mark.parametrize(("recipe", "guidance", "limit"), CASES)
def test_the_loops_are_the_rows_by_hand(recipe, guidance, limit):
    """Both loops on numpy, of which `trace` takes the general one, and PyTorch in float64."""
    learned = "learned" in recipe
    network = make_network(learned=learned)
    plan, x, noise = prepare(recipe, guidance, network)
    scale = plan.scale
    expected = run_reference(plan, scale, x, noise, limit)
    options = {"labels": LABELS, **LIMITS[limit]}
    fast = dtool.sample(network, plan, x=x, noise=noise, **options)
    slow = dtool.sample(network, plan, x=x, noise=noise, trace=True, **options)
    drawn = dtool.sample(
        make_network("torch", learned), plan, x=torch.from_numpy(x), noise=torch.from_numpy(noise), **options
    )
    bound = 1e-9 * max(1.0, np.abs(expected).max())
    for found in (fast.x0, slow.x0, np.asarray(drawn.x0)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=bound)
    assert fast.evaluations == slow.evaluations == sum(count_rows(plan, scale)) == count_evaluations(plan, scale)


@pytest.mark.parametrize(
    ("recipe", "guidance"),
    [
        ("ddim", "3@-1.3:0.3"), ("ddpm:sigma=learned", "2@-1.3:"), ("heun", "cfgpp:scale=0.6"), ("unipc", "0"),
        ("dpmpp-2m/karras", "cfg-linear:scale=2"), ("ddim/restart", "cfg:scale=3,rescale=0.7"),
        ("dpmpp-2m-cfgpp", "cfg:scale=0.6"), ("dpmpp-2s-ancestral-cfgpp", "cfg:scale=0.6,high=1"),
        ("res-multistep-cfgpp:eta=1", "cfg:scale=0.6"), ("gradient-estimation:last=euler", "cfgpp:scale=0.6"),
    ],
)  # fmt: skip
def test_onnx_runtime_and_the_file_are_the_rows_by_hand(recipe, guidance, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from tests.support.sampler_files import both

    token = f"{recipe}~{guidance}"
    host, fused = both(
        tmp_path, token, steps=9, shape=SHAPE, classes=CLASSES, learned_variance="learned" in recipe, guidance=2.0
    )
    plan, seed, ids = fused.plan, 5, np.arange(3, dtype=np.uint64)
    start = plan.init * normals(seed, ids, 0, SHAPE)[0].astype(np.float64)
    noise = [normals(seed, ids, i + 1, SHAPE)[0] for i in range(plan.rows)]

    def outputs(label):
        told = {"label": np.asarray(label, np.int64)}
        return lambda x, t: host.predict(np.asarray(x, np.float32), np.full(3, t, np.float32), told).astype(np.float64)

    for clip in (False, True):
        limit = Clipping(-1, 1) if clip else None
        expected = run_by_hand(plan, outputs(LABELS), outputs([CLASSES] * 3), plan.scale, start, noise, limit)
        bound = 1e-5 * max(1.0, np.abs(expected).max())
        for network in (host, fused):
            found = dtool.sample(network, plan, n=3, seed=seed, labels=LABELS, clip=clip)
            np.testing.assert_allclose(found.x0, expected, rtol=0, atol=bound)
            assert found.evaluations == sum(count_rows(plan, plan.scale))


@pytest.mark.parametrize("guidance", GUIDANCES)
def test_bits_do_not_depend_on_the_batch(guidance):
    network = make_network()
    plan, _, _ = prepare("dpmpp-2m-sde", guidance, network)
    labels = np.arange(7) % CLASSES
    together = dtool.sample(network, plan, n=7, seed=3, labels=labels).x0
    order = [5, 0, 6]
    apart = dtool.sample(network, plan, ids=order, seed=3, labels=labels[order]).x0
    np.testing.assert_array_equal(apart, together[order])
    for i in order:
        np.testing.assert_array_equal(
            dtool.sample(network, plan, ids=[i], seed=3, labels=[labels[i]]).x0[0], together[i]
        )


def test_bits_of_a_file_do_not_depend_on_the_batch(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from tests.support.sampler_files import both

    _, fused = both(tmp_path, "dpmpp-2m-cfgpp~cfg:scale=0.6,high=1", shape=SHAPE, classes=CLASSES)
    labels = np.arange(7) % CLASSES
    together = dtool.sample(fused, fused.plan, n=7, seed=3, labels=labels).x0
    for i in (5, 0):
        alone = dtool.sample(fused, fused.plan, ids=[i], seed=3, labels=[labels[i]]).x0
        np.testing.assert_array_equal(alone[0], together[i])


def test_a_row_of_scale_one_makes_one_evaluation():
    """By the sizes of the batches that the network sees."""
    sizes: list[int] = []

    def recording(x, t, label):
        sizes.append(len(x))
        return 0.1 * x + 0.01 * label.reshape(-1, 1, 1)

    network = dtool.network(recording, shape=SHAPE, classes=CLASSES)
    network.is_builtin = True  # nothing is tried out first
    x = np.ones((3, *SHAPE))
    for recipe, scale in (("heun~3@-1.3:0.3", 3), ("dpmpp-2m-cfgpp", 1), ("ddim~cfg-linear:scale=2", 2), ("ddim", 0)):
        plan = dtool.plan(recipe, network=network, steps=8)
        sizes.clear()
        found = dtool.sample(network, plan, x=x, guidance=None if plan.guidance else scale)
        wanted = count_rows(plan, scale)
        assert sizes == [3 * count for count in wanted]
        assert found.evaluations == sum(wanted)
    assert 1 in count_rows(dtool.plan("heun~3@-1.3:0.3", network=network, steps=8), 3)
