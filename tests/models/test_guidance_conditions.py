"""Guidance between any two conditions is the extrapolation by hand, in one call or two."""

import numpy as np
import pytest

import dtool
from tests.support.conditional_networks import BIAS, PLAN, START, TEXT, effect, make_network, sample_by_hand

SCALES = [0.0, 0.5, 1.5, 7.0]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("length", "calls"), [(5, 1), (3, 2)])
def test_guidance_is_the_extrapolation_between_two_texts(scale, length, calls):
    """Texts of one length go in one call of twice the batch, others in two."""
    network, seen = make_network(TEXT)
    random = np.random.default_rng(1)
    given, other = random.standard_normal((3, 5, 2)), random.standard_normal((3, length, 2))
    found = dtool.sample(network, PLAN, x=START, conditions={"text": given}, without={"text": other}, guidance=scale).x0
    given, other = given.astype(np.float32), other.astype(np.float32)
    np.testing.assert_allclose(found, sample_by_hand(effect(other), effect(given), scale, PLAN), rtol=0, atol=1e-12)
    if scale == 0:
        assert seen == [(3, length)] * 4
    elif calls == 1:
        assert seen == [(6, 5)] * 4
    else:
        assert seen == [(3, length), (3, 5)] * 4


def test_scale_one_is_the_network_as_its_conditions_are_given():
    network, seen = make_network(TEXT)
    given = np.random.default_rng(1).standard_normal((3, 5, 2)).astype(np.float32)
    found = dtool.sample(network, PLAN, x=START, conditions={"text": given}, guidance=1).x0
    np.testing.assert_allclose(found, sample_by_hand(0, effect(given), 1, PLAN), rtol=0, atol=1e-12)
    assert seen == [(3, 5)] * 4


@pytest.mark.parametrize("scale", SCALES)
def test_without_a_word_the_null_value_is_compared_with_and_what_has_none_stays(scale):
    network, seen = make_network(TEXT, BIAS)
    text, bias = np.full((5, 2), 0.7, np.float32), np.array([[1.0, -1], [2, 0], [0.5, 3]], np.float32)
    told = {"text": text, "bias": bias}
    found = dtool.sample(network, PLAN, x=START, conditions=told, guidance=scale).x0
    null, full = effect(np.zeros((3, 5, 2)), bias), effect(np.stack([text] * 3), bias)
    np.testing.assert_allclose(found, sample_by_hand(null, full, scale, PLAN), rtol=0, atol=1e-12)
    assert {size for size, _ in seen} == ({3} if scale == 0 else {6})


def test_the_condition_that_has_no_null_value_changes_where_that_is_said():
    network, _ = make_network(TEXT, BIAS)
    bias, other = np.ones((3, 2), np.float32), np.array([-1.0, 2], np.float32)
    found = dtool.sample(network, PLAN, x=START, conditions={"bias": bias}, without={"bias": other}, guidance=2).x0
    wanted = sample_by_hand(effect(np.zeros((3, 1, 2)), other), effect(np.zeros((3, 1, 2)), bias), 2, PLAN)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


def test_classes_and_conditions_are_left_out_together():
    network, _ = make_network(TEXT, classes=4)
    text = np.full((3, 5, 2), 0.7, np.float32)
    found = dtool.sample(network, PLAN, x=START, labels=[0, 1, 3], conditions={"text": text}, guidance=3).x0
    null, full = effect(np.zeros((3, 5, 2)), 0, [4] * 3), effect(text, 0, [0, 1, 3])
    np.testing.assert_allclose(found, sample_by_hand(null, full, 3, PLAN), rtol=0, atol=1e-12)


def test_a_network_s_own_scale_is_the_default():
    network, seen = make_network(TEXT, guidance=2.5)
    text = np.full((3, 5, 2), 0.7, np.float32)
    found = dtool.sample(network, PLAN, x=START, conditions={"text": text}).x0
    assert {size for size, _ in seen} == {6}
    again = dtool.sample(network, PLAN, x=START, conditions={"text": text}, guidance=2.5).x0
    np.testing.assert_array_equal(found, again)


def test_a_network_that_mixes_its_batch_is_called_twice():
    network, seen = make_network(TEXT)
    network.mixes = True
    dtool.sample(network, PLAN, x=START, conditions={"text": np.ones((5, 2))}, guidance=2)
    assert seen == [(3, 5), (3, 5)] * 4
