"""`dtool plan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.options import scheduler_names, spacing_names
from dtool.cli.output import Column, Quiet, remark, say, table
from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.plan import Plan

EXAMPLES = (
    "dtool plan ddpm --steps 10",
    "dtool plan dpmpp-2m@cosine/karras --steps 20 --plot plan.png",
    "dtool plan ddim --steps 8 --for app.onnx",
    "dtool plan ddim:eta=0.5 --points 999,750,500,250 --json",
)


def plan(
    recipe: Annotated[
        str, typer.Argument(help="SAMPLER:k=v@SCHEDULER:k=v/SPACING:k=v, or a sampler's ONNX file", show_default=False)
    ],
    steps: Annotated[int | None, typer.Option(min=1, help="how many steps [default: 50]")] = None,
    points: Annotated[
        str | None, typer.Option(help="your own times instead, falling: 999,750,500,250", show_default=False)
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="noise schedule [default: linear]", autocompletion=scheduler_names, show_default=False),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(help="spacing [default: trailing]", autocompletion=spacing_names, show_default=False),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="draw the plan into this PNG", show_default=False)] = None,
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

    One row a network call, with the network's output as a prediction D of the image and m of what the sampler
    remembers: x' = a·x + b0·m + b1·m_before + … + c·z. The noise level of a row is alpha, sigma; time is what the
    network is told. Where there is a c_low, the network chooses between it and c; b_raw multiplies what clipping took
    off D.
    """
    from dtool.backends.fused import plan_in
    from dtool.backends.fused_plan import sampler_file
    from dtool.cli.pictures import saving
    from dtool.cli.values import times
    from dtool.files import Writing, files_in, require_apart, require_picture
    from dtool.plan.api import plan as make_plan

    if plot is not None:
        require_apart([plot], [recipe, *files_in(recipe, scheduler, spacing)])
        require_picture(plot)
    writing = Writing()
    network = None if file is None else sampler_file(file)
    if recipe.endswith(".onnx"):
        if (steps, points, scheduler, spacing) != (None,) * 4:
            raise UsageError(f"{recipe} holds a plan as it is", "leave the other options out, or give a recipe")
        made = plan_in(Path(recipe))
    else:
        made = make_plan(
            recipe, steps=steps, scheduler=scheduler, spacing=spacing, points=times(points), network=network
        )
    if plot is not None:
        writing.add("picture", plot, saving(lambda: _picture(made), command="plan", recipe=made.recipe))
        remark(f"drawn into {plot}", quiet or not writing.written)
    if network is not None:
        say(json.dumps(network.inputs(made)))
        writing.finish()
        return
    if as_json:
        say(made.to_json().rstrip())
    else:
        _show(made)
        remark(_summary(made), quiet)
    writing.finish()


def _summary(made: Plan) -> str:
    noise = f"noise at {made.draws} of them" if made.stochastic else "no noise after the start"
    return f"{made.recipe} on {made.schedule}: {made.steps} steps, {made.rows} network calls, {noise}; plan {made.hash}"


def _show(made: Plan) -> None:
    """The table; a column that is zero throughout is left out."""
    history = [(f"b{k}", made.b[:, k]) for k in range(made.history)]
    rest = [("a_saved", made.a_saved)] if made.a_saved.any() else []
    rest += [("b_raw", made.b_raw)] if made.b_raw.any() else []
    noise = [("c_low", made.c_low)] * made.learned + [("c", made.c)]
    named = [("alpha", made.alpha), ("sigma", made.sigma), ("a", made.a), *rest, *history, *noise]
    columns = [Column("row", True), Column("time", True), *(Column(name, True) for name, _ in named), Column("")]
    rows = []
    for i in range(made.rows):
        values = [f"{column[i]:.6g}" for _, column in named]
        mark = "" if made.step_end[i] else "the step goes on"
        rows.append([str(i), f"{made.time[i]:.6g}", *values, mark])
    if made.step_end.all():
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    table(columns, rows)


def _picture(made: Plan) -> Any:
    """Two panels over the rows: the noise level, and the coefficients of the step."""
    import numpy as np

    from dtool.cli.plot import Line, Panel, colour, figure

    row = np.arange(made.rows, dtype=np.float64)

    def line(name: str, values: Any, i: int) -> Line:
        dots = (row, values) if made.rows <= 40 else None
        return Line(name, row, values, colour(i), dots)

    with np.errstate(divide="ignore"):
        log_snr = 2 * (np.log(made.alpha) - np.log(made.sigma))
    weights = [("a (of x)", made.a)]
    weights += [
        ("b0 (of this prediction)" if k == 0 else f"b{k} (of {k} back)", made.b[:, k]) for k in range(made.history)
    ]
    weights += [("a_saved (of the step's first x)", made.a_saved)] * bool(made.a_saved.any())
    weights += [("c_low (of fresh noise, at least)", made.c_low)] * made.learned
    weights += [("c (of fresh noise)", made.c)] * made.stochastic
    panels = [
        Panel("noise level of each network call", [line("log-SNR", log_snr, 6)], "row"),
        Panel("time that the network is told", [line("time", made.time, 7)], "row"),
        Panel("coefficients of the step", [line(name, w, i) for i, (name, w) in enumerate(weights)], "row"),
    ]
    return figure(
        panels, f"Plan of {made.recipe}", f"{made.steps} steps, {made.rows} network calls, schedule {made.schedule}"
    )
