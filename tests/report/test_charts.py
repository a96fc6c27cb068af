"""The charts as Vega-Lite specifications."""

import json
import re
from importlib import resources

import pytest

from dtool.report import charts, figures
from tests.support.report_pages import draw_images

alt = pytest.importorskip("altair")


def test_every_specification_fits_vega_lite(page):
    document = page[0]
    parts = [*figures.chart_solver_error(document)["options"], *figures.chart_law_error(document)["options"]]
    specs = [spec for option in parts for spec in option["specs"].values()]
    assert len(specs) == 2 * 5
    specs = [specs[-1]]  # the others differ in their data and titles
    schedules = figures.chart_schedules(document)
    assert (len(schedules["specs"]), len(schedules["strips"])) == (3, 2)
    specs += [schedules["specs"]["beta"], schedules["strips"]["log_snr"], figures.chart_timing(document)["spec"]]
    specs += [figures.chart_samples(document, draw_images(document, shape=shape))["spec"] for shape in [(2,), (9,)]]
    assert len(specs) == 6
    for spec in specs:
        kind = alt.FacetChart if "facet" in spec else alt.LayerChart if "layer" in spec else alt.Chart
        kind.from_dict(spec).to_dict(validate=True)
        assert "http" not in json.dumps(spec)


def test_altairs_vega_lite_is_no_newer_than_the_vendored_one():
    notice = resources.files("dtool.report").joinpath("vendor", "NOTICE").read_text(encoding="utf-8")
    vendored = [int(part) for part in re.search(r"vega-lite +(\d+)\.(\d+)\.", notice).groups()]
    needed = [int(part) for part in alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2]]
    assert needed[0] == vendored[0]
    assert needed <= vendored


def test_two_entries_of_the_same_name_have_labels_of_their_own():
    entries = [{"name": "ddim", "steps": 5}] * 3 + [{"name": "ddpm", "steps": 5}]
    assert charts.label_entries(entries) == ["ddim · 5", "ddim · 5 #2", "ddim · 5 #3", "ddpm · 5"]
    assert charts.assign_colours(entries) == [0, 0, 0, 1]
