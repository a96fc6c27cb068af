"""Threads are as many as the cores, or as the environment allows."""

import pytest

from dtool.errors import UsageError
from dtool.util.cores import THREADS_VARIABLE, count_cores


def test_the_environment_bounds_the_threads(monkeypatch):
    cores = count_cores()
    monkeypatch.setenv(THREADS_VARIABLE, "1")
    assert count_cores() == 1
    monkeypatch.setenv(THREADS_VARIABLE, "4096")
    assert count_cores() == (cores or 4096)


@pytest.mark.parametrize("text", ["0", "two", "-1", "1.5", "4097"])
def test_what_is_no_number_of_threads_is_refused(monkeypatch, text):
    monkeypatch.setenv(THREADS_VARIABLE, text)
    with pytest.raises(UsageError, match=f"{THREADS_VARIABLE}={text} is no number"):
        count_cores()
