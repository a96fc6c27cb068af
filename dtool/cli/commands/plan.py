"""`dtool plan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.sampler_options import complete_schedulers, complete_spacings
from dtool.cli.show.output import Column, Quiet, print_table, remark, say
from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.plan import Plan
    from dtool.run.plan_as_inputs import SamplerFile
    from dtool.util.files import OutputWriter

EXAMPLES = (
    "dtool plan ddpm --steps 10",
    "dtool plan dpmpp-2m@cosine/karras --steps 20 --plot plan.png",
    "dtool plan diffusers:DDIMScheduler --steps 20 -o saved.json",
    "dtool plan ddim --steps 8 --for app.onnx",
    "dtool plan ddim~3@-1.95:-0.85 --steps 20",
    "dtool plan ddim:eta=0.5 --points 999,750,500,250 --json",
)
GUIDED = ("guided", "shift")
USUAL_SCALE = 2.0  # any that is neither 0 nor 1: what counts is which rows evaluate twice


def plan(
    recipe: Annotated[
        str,
        typer.Argument(
            help="SAMPLER:k=v@SCHEDULER:k=v/SPACING:k=v, a saved plan, or a sampler's ONNX file", show_default=False
        ),
    ],
    steps: Annotated[int | None, typer.Option(min=1, help="how many steps [default: 50]")] = None,
    points: Annotated[
        str | None, typer.Option(help="your own times instead, falling: 999,750,500,250", show_default=False)
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="noise schedule [default: linear]", autocompletion=complete_schedulers, show_default=False),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(help="spacing [default: trailing]", autocompletion=complete_spacings, show_default=False),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="draw the plan into this PNG", show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="save the plan as JSON: FILE.json then stands for it", show_default=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="print the plan as JSON: dtool.Plan.from_json reads it")
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option("--for", help="print it as JSON inputs for this sampler's file", show_default=False),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Show the table that a recipe compiles to, or that is in a file.

    One row per network call, with the network's output as a prediction D of the image and m of what the sampler
    remembers: x' = a·x + b0·m + b1·m_before + … + c·z. The noise level of a row is alpha, sigma; time is what the
    network is told. Where there is a c_low, the network chooses between it and c; b_raw multiplies what clipping took
    off D. Where guidance is named, guided is its share of the scale's excess over 1; shift multiplies D - D_without,
    which is added to x.
    """
    from dtool.cli.flags.values import parse_times
    from dtool.plan.api import plan as make_plan

    if plot is not None or out is not None:
        _require_places(plot, out, recipe, scheduler, spacing)
    network = None if file is None else _read_sampler_file(file)
    if recipe.endswith(".onnx"):
        if (steps, points, scheduler, spacing) != (None,) * 4:
            raise UsageError(f"{recipe} holds a plan as it is", "leave the other options out, or give a recipe")
        table = _read_plan(Path(recipe))
    else:
        table = make_plan(
            recipe, steps=steps, scheduler=scheduler, spacing=spacing, points=parse_times(points), network=network
        )
    writer = None if plot is None and out is None else _write_files(table, plot, out, quiet)
    if network is not None:
        say(json.dumps(network.inputs(table)))
    elif as_json:
        say(table.to_json().rstrip())
    else:
        _show(table)
        remark(_summarise(table), quiet)
    if writer is not None:
        writer.finish()


def _require_places(
    plot: Path | None, out: Path | None, recipe: str, scheduler: str | None, spacing: str | None
) -> None:
    """Raise UsageError for the name of a file to write that cannot be one, or that of a file which is read."""
    from dtool.util.files import find_option_files, require_distinct_files, require_picture

    written = [each for each in (plot, out) if each is not None]
    require_distinct_files(written, [recipe, *find_option_files(recipe, scheduler, spacing)])
    if plot is not None:
        require_picture(plot)
    if out is not None and out.suffix != ".json":
        raise UsageError(f"{out} is to hold JSON", "name it FILE.json")


def _write_files(table: Plan, plot: Path | None, out: Path | None, quiet: bool) -> OutputWriter:
    """Draw the plan, and save it; what fails is said when the writer finishes, after the table."""
    from dtool.cli.show.pictures import make_saver
    from dtool.util.files import OutputWriter

    writer = OutputWriter()
    if plot is not None:
        writer.add("picture", plot, make_saver(lambda: _draw_picture(table), command="plan", recipe=table.recipe))
        remark(f"drawn into {plot}", quiet or not writer.paths)
    if out is not None:
        writer.add("plan", out, lambda path: path.write_text(table.to_json(), encoding="utf-8"))
        remark(f"saved as {out}: it runs as it is, without what made it", quiet or "plan" not in writer.paths)
    return writer


def _read_sampler_file(file: Path) -> SamplerFile:
    from dtool.run.plan_as_inputs import read_sampler_file

    return read_sampler_file(file)


def _read_plan(file: Path) -> Plan:
    from dtool.run.sampler_form import read_plan

    return read_plan(file)


def _summarise(plan: Plan) -> str:
    noise = f"noise at {plan.draws} of them" if plan.stochastic else "no noise after the start"
    text = f"{plan.recipe} on {plan.schedule}: {plan.steps} steps, {plan.rows} network calls"
    return f"{text}{_count_evaluations(plan)}, {noise}; plan {plan.hash}"


def _count_evaluations(plan: Plan) -> str:
    """How many evaluations the calls make with the plan's guidance; "" where nothing is said of it."""
    from dtool.plan.guiding import count_evaluations

    if not plan.says_guidance:
        return ""
    if plan.scale is None:
        return f" ({count_evaluations(plan, USUAL_SCALE)} evaluations with the network's scale, unless that is 1)"
    return f" ({count_evaluations(plan, plan.scale)} evaluations)"


def _show(plan: Plan) -> None:
    """The table; a column that is zero throughout is left out."""
    history = [(f"b{k}", plan.b[:, k]) for k in range(plan.history)]
    rest = [("a_saved", plan.a_saved)] if plan.a_saved.any() else []
    rest += [("b_raw", plan.b_raw)] if plan.b_raw.any() else []
    rest += [(name, values) for name in GUIDED if (values := getattr(plan, name)).any() and plan.says_guidance]
    noise = [("c_low", plan.c_low)] * plan.learned + [("c", plan.c)]
    coefficients = [("alpha", plan.alpha), ("sigma", plan.sigma), ("a", plan.a), *rest, *history, *noise]
    columns = [Column("row", True), Column("time", True), *(Column(name, True) for name, _ in coefficients), Column("")]
    rows = []
    for i in range(plan.rows):
        values = [f"{column[i]:.6g}" for _, column in coefficients]
        mark = "" if plan.step_end[i] else "the step goes on"
        rows.append([str(i), f"{plan.time[i]:.6g}", *values, mark])
    if plan.step_end.all():
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    print_table(columns, rows)


def _draw_picture(plan: Plan) -> Any:
    """Two panels over the rows: the noise level, and the coefficients of the step."""
    import numpy as np

    from dtool.cli.show.plot import Panel, PlotLine, draw_figure, pick_colour

    row = np.arange(plan.rows, dtype=np.float64)

    def line(name: str, values: Any, i: int) -> PlotLine:
        dots = (row, values) if plan.rows <= 40 else None
        return PlotLine(name=name, x=row, y=values, colour=pick_colour(i), dots=dots)

    weights = [("a (of x)", plan.a)]
    weights += [
        ("b0 (of this prediction)" if k == 0 else f"b{k} (of {k} back)", plan.b[:, k]) for k in range(plan.history)
    ]
    weights += [("a_saved (of the step's first x)", plan.a_saved)] * bool(plan.a_saved.any())
    weights += [("c_low (of fresh noise, at least)", plan.c_low)] * plan.learned
    weights += [("c (of fresh noise)", plan.c)] * plan.stochastic
    panels = [
        Panel(title="noise level of each network call", lines=[line("log-SNR", plan.log_snr, 6)], x_label="row"),
        Panel(title="time that the network is told", lines=[line("time", plan.time, 7)], x_label="row"),
        Panel(
            title="coefficients of the step",
            lines=[line(name, w, i) for i, (name, w) in enumerate(weights)],
            x_label="row",
        ),
    ]
    return draw_figure(
        panels, f"Plan of {plan.recipe}", f"{plan.steps} steps, {plan.rows} network calls, schedule {plan.schedule}"
    )
