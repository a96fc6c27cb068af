"""Which guidance a run has: the plan's, the caller's, the network's; and what it may be compared with."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.run.guided_plan import parse_scale, require_comparable, resolve_guidance
from tests.support.conditional_networks import TEXT, effect, make_network


def make(**fields):
    return dtool.network(lambda x, t, label: 0.1 * x + label[:, None], shape=(2,), classes=3, **fields)


def resolve(recipe, asked, **fields):
    network = make()
    spec = network.spec.model_copy(update=fields)
    return resolve_guidance(spec, dtool.plan(recipe, network=network, steps=6), asked)


@pytest.mark.parametrize(
    ("recipe", "guidance", "token", "scale"),
    [
        ("ddim", None, "", 2.5), ("ddim", 4, "", 4), ("ddim", "4", "", 4), ("ddim~3", None, "cfg:scale=3.0", 3),
        ("ddim~3", 4, "cfg:scale=3.0", 4), ("ddim~cfgpp", None, "cfgpp", 2.5), ("ddim~cfgpp", 0.5, "cfgpp", 0.5),
        ("ddim", "cfgpp:scale=0.5", "cfgpp:scale=0.5", 0.5), ("ddim", "cfgpp", "cfgpp", 2.5),
    ],
)  # fmt: skip
def test_who_says_it(recipe, guidance, token, scale):
    plan, found = resolve(recipe, guidance, guidance=2.5)
    assert (plan.guidance, found) == (token, scale)


def test_the_interval_that_a_network_recommends():
    fields = {"guidance": 2.5, "guidance_interval": (-1.0, 0.5)}
    plan, scale = resolve("ddim", None, **fields)
    assert scale == 2.5
    assert (plan.guided == ((plan.lam >= -1) & (plan.lam <= 0.5))).all()
    assert 0 < plan.guided.sum() < plan.rows
    for recipe, guidance in (("ddim", 2.5), ("ddim~cfg-linear", None), ("ddim-inversion", None)):
        assert "low=" not in resolve(recipe, guidance, **fields)[0].guidance
    assert resolve("ddim", None, guidance_interval=(-1.0, 0.5), guidance=1.0)[0].guidance == ""


@pytest.mark.parametrize(
    ("recipe", "guidance", "words"),
    [
        ("ddim~3", "cfgpp", "names its guidance already"), ("ddim", -1, "is no scale"), ("ddim", "inf", "is no scale"),
        ("ddim", "nan", "is no scale"), ("ddim", "nonsense", "nonsense"), ("ddim-inversion", "cfgpp", "leads from an"),
    ],
)  # fmt: skip
def test_what_is_refused(recipe, guidance, words):
    with pytest.raises(UsageError, match=words):
        resolve(recipe, guidance)


def test_a_scale_is_a_number_and_nothing_else():
    assert [parse_scale(value) for value in (3, "3", None, "3@-1:0", dtool.get_guidance("3"))] == [
        3,
        3,
        None,
        None,
        None,
    ]


def test_an_unguided_network_is_told_that_it_cannot_be_guided():
    network = dtool.network(lambda x, t: 0.1 * x, shape=(2,))
    with pytest.raises(UsageError, match="guidance needs a conditional network"):
        dtool.sample(network, "ddim~3@-3:3", n=1, steps=4)


def test_texts_of_different_lengths_in_some_rows_only():
    """The interval's rows call twice, once for each length; the others once."""
    network, seen = make_network(TEXT)
    random = np.random.default_rng(1)
    given, other = random.standard_normal((3, 5, 2)), random.standard_normal((3, 4, 2))
    plan, start = dtool.plan("ddim~3@-2:0", network=network, steps=4), random.standard_normal((3, 2))
    found = dtool.sample(network, plan, x=start, conditions={"text": given}, without={"text": other})
    assert seen == [shape for g in plan.guided for shape in ([(3, 4), (3, 5)] if g else [(3, 5)])]
    assert found.evaluations == len(seen)
    x = start
    full, free = effect(given.astype(np.float32)), effect(other.astype(np.float32))
    for i, to in enumerate([*range(1, 4), None]):
        eps = 0.2 * x + (free + 3 * (full - free) if plan.guided[i] else full)
        image = (x - plan.sigma[i] * eps) / plan.alpha[i]
        x = image if to is None else plan.alpha[to] * image + plan.sigma[to] * eps
    np.testing.assert_allclose(found.x0, x, rtol=0, atol=1e-9)


def test_a_weaker_network_must_say_the_same_of_the_same():
    network = make()
    require_comparable(network, None)
    require_comparable(network, make(guidance=3))
    for other, word in (
        (make(prediction="v"), "prediction"), (make(schedule="cosine"), "schedule"),
        (make(learned_variance=True), "learned variance"),
        (dtool.network(lambda x, t: x, shape=(2,)), "conditions"), (dtool.network(lambda x, t: x, shape=(3,)), "shape"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=f"has another .*{word}"):
            require_comparable(network, other)


def test_autoguidance_of_a_network_without_conditions():
    strong, weak = (dtool.network(lambda x, t, k=k: k * x, shape=(2,)) for k in (0.3, 0.5))
    wanted = dtool.network(lambda x, t: (0.5 + 2 * (0.3 - 0.5)) * x, shape=(2,))
    x = np.random.default_rng(0).standard_normal((3, 2))
    found = dtool.sample(strong, "ddim", steps=4, x=x, guidance=2, weak=weak)
    np.testing.assert_allclose(found.x0, dtool.sample(wanted, "ddim", steps=4, x=x).x0, rtol=0, atol=1e-12)
    assert found.evaluations == 8
