"""The table of the page, and its export."""

from dtool.report import table
from tests.support.report_pages import make_small_document


def test_the_table_and_its_export_have_every_figure(page):
    document = page[0]
    shown = table.make_columns(document)
    flat = table.export_rows(document, shown)
    for entry, row in zip(document["entries"], flat["rows"], strict=True):
        by_name = dict(zip(flat["names"], row, strict=True))
        assert len(by_name) == len(row), "names are unique"
        for key in ("name", "recipe", "steps", "calls", "plan", "seconds", "seconds_low", "images_per_second"):
            assert by_name[key] == entry[key]
        for name, figure in entry["figures"].items():
            assert [by_name[name], by_name[f"{name}_low"], by_name[f"{name}_p"]] == [
                figure["value"],
                figure["low"],
                figure["p"],
            ]
        assert by_name["timing_rule"] == entry["timing"]["rule"]
        assert by_name["solver_rmse"] == (entry["solver"] or {}).get("rmse")


def test_guidance_and_evaluations_have_columns_where_they_are_known():
    document = make_small_document(("ddim",), (3,))
    titles = [column.title for column in table.make_columns(document)]
    assert "Evaluations" not in titles
    assert "Guidance" not in titles
    (entry,) = document["entries"]
    entry |= {"guidance": "cfg:low=-1.3,high=0.3,scale=3.0", "scale": 3.0, "evaluations": 5}
    columns = {column.title: column for column in table.make_columns(document)}
    assert columns["Guidance"].cell(entry).text == "3@-1.3:0.3"
    assert columns["Evaluations"].cell(entry).value == 5
    flat = table.export_rows(document, list(columns.values()))
    row = dict(zip(flat["names"], flat["rows"][0], strict=True))
    assert (row["guidance"], row["scale"], row["evaluations"]) == (entry["guidance"], 3.0, 5)
