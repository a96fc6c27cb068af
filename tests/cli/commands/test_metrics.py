"""`dtool metrics` as a user types it."""

from __future__ import annotations

import json

from dtool.plugins.registry import get_registry
from tests.support.commandline import failed, ran


def test_metrics_are_listed(capsys):
    assert ran(capsys, "metrics").out.splitlines()[1].startswith("mmd")


def test_every_metric_is_listed(capsys):
    shown = json.loads(ran(capsys, "metrics", "--json").out)
    assert [item["name"] for item in shown] == [entry.name for entry in get_registry().metrics]
    assert [item["name"] for item in shown if item["headline"]] == ["mmd"]
    assert {item["better"] for item in shown} == {"lower", "higher"}
    one = ran(capsys, "metrics", "density")
    assert "higher" in one.out
    assert "nearest neighbours" in one.out
    failed(ran(capsys, "metrics", "mmb"), 2, "there is no metric 'mmb'", "mmd")
