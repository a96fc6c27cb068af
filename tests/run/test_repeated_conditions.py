"""Prompts and arrays in turn by the images' ids: what is told, what it costs, what identifies it, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.network import Network
from dtool.run.guided_conditions import MAX_LETTERS, Request
from dtool.run.repeated_conditions import NOTHING_TOLD, RepeatedConditions, refuse_extra_prompts, repeat_conditions
from tests.support.told_networks import Words, text_network


@pytest.fixture
def net() -> Network:
    return text_network()


def test_each_image_is_told_the_entry_at_its_id_modulo_their_number(net: Network) -> None:
    told = repeat_conditions(net, Request(prompt=["a", "b", "c"], conditions={"size": np.array([0.1, 0.2])}))
    given = told.take([5, 1, 2**40])["conditions"]
    places = [5, 1, 2**40]
    vectors = Words().encode(["a", "b", "c"])["text"]
    np.testing.assert_array_equal(given["text"], vectors[[i % 3 for i in places]])
    np.testing.assert_array_equal(given["size"], np.float32([0.2, 0.2, 0.1]))
    assert told.take_prompts(places) == ["c", "b", "b"]
    assert "without" not in told.take(places)


def test_they_are_what_sampling_with_a_prompt_each_gives(net: Network) -> None:
    request = Request(prompt=["a", "b"], negative="bad", guidance=3.0)
    told = repeat_conditions(net, request)
    one = dtool.sample(net, "ddim", steps=5, n=4, guidance=3, **told.take(range(4))).x0
    other = dtool.sample(net, "ddim", steps=5, prompt=["a", "b", "a", "b"], negative="bad", guidance=3).x0
    np.testing.assert_array_equal(one, other)


def test_a_text_is_encoded_once_however_many_images_there_are(net: Network) -> None:
    told = repeat_conditions(net, Request(prompt=["a", "b", "a"], guidance=2.0))
    for ids in (range(4), range(4, 8), range(8, 12)):
        dtool.sample(net, "ddim", steps=2, ids=ids, guidance=2, **told.take(ids))
    assert isinstance(net.text, Words)
    assert net.text.calls == ["a", "b", "", ""]  # the last is told where the network's prediction is tried out


def test_without_a_prompt_the_empty_text_is_told(net: Network) -> None:
    told = repeat_conditions(net, Request())
    np.testing.assert_array_equal(told.take([3])["conditions"]["text"], np.zeros((1, 4)))
    assert told.prompts == ()


def test_what_is_told_is_described_so_that_another_text_or_array_differs(net: Network) -> None:
    def describe(**fields: Any) -> dict[str, Any]:
        return repeat_conditions(net, Request(**fields)).describe()

    one = describe(prompt="a", conditions={"size": 0.5})
    assert one["prompts"] == ["a"]
    assert one["conditions"]["size"]["shape"] == [1]
    others = [describe(prompt="b", conditions={"size": 0.5}), describe(prompt="a", conditions={"size": 0.6})]
    others += [describe(prompt="a", negative="b", guidance=2.0, conditions={"size": 0.5})]
    assert all(other != one for other in others)
    assert describe(prompt="a", conditions={"size": 0.5}) == one


def test_a_network_that_takes_nothing_is_told_nothing() -> None:
    net = dtool.network(lambda x, t: x, shape=(2,))
    assert repeat_conditions(net, Request()) == NOTHING_TOLD
    assert NOTHING_TOLD.take([0, 1]) == {}
    assert NOTHING_TOLD.describe() == {}


@pytest.mark.parametrize(
    ("fields", "cause", "hint"),
    [
        ({"conditions": {"sise": 1.0}}, "takes no condition 'sise'", "did you mean size?"),
        ({"conditions": {"text": np.zeros((2, 3))}}, "text has shape (2, 3)", "one each"),
        ({"conditions": {"size": np.nan}}, "size holds NaN", "finite"),
        ({"conditions": {"text": np.zeros(4)}, "prompt": "a"}, "text is given, and a prompt that makes it too", "one"),
        ({"prompt": []}, "prompt=[] is not text", "a list of them"),
        ({"prompt": "a" * (MAX_LETTERS + 1)}, "is too long", f"{MAX_LETTERS}"),
        ({"negative": "a"}, "but no guidance", "--guidance"),
        ({"without": {"size": 1.0}}, "but no guidance", "--guidance"),
    ],
)
def test_what_the_network_does_not_take_is_refused(net: Network, fields: dict[str, Any], cause: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        repeat_conditions(net, Request(**fields))
    assert cause in str(caught.value)
    assert hint in caught.value.hint


def test_a_network_without_a_text_encoder_takes_no_prompt() -> None:
    with pytest.raises(UsageError, match="it has no text encoder") as caught:
        repeat_conditions(dtool.network(lambda x, t: x, shape=(2,)), Request(prompt="a"))
    assert "--condition NAME=FILE.npy" in caught.value.hint


def test_more_prompts_than_images_are_refused() -> None:
    told = replace(NOTHING_TOLD, prompts=("a", "b", "c"))
    refuse_extra_prompts(told, 3)
    with pytest.raises(UsageError, match="3 prompts for 2 images"):
        refuse_extra_prompts(told, 2)
    assert isinstance(told, RepeatedConditions)
