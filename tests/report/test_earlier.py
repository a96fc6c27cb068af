"""A comparison beside an earlier one."""

import copy

import pytest

from dtool.report import earlier, render_page
from tests.support.report_pages import draw_images, make_small_document


def test_a_baseline_is_shown_beside_what_is_now():
    document = make_small_document()
    before = copy.deepcopy(document["entries"])
    for entry in before:
        entry["seconds"] *= 2
    before[0]["recipe"] = "other"
    document["baseline"] = {"made": "2026-11-20T08:00:00", "n": 4, "seed": 0, "entries": before}
    rows = earlier.list_changes(document)
    assert [row.label for row in rows] == ["ddpm · 5", "ddim · 3", "ddim · 5"]
    for row in rows:
        changes = {change.title: change.percent for change in row.changes}
        assert changes["Seconds"] == pytest.approx(-50)
        assert changes["MMD² (RBF)"] == 0
        assert "Coverage" not in changes, "which is no headline"
    text = render_page(document, draw_images(document))
    assert "Against an earlier run" in text
    document["entries"][1]["name"] = "called otherwise"
    assert len(earlier.list_changes(document)) == 3, "it is the recipe that counts"
    document["baseline"]["entries"] = []
    assert "no recipe in common" in render_page(document, draw_images(document))


@pytest.mark.parametrize(
    ("then", "low", "now", "better", "percent", "summary"),
    [
        (-0.0003, -0.001, 0.0006, "lower", None, "+0.00090, worse"),
        (-0.0003, -0.001, -0.0001, "lower", None, "+0.00020, worse"),
        (0.0006, -0.001, 0.0003, "lower", None, "−0.00030, better"),
        (0.2, 0.1, -0.1, "lower", None, "−0.30, better"),
        (0.2, 0.1, 0.1, "lower", -50, "−50\u00a0%, better"),
        (0.2, 0.1, 0.1, "higher", -50, "−50\u00a0%, worse"),
        (0.2, 0.1, 0.3, "higher", 50, "+50\u00a0%, better"),
        (0.2, None, 0.3, "lower", 50, "+50\u00a0%, worse"),
        (0.2, 0.1, 0.2, "lower", 0, "the same"),
        (0.0, 0.0, 0.2, "lower", None, "+0.20, worse"),
        (None, None, 0.2, "lower", None, ""),
    ],
)
def test_a_change_is_in_per_cent_only_of_what_is_surely_above_zero(then, low, now, better, percent, summary):
    document = make_small_document(("ddim",), (3,))
    (entry,) = document["entries"]
    before = copy.deepcopy(entry)
    before["figures"]["mmd"] = {"value": then, "low": low, "high": then}
    entry["figures"]["mmd"] = {"value": now, "low": now, "high": now}
    document["metrics"][0]["better"] = better
    document["baseline"] = {"made": "", "n": 4, "seed": 0, "entries": [before]}
    changes = {change.title: change for change in earlier.list_changes(document)[0].changes}
    if then is None:
        assert "MMD² (RBF)" not in changes
        return
    change = changes["MMD² (RBF)"]
    assert change.percent == (None if percent is None else pytest.approx(percent))
    assert change.summary == summary
    assert summary in render_page(document, draw_images(document))


def test_a_change_from_another_number_of_images_is_none():
    document = make_small_document(("ddim",), (3,))
    document["baseline"] = {"n": 5, "entries": copy.deepcopy(document["entries"])}
    changes = {change.title: change.summary for change in earlier.list_changes(document)[0].changes}
    assert changes == dict.fromkeys(changes, "of 5 and of 4 images")
    assert "Fréchet distance, pixels" in changes


def test_a_baseline_of_another_guidance_is_told_and_not_compared():
    document = make_small_document(("ddim",), (3,))
    before = copy.deepcopy(document["entries"])
    document["entries"][0] |= {"guidance": "cfg:scale=3.0", "scale": 3.0, "recipe": "ddim@linear~cfg:scale=3.0"}
    before[0] |= {"guidance": "", "scale": 1.0}
    document["baseline"] = {"n": 4, "seed": 0, "entries": before}
    assert earlier.list_changes(document) == []
    text = render_page(document, draw_images(document))
    assert "ddim@linear, 3 steps: the baseline&#39;s guidance is none, not 3: they are not compared." in text
    before[0] |= {"scale": 3.0}
    assert len(earlier.list_changes(document)) == 1
    assert "not compared" not in render_page(document, draw_images(document))
