"""What is shown of a fitted plan."""

from dataclasses import replace

from dtool.cli.show.fit import describe_figures, make_rows
from dtool.targets import target
from tests.support.fitted_plans import HELD_OUT, make_plan


def test_the_table_has_the_plan_and_every_rival():
    plan = make_plan(target("gmm:d=2").network())
    columns, rows = make_rows(plan, plan.fit, HELD_OUT)
    assert len(columns) == len(rows[0]) == 5
    assert [row[0] for row in rows] == ["this plan (path)", "unipc", "unipc/trailing:start=743"]
    assert rows[1][3] == "0.500 [0.450, 0.560]"
    text = describe_figures(plan.fit, HELD_OUT)
    assert "floor of this last row 0.047" in text
    assert "standard deviation 1.010" in text


def test_a_plan_that_was_fitted_to_the_law_shows_its_own_distance():
    plan = make_plan(target("gmm:d=2").network(), kind="law", held_out=replace(HELD_OUT, median=None))
    columns, rows = make_rows(plan, plan.fit, plan.fit.held_out)
    assert "sliced W2" in [column.head for column in columns]
    assert rows[0][0] == "this plan (law)"
    text = describe_figures(plan.fit, plan.fit.held_out)
    assert "the solution's own images are at 0.047" in text
    assert "median" not in text
