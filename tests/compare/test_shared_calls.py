"""Calls that recipes have in common: made once, and the images as they are without that."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.compare import shared_calls
from dtool.compare.shared_calls import RememberingNetwork
from dtool.targets import target
from tests.support.commandline import network

STEPS = 5
# what these ask differently is known: by hand, from the rules' first steps
FIELD = ["ddim", "dpmpp-2m", "deis", "unipc:corrector=false", "lms", "ddim/karras", "heun/karras"]


def draw(net, recipes, ids=range(3), **options):
    return [dtool.sample(net, recipe, steps=STEPS, ids=ids, **options).x0 for recipe in recipes]


@pytest.mark.parametrize("options", [{}, {"clip": True}, {"guidance": 3.0}, {"guidance": 3.0, "clip": True}])
def test_the_images_are_those_of_the_network_itself(options):
    net = target("digits-gmm").network()
    remembering = RememberingNetwork(net)
    for mine, own in zip(draw(remembering, FIELD, **options), draw(net, FIELD, **options), strict=True):
        np.testing.assert_allclose(mine, own, atol=2e-5)
    assert remembering.answered > 0


def test_what_is_asked_once_is_called_once():
    """Five multistep rules on one grid begin with one call and one Euler step; Heun's first stage is the same, too."""
    calls = []

    def fn(x, t):
        calls.append(float(t[0]))
        return 0.3 * x

    net = dtool.network(fn, shape=(2,))
    net.micro_batch, net.mixes = 3, False
    draw(net, ["ddim"])
    calls.clear()
    remembering = RememberingNetwork(net)
    draw(remembering, FIELD)
    first, second = calls[0], calls[1]
    assert calls.count(first) == 1, "all seven begin at one level"
    assert calls.count(second) == 1, "five make the same first step"
    assert remembering.asked - remembering.answered == 3 * len(calls)
    count = len(calls)
    draw(remembering, FIELD)
    assert len(calls) == count
    remembering.forget()
    draw(remembering, FIELD[:1])
    assert len(calls) == count + STEPS


def test_other_images_classes_and_guidance_are_other_questions():
    net = network()
    remembering = RememberingNetwork(net)
    for options in ({}, {"ids": range(3, 6)}, {"seed": 1}, {"labels": [1, 1, 1]}, {"labels": [1, 1, 2]}):
        before = remembering.answered
        [mine], [own] = draw(remembering, ["ddim"], **options), draw(net, ["ddim"], **options)
        np.testing.assert_array_equal(mine, own)
        assert remembering.answered == before, options


def test_an_answer_is_the_callers_own():
    net = dtool.network(lambda x, t: 0.3 * x, shape=(2,))
    remembering = RememberingNetwork(net)
    x, t = np.ones((1, 2), np.float32), np.ones(1, np.float32)
    for _ in range(3):
        answer = remembering.predict(x, t)
        np.testing.assert_allclose(answer, 0.3, rtol=1e-6)
        answer *= 0
    x *= 1 + 1e-3
    assert remembering.predict(x, t)[0, 0] > 0.3


def test_more_than_there_is_room_for_is_asked_again(monkeypatch):
    monkeypatch.setattr(shared_calls, "MOST_NUMBERS", 20)
    net = dtool.network(lambda x, t: 0.3 * x, shape=(2,))
    net.micro_batch = 3
    remembering = RememberingNetwork(net)
    own = draw(net, FIELD)
    np.testing.assert_allclose(draw(remembering, FIELD), own, atol=1e-6)
    assert remembering.answered == 3 * (len(FIELD) - 1), "the first question alone is kept"
