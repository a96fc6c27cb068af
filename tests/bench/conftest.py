"""Benchmarks whose times do not matter."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def unsettled(monkeypatch):
    """Nobody's time matters here."""
    monkeypatch.setattr("dtool.bench.run.SETTLE", 0)
    monkeypatch.setattr("dtool.bench.run.TURN", 0)
