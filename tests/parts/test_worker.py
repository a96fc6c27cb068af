"""What a worker answers: a result, an error that any process can read, and what it warned of."""

import pickle
import warnings

import pytest

from dtool.errors import DtoolError, UsageError
from dtool.parts.block import Block
from dtool.parts.worker import answer_for, as_portable, collect_warnings
from dtool.util.files import WriteError
from tests.support import block_functions

BLOCK = Block(0, 2)


class StrangeError(DtoolError):
    def __init__(self, one, two):
        super().__init__(f"{one} {two}", "a hint")


def test_an_answer_is_a_result_or_an_error():
    assert answer_for(None, block_functions.count_ids, BLOCK).result == (0, 3)
    answer = answer_for("ours", block_functions.fail, BLOCK)
    assert isinstance(answer.error, UsageError)
    assert answer.error.hint == "choose others"


def test_warnings_are_told_once_and_those_for_programmers_not():
    with collect_warnings() as texts:
        for _ in range(2):
            warnings.warn("beware", stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert texts == ["beware"]
    assert answer_for(None, block_functions.warn, BLOCK).warnings == ("beware",)


@pytest.mark.parametrize(
    ("error", "kind", "cause", "hint"),
    [
        (WriteError("full", "free some"), WriteError, "full", "free some"),
        (StrangeError("of", "two"), DtoolError, "of two", "a hint"),
        (FileNotFoundError(2, "No such file", "x"), FileNotFoundError, "No such file", ""),
        (KeyError("k"), DtoolError, "a worker failed (KeyError: 'k')", "--workers 1"),
    ],
)
def test_errors_are_made_so_that_they_can_be_sent(error, kind, cause, hint):
    sent = pickle.loads(pickle.dumps(as_portable(error)))
    assert type(sent) is kind
    assert cause in str(sent)
    assert hint in getattr(sent, "hint", "")
