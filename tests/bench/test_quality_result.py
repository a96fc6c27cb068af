"""What a time to quality is, as data and as a table."""

from __future__ import annotations

import json

from dtool.bench.quality_result import Arrival, TimeToQuality
from dtool.measure.machine import detect_machine

FIRST = Arrival(
    name="unipc", steps=10, calls=10, evaluations=20, rmse=0.05, seconds=(1.0, 2.0, 3.0), ratios=(1.0, 1.0, 1.0)
)
FITTED = Arrival(
    name="five.json", steps=5, calls=5, evaluations=10, rmse=0.0499, seconds=(0.4, 1.0, 1.2), ratios=(0.4, 0.5, 0.4)
)


def make_found():
    return TimeToQuality(
        machine=detect_machine(gpu=False), model="model.onnx", recipe="unipc", calls=10, rmse=0.05, own=2e-3, judged=32,
        images=16, rounds=3, arrivals=(FIRST, FITTED), missing={"ddim": "with 64 calls or fewer its RMSE is 0.1"},
    )  # fmt: skip


def test_times_and_ratios_are_medians_with_quartiles():
    assert FIRST.time == (1.5, 2.0, 2.5)
    assert FITTED.ratio == (0.4, 0.4, 0.45)


def test_the_json_form_and_the_table():
    found = make_found()
    data = json.loads(found.to_json())
    assert [one["name"] for one in data["arrivals"]] == ["unipc", "five.json"]
    assert data["arrivals"][1]["ratio"]["median"] == 0.4
    assert (data["rmse"], data["own"], data["missing"]) == (0.05, 2e-3, found.missing)
    table = found.document()
    assert "time to an RMSE of 0.05, that of unipc, the best at 10 calls, on 32 images" in table
    assert "| five.json | 5 | 10 | 0.0499 | 1000 (700.0 … 1100) | 0.4000 (0.4000 … 0.4500) |" in table
    assert table.rstrip().endswith("- without ddim: with 64 calls or fewer its RMSE is 0.1")
