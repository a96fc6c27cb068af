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
    assert data["reference"]["start"] == 999
    assert data["entries"][0]["points"]["alpha_bar"][0] < data["entries"][0]["points"]["alpha_bar"][1]


def test_a_late_start_is_told_beside_where_the_solution_begins():
    """And its error is the distance to that solution: more than that of the same steps between exact ends alone."""
    recipes = ["dpmpp-2m/karras", "dpmpp-2m/karras:start=500"]
    net = dtool.targets.target("gaussian:d=2,var=4").network()
    comparison = dtool.compare(net, recipes, steps=40, n=8, repeats=1)
    data = comparison.to_dict()
    assert data["reference"]["start"] == 999
    assert [entry["points"]["time"][0] for entry in data["entries"]] == [999, 500]
    whole, late = (entry["solver"]["rmse"] for entry in data["entries"])
    assert late > 5 * whole
    zero = dtool.compare(dtool.targets.target("gaussian").network("linear:zero_snr=true"), ["ddim"], steps=2, n=2)
    assert zero.find_solution_start() == 999
