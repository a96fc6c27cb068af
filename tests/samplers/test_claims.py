"""What a sampler declares is examined when it is declared."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from dtool.errors import UsageError
from dtool.samplers.claims import Breaks, Same
from dtool.samplers.rule import sampler
from tests.support.steps import first

DECLARED = {
    "breaks names 'etaa', and there is no such option": {"breaks": Breaks("x", when={"etaa": 0})},
    "breaks names eta=7, which eta does not take": {"breaks": Breaks("x", when={"eta": 7})},
    "breaks names eta='much', which": {"breaks": Breaks("x", unless={"eta": "much"})},
    "breaks is 'eta=0', not a Breaks": {"breaks": "eta=0"},
    r"breaks is \{'eta': 'why'\}, not a Breaks": {"breaks": {"eta": "why"}},
    "breaks holds 'why', not a Breaks": {"breaks": ("why",)},
    "breaks has why=''": {"breaks": Breaks("")},
    r"breaks has the condition \{\}": {"breaks": Breaks("x", when={})},
    "breaks has the condition 'eta'": {"breaks": Breaks("x", unless="eta")},
    "breaks names eta in when and in unless": {"breaks": Breaks("x", when={"eta": 0}, unless={"eta": 1})},
    "breaks gives 'y' after a reason that covers": {"breaks": (Breaks("x"), Breaks("y", when={"eta": 0}))},
    "breaks gives 'z' after a reason that covers": {"breaks": [Breaks("x", {"eta": 0}), Breaks("z", {"eta": 0.0})]},
    "breaks has a condition on one, which can have one value only": {"breaks": Breaks("x", when={"one": "a"})},
    "breaks has a condition on free, which has no type": {"breaks": Breaks("x", when={"free": 0})},
    r"same holds 'euler', not a Same": {"same": ["euler"]},
    "same is 'euler', not a Same": {"same": "euler"},
    "same has recipe=3": {"same": Same(3)},
    "same names the sampler itself": {"same": Same("mine")},
    "same names the sampler itse": {"same": Same("mine:eta=1@linear")},
    "same names 'etaa', and there is no such option": {"same": Same("euler", when={"etaa": 0})},
    "same names eta=7, which eta does not take": {"same": Same("euler", when={"eta": 7})},
    "same has on='on Sundays'": {"same": Same("euler", on="on Sundays")},
    "same names one recipe twice": {"same": (Same("euler"), Same("euler", when={"eta": 0}))},
    "'euler:' is not of the form": {"same": Same("euler:")},
    "order is -1": {"order": -1},
    "order is 1.5": {"order": 1.5},
    "startup_order is -4": {"startup_order": -4},
    "calls is 0": {"calls": 0},
    "calls is 'two'": {"calls": lambda **_: "two"},
    "startup_order is None": {"orders": lambda **_: (1, None)},
    "basis is 'v'": {"basis": "v"},
}


@pytest.mark.parametrize("why", DECLARED)
def test_a_declaration_that_cannot_hold_is_refused(why):
    def step(now, to, *, eta: Annotated[float, Field(ge=0, le=1)] = 0.0, one: Literal["a"] = "a", free=7):
        return first(now, to)

    with pytest.raises(UsageError, match=("" if why.startswith("'") else "sampler mine: ") + why) as error:
        sampler("mine", **({"order": 1} | DECLARED[why]))(step)
    assert error.value.hint


@pytest.mark.parametrize(
    ("condition", "words", "value", "holds"),
    [
        ({"when": {"eta": 0}}, "eta = 0", 0.0, True), ({"when": {"eta": 0.0}}, "eta = 0", 0, True),
        ({"when": {"eta": 0}}, "eta = 0", 0.5, False), ({"unless": {"eta": 1}}, "eta ≠ 1", 1.0, False),
        ({"unless": {"eta": 1.0}}, "eta ≠ 1", 0.3, True), ({"when": {"eta": 5e-1}}, "eta = 0.5", 0.5, True),
        ({"when": {"last": True}}, "last = true", True, True), ({"when": {"last": 1}}, "last = true", True, True),
        ({"when": {"last": False}}, "last = false", True, False), ({"when": {"n": 3}}, "n = 3", 3, True),
        ({"when": {"kind": "a"}}, "kind = a", "a", True), ({"when": {"none": None}}, "none = None", None, True),
        ({"unless": {"n": 3, "eta": 0.25}}, "n ≠ 3, eta ≠ 0.25", 4, False),
        ({"when": {"kind": "a"}, "unless": {"n": 3}}, "kind = a, n ≠ 3", "a", True), ({}, "", 0.1, True),
    ],
)  # fmt: skip
def test_a_condition_is_read_as_its_option_reads_it(condition, words, value, holds):
    @sampler("mine", order=1, breaks=Breaks("on purpose", **condition))
    def mine(
        now, to, *, eta: float = 0.25, last: bool = False, n: int = 1, kind: Literal["a", "b"] = "b",
        none: str | None = "x",
    ):  # fmt: skip
        return first(now, to)

    option = next(iter(condition.get("when") or condition.get("unless") or {"eta": 0}))
    assert mine.breaks[0].condition == words
    assert mine.bind(**{option: value}).marginals_caveat == ("on purpose" if holds else None)


def test_the_first_reason_that_holds_is_given():
    @sampler("mine", order=1, breaks=(Breaks("one", when={"eta": 1}), Breaks("two", unless={"n": 1}), Breaks("all")))
    def mine(now, to, *, eta: float = 0.25, n: int = 1):
        return first(now, to)

    assert [mine.bind(eta=e, n=n).marginals_caveat for e, n in ((1, 1), (1, 2), (0, 2), (0, 1))] == [
        "one", "one", "two", "all",
    ]  # fmt: skip
