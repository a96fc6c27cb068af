"""A comparison's JSON form."""

from __future__ import annotations

import json

import numpy as np

import dtool
from tests.support.commandline import network


def test_the_json_form_is_complete_and_json():
    comparison = dtool.compare(network(), ["ddim", "heun"], steps=2, n=2, repeats=1)
    data = json.loads(comparison.to_json())
    assert [entry["calls"] for entry in data["entries"]] == [2, 3]
    assert np.array(data["rmse"]).shape == (2, 2)
    assert data["data"]["count"] == 120
    assert {"rmse", "psnr", "judged"} <= data["entries"][0]["solver"].keys()
    assert data["reference"]["recipe"]
    assert data["entries"][0]["points"]["alpha_bar"][0] < data["entries"][0]["points"]["alpha_bar"][1]
