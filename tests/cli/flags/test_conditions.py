"""Prompts and conditions as they are typed: which value means what, and what is refused with what to type instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dtool
from dtool.cli.flags.conditions import ConditionWords, choose_conditioner
from dtool.errors import DtoolError, UsageError
from dtool.models.network import Network
from tests.support.told_networks import text_network


@pytest.fixture(scope="module")
def net() -> Network:
    """Takes a vector, a number and a picture."""
    conditions = [
        {"name": "text", "shape": (4,)}, {"name": "size", "null": 0},
        {"name": "low/res", "shape": (3, 2, 2), "null": 0},
    ]  # fmt: skip
    return dtool.network(lambda x, t, **_: x, shape=(3, 4, 4), conditions=conditions)


def test_a_value_says_by_its_form_what_it_is(folder: Path, net: Network) -> None:
    np.save("text.npy", np.arange(4.0))
    Image.new("RGB", (4, 4), (255, 0, 0)).save("red.png")
    words = ConditionWords(condition=["text=text.npy", "size=0.5", "low/res=resize:red.png"], without=["text=2"])
    request = words.read(net, 3.0)
    assert request.conditions is not None
    assert request.without is not None
    np.testing.assert_array_equal(request.conditions["text"], np.arange(4))
    assert request.conditions["size"] == 0.5
    np.testing.assert_array_equal(request.conditions["low/res"][:, 0, 0], [1, -1, -1])
    np.testing.assert_array_equal(request.without["text"], [2, 2, 2, 2])
    assert request.guidance == 3


def test_a_conditioner_may_be_named(folder: Path) -> None:
    conditioner, words = choose_conditioner("number:1e3")
    assert (conditioner.name, words) == ("number", "1e3")
    assert choose_conditioner("-2.5")[0].name == "number"
    assert choose_conditioner("a.NPY")[0].name == "npy"
    assert choose_conditioner("a.JPEG")[0].name == "image"


def test_a_condition_that_is_given_several_times_is_told_in_turn(folder: Path, net: Network) -> None:
    np.save("two.npy", np.ones((2, 4)))
    words = ConditionWords(condition=["size=1", "size=2", "text=0", "text=two.npy"])
    conditions = words.read(net, None).conditions
    assert conditions is not None
    assert np.asarray(conditions["size"]).tolist() == [1, 2]
    assert np.asarray(conditions["text"]).tolist() == [[0] * 4, [1] * 4, [1] * 4]


def test_prompts_come_from_words_or_from_a_file(folder: Path) -> None:
    Path("prompts.txt").write_text("a cat\n\n  a dog \n", "utf-8")
    assert ConditionWords(prompt=["a", "b"]).read_prompts() == ["a", "b"]
    assert ConditionWords(prompts=Path("prompts.txt")).read_prompts() == ["a cat", "a dog"]
    assert ConditionWords().read_prompts() is None
    assert ConditionWords().read_options(text_network(), None) == {}


def test_files_that_are_read_are_known(folder: Path) -> None:
    words = ConditionWords(condition=["text=npy:a.npy", "size=1"], without=["text=b.npy"], prompts=Path("c.txt"))
    assert words.list_files() == [Path("a.npy"), Path("b.npy"), Path("c.txt")]


@pytest.mark.parametrize(
    ("words", "kind", "cause", "hint"),
    [
        (["texd=1"], UsageError, "takes no condition 'texd'", "did you mean text?"),
        (["text"], UsageError, "--condition text: not NAME=VALUE", "text=FILE.npy"),
        (["text="], UsageError, "not NAME=VALUE", "text=FILE.npy"),
        (["text=none.npy"], DtoolError, "text: there is no file none.npy", "check the path"),
        (["low/res=none.png"], DtoolError, "low/res: there is no file none.png", "check the path"),
        (["text=red.png"], UsageError, "text float32 (4) is no picture", "FILE.npy"),
        (["text=nmber:2"], UsageError, "is no value for a condition", "did you mean number?"),
        (
            ["text=words"],
            UsageError,
            "'words' is no value for a condition",
            "CONDITIONER:WORDS (number, npy, image, resize)",
        ),
        (["text=npy:objects.npy"], DtoolError, "objects.npy", "numpy.save"),
        (["text=two.npy", "text=five.npy"], UsageError, "the arrays for text have different shapes", "one shape"),
    ],
)
def test_what_cannot_be_read_is_refused(
    folder: Path, net: Network, words: list[str], kind: Any, cause: str, hint: str
) -> None:
    np.save("objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save("two.npy", np.ones((2, 4)))
    np.save("five.npy", np.ones((2, 5)))
    with pytest.raises(kind) as caught:
        ConditionWords(condition=words).read(net, None)
    assert cause in str(caught.value)
    assert hint in caught.value.hint


def test_files_of_prompts_that_are_none_are_refused(folder: Path) -> None:
    Path("empty.txt").write_text("\n \n")
    Path("latin.txt").write_bytes(b"caf\xe9\n")
    for name, message in [("none.txt", "there is no file"), ("empty.txt", "holds no prompts"), ("latin.txt", "UTF-8")]:
        with pytest.raises(DtoolError, match=message):
            ConditionWords(prompts=Path(name)).read_prompts()
    with pytest.raises(UsageError, match="both --prompt and --prompts"):
        ConditionWords(prompt=["a"], prompts=Path("empty.txt")).read_prompts()


def test_a_class_is_no_condition() -> None:
    net = dtool.network(lambda x, t, label: x, shape=(2,), classes=3)
    with pytest.raises(UsageError) as caught:
        ConditionWords(condition=["label=1"]).read(net, None)
    assert caught.value.hint == "classes are given by --class"
