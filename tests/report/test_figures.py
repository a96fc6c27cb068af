"""What a document has for the page's charts."""

import pytest

from dtool.report import figures, table
from tests.support.report_pages import make_small_document


def test_the_two_errors_never_share_a_chart(page):
    document = page[0]
    for chart, names in (
        (figures.chart_solver_error(document), {"rmse", "psnr"}),
        (figures.chart_law_error(document), {"mmd", "fd", "coverage"}),
    ):
        assert {option["key"] for option in chart["options"]} == names
        for option in chart["options"]:
            for cost, spec in option["specs"].items():
                rows = spec["datasets"]["rows"]
                costs = {(e["name"], e[cost]) for e in document["entries"]}
                assert {(row["name"], row["x"]) for row in rows} <= costs
    solver = figures.chart_solver_error(document)
    assert [label for label, _ in solver["missing"]] == ["ddpm · 3", "ddpm · 5"]
    assert all(row["name"] == "ddim" for row in solver["options"][0]["specs"]["calls"]["datasets"]["rows"])


def test_what_cannot_be_judged_is_not_drawn():
    document = make_small_document(("ddim", "unipc"))
    document["entries"][1]["solver"]["judged"] = False
    chart = figures.chart_solver_error(document)
    assert len(chart["options"][0]["specs"]["calls"]["datasets"]["rows"]) == 3
    assert [label for label, _ in chart["missing"]] == ["ddim · 5"]
    (rmse,) = [column for column in table.make_columns(document) if column.key == "solver_rmse"]
    assert rmse.cell(document["entries"][1]).notes == ("cannot be judged",)


@pytest.mark.parametrize("ends", [None, "value"])
def test_a_figure_without_an_interval_has_no_bar(ends):
    document = make_small_document(("ddim",), (3,))
    figure = document["entries"][0]["figures"]["mmd"]
    figure["low"] = figure["high"] = ends and figure[ends]
    (row,) = figures.chart_law_error(document)["options"][0]["specs"]["calls"]["datasets"]["rows"]
    assert row["low"] == row["high"] == row["value"]
    assert row["interval"] == "none"
    (mmd,) = [column for column in table.make_columns(document) if column.key == "metric:mmd"]
    assert mmd.cell(document["entries"][0]).notes[0] == ""
