"""The calls of a guided run, row by row: the extrapolation that each says, and how often it evaluates the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dtool
from dtool.models.conditions import ConditionPair
from dtool.models.guidance import make_guided_calls
from dtool.run.sampling import sample

SHAPE = (2, 3)
X, T = np.random.default_rng(0).standard_normal((3, *SHAPE)), np.full(3, 500.0)
GIVEN, NONE = np.array([0, 2, 3]), np.full(3, 4)
PAIR = ConditionPair({"label": GIVEN}, {"label": NONE})


def output(x: Any, label: Any) -> Any:
    return 0.1 * x + 0.01 * np.reshape(label, (-1, *[1] * (x.ndim - 1))).astype(x.dtype)


class Recording:
    """A network that remembers the classes of every batch that it is given."""

    def __init__(self, size: float = 1.0) -> None:
        self.seen: list[list[int]] = []
        self.network = dtool.network(self, shape=SHAPE, classes=4)
        self.size = size

    def __call__(self, x: Any, t: Any, label: Any) -> Any:
        self.seen.append(label.tolist())
        return self.size * output(x, label)


def call_rows(recipe: str, scale: float, pair: ConditionPair | None = PAIR, **options: Any) -> tuple[list, list]:
    """(the results of the rows' calls on one x, the classes of the batches that the network saw)."""
    recording = Recording()
    recording.network.mixes = options.pop("mixes", False)
    plan = dtool.plan(recipe, network=recording.network, steps=4)
    calls = make_guided_calls(recording.network, plan, pair, scale, X, **options)
    assert len(calls) == plan.rows
    results = [call(X.copy(), T) for call in calls]
    return [
        tuple(map(np.array, r)) if isinstance(r, tuple) and r[1] is not None else r for r in results
    ], recording.seen


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 3.0])
def test_a_row_is_the_extrapolation_that_it_says_in_one_call(scale):
    """One row in the middle is guided, with twice the batch, first without the conditions."""
    results, seen = call_rows("ddim~cfg:low=-2,high=0", scale)
    plan = dtool.plan("ddim~cfg:low=-2,high=0", steps=4)
    assert 0 < plan.guided.sum() < 4
    for i, (result, labels) in enumerate(zip(results, seen, strict=True)):
        weight = scale if plan.guided[i] else 1.0
        np.testing.assert_allclose(result, output(X, 4 + weight * (GIVEN - 4)), atol=1e-12)
        both = {0.0: NONE.tolist(), 1.0: GIVEN.tolist()}.get(weight, [*NONE, *GIVEN])
        assert labels == both


def test_a_network_that_mixes_its_batch_is_called_twice():
    results, seen = call_rows("ddim~3", 3.0, mixes=True)
    assert seen == [NONE.tolist(), GIVEN.tolist()] * 4
    np.testing.assert_allclose(results[0], output(X, 4 + 3 * (GIVEN - 4)), atol=1e-12)


def test_a_row_that_compares_gives_both():
    results, seen = call_rows("ddim~cfgpp", 0.5)
    assert [len(labels) for labels in seen] == [6] * 4
    for guided, without in results:
        np.testing.assert_allclose(guided, output(X, 4 + 0.5 * (GIVEN - 4)), atol=1e-12)
        np.testing.assert_allclose(without, output(X, NONE), atol=1e-12)


def test_a_row_that_compares_with_itself_evaluates_once():
    for scale, pair in ((0.0, PAIR), (0.5, ConditionPair({"label": GIVEN}))):
        results, seen = call_rows("ddim~cfgpp", scale, pair)
        assert [len(labels) for labels in seen] == [3] * 4
        assert all(without is None for _, without in results)


def test_a_row_of_scale_one_that_compares_gives_the_conditions_and_none():
    results, _ = call_rows("ddim~cfgpp", 1.0)
    np.testing.assert_allclose(results[0][0], output(X, GIVEN), atol=1e-12)
    np.testing.assert_allclose(results[0][1], output(X, NONE), atol=1e-12)


@pytest.mark.parametrize(("recipe", "scale"), [("ddim~2", 2.0), ("ddim~cfgpp", 0.5), ("ddim~cfg:high=-100", 2.0)])
def test_a_weaker_network_takes_the_place_of_no_conditions(recipe, scale):
    weak = Recording(size=0.7)
    results, seen = call_rows(recipe, scale, ConditionPair({"label": GIVEN}), weak=weak.network)
    strong, other = output(X, GIVEN), 0.7 * output(X, GIVEN)
    doubled = "high" not in recipe
    for result in results:
        guided = result[0] if isinstance(result, tuple) else result
        np.testing.assert_allclose(guided, other + scale * (strong - other) if doubled else strong, atol=1e-12)
    assert seen == [GIVEN.tolist()] * 4
    assert weak.seen == [GIVEN.tolist()] * (4 if doubled else 0)


def test_rescaled_it_has_part_of_the_deviation_of_the_unguided():
    results, _ = call_rows("ddim~cfg:rescale=0.7", 3.0)
    plain = output(X, 4 + 3 * (GIVEN - 4))
    ratio = output(X, GIVEN).std(axis=(1, 2), keepdims=True) / plain.std(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(results[0], plain * (0.7 * ratio + 0.3), atol=1e-12)
    whole, _ = call_rows("ddim~cfg:rescale=1", 3.0)
    np.testing.assert_allclose(whole[0].std(axis=(1, 2)), output(X, GIVEN).std(axis=(1, 2)), atol=1e-12)


def test_calls_with_guidance_one_are_single() -> None:
    sizes: list[int] = []

    def fn(x: Any, t: Any, label: Any) -> Any:
        sizes.append(len(x))
        return x * 0

    network = dtool.network(fn, shape=(1000, 10), classes=2)
    network.is_builtin = True  # whether its images depend on one another is not tried out first
    for scale in (1.0, 3.0):
        sample(network, "ddim", n=1, steps=3, guidance=scale)
    assert sizes == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("seed", [0, 5])
def test_guidance_of_a_learned_variance_on_tensors(seed):
    """Guided in place, which an inference tensor would not allow."""
    torch = pytest.importorskip("torch")

    def on(array_of):
        return lambda x, t, label: array_of([0.1 * x + 0.01 * label[:, None], 0.2 * x])

    kind = {"shape": (4,), "classes": 3, "learned_variance": True}
    on_numpy = dtool.network(on(lambda v: np.concatenate(v, 1)), **kind)
    on_torch = dtool.network(on(lambda v: torch.cat(v, 1)), **kind, backend="torch")
    one, other = (
        sample(net, "ddpm:sigma=learned", n=5, steps=5, seed=seed, guidance=2.0).x0 for net in (on_numpy, on_torch)
    )
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
