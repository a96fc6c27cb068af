"""What is shown of a fitted plan: its times, its error on held-out noises, and the named recipes beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dtool.cli.show.output import Column, format_number, print_table, remark, say

if TYPE_CHECKING:
    from dtool.plan import Plan
    from dtool.plan.fit_record import FitRecord, HeldOut


DISTANCES = {"path": "RMSE", "law": "sliced W2"}


def show_plan(plan: Plan, quiet: bool) -> None:
    """A line of the plan, a table of recipes on the same noises, and what the figures mean."""
    record = plan.fit
    if record is None:
        return
    times = ", ".join(f"{time:.4g}" for time in plan.time)
    if record.held_out is None:
        what = DISTANCES[record.kind]
        say(f"{plan.rows} calls at {times}: {what} {format_number(record.validation)} on the noises that stopped it")
        return
    print_table(*make_rows(plan, record, record.held_out), title=f"{plan.rows} calls at {times}")
    remark(describe_figures(record, record.held_out), quiet)


def make_rows(plan: Plan, record: FitRecord, held_out: HeldOut) -> tuple[list[Column], list[list[str]]]:
    """The table: the plan, then the recipes."""
    has_law = held_out.law is not None
    heads = [held_out.metric] if has_law else []
    columns = [
        Column("recipe", fold=True),
        Column("calls", True),
        Column(DISTANCES[record.kind], True),
        Column("ratio to it"),
    ]
    columns += [Column(head, True) for head in heads]
    own = [f"this plan ({record.kind})", str(plan.rows)]
    own += [f"{format_number(held_out.rmse)}", f"[{held_out.low:.3g}, {held_out.high:.3g}]"]
    rows = [own + ([format_number(held_out.law)] if has_law else [])]
    for rival in held_out.rivals:
        row = [rival.recipe, str(rival.calls), format_number(rival.rmse)]
        row += [f"{rival.ratio:.3f} [{rival.low:.3f}, {rival.high:.3f}]"]
        rows.append(row + ([format_number(rival.law)] if has_law else []))
    return columns, rows


def describe_figures(record: FitRecord, held_out: HeldOut) -> str:
    """One line of what else was measured."""
    floor = format_number(held_out.floor)
    parts = [
        f"{held_out.images} held-out noises"
        + ("" if held_out.median is None else f": median {format_number(held_out.median)}"),
        f"standard deviation {held_out.deviation:.3f} of the solution's",
        f"floor of this last row {floor}" if record.kind == "path" else f"the solution's own images are at {floor}",
        f"training {format_number(record.training)}, validation {format_number(record.validation)}",
        f"the solution is itself off by {record.teacher_error:.1e}",
    ]
    if held_out.teacher_law is not None:
        parts.append(f"{held_out.metric} of the solution's own images {format_number(held_out.teacher_law)}")
    return "; ".join([*parts, f"{record.evaluations} evaluations"])
