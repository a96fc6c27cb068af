"""The scripts in benchmarks/ run by themselves."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.benchmarking import INSTALLED
from tests.support.commandline import plain_environment
from tests.support.places import ROOT

NETWORK = ROOT / "dtool" / "models" / "digits.onnx"


@pytest.fixture(autouse=True)
def unsettled(monkeypatch):
    """Nobody's time matters here."""
    monkeypatch.setattr("dtool.bench.run.SETTLE", 0)
    monkeypatch.setattr("dtool.bench.run.TURN", 0)


@pytest.mark.skipif(not INSTALLED["onnxruntime"], reason="needs onnxruntime")
@pytest.mark.parametrize(
    ("script", "args", "wanted"),
    [
        ("overhead.py", ["--rounds", "1", "--steps", "2"], r"side by side \d"),
        ("network.py", [str(NETWORK), "--seconds", "0"], r"batch 64, \d+ rounds"),
        (
            "cold_start.py",
            ["--rounds", "1", "--diffusers-python", "/bin/false"],
            r"dtool sample, guidance [\d.]+@[-\d.:]+ +\d",
        ),
    ],
)
def test_the_scripts_in_benchmarks_run(script, args, wanted):
    command = [sys.executable, str(ROOT / "benchmarks" / script), *args]
    done = subprocess.run(command, capture_output=True, text=True, env=plain_environment(), timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(wanted, done.stdout)
    assert "versions" in done.stdout
