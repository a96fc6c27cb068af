"""Values that arguments spell as text."""

from __future__ import annotations

import pytest

from dtool.cli.flags.values import parse_classes, parse_counts, parse_duration, parse_ids, parse_times
from dtool.errors import UsageError


def test_values_that_are_written_as_text():
    assert parse_times("999,750.5") == [999.0, 750.5]
    assert parse_times(None) is None
    assert parse_counts("20, 10,20") == [20, 10]
    assert parse_ids("0-2,7") == [0, 1, 2, 7]
    assert parse_classes("cat,none,1", ("dog", "cat"), 2, 5) == [1, -1, 1, 1, -1]
    assert parse_classes(None, (), 0, 5) is None
    with pytest.raises(UsageError, match="no class 'cta'") as error:
        parse_classes("cta", ("dog", "cat"), 2, 5)
    assert error.value.hint == "did you mean cat?"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("2m", 120), (" 1.5 h ", 5400), ("0.5s", 0.5), (None, None)]
)
def test_durations_are_seconds(text, seconds):
    assert parse_duration(text, "--budget") == seconds


@pytest.mark.parametrize("text", ["", "90", "0s", "-1s", "1d", "1m30s"])
def test_what_is_no_duration(text):
    with pytest.raises(UsageError, match=r"--budget .*: not a time"):
        parse_duration(text, "--budget")
