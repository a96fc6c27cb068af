"""`dtool likelihood`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dtool.cli.arguments import (
    MODEL_HELP,
    Backend,
    BatchSize,
    Classes,
    Clip,
    Device,
    Opening,
    open_network,
    progress_bar,
    with_opening,
)  # fmt: skip
from dtool.cli.likelihood_images import Chosen
from dtool.cli.options import scheduler_names, spacing_names
from dtool.cli.output import AsJson, Column, Quiet, number, remark, say, say_json, table
from dtool.cli.values import whole
from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.likelihood import Bound, Density

EXAMPLES = (
    "dtool likelihood --data mnist/ -o terms.png",
    "dtool likelihood model.pt --data images/ -n 256 --steps all --variance beta --json",
    "dtool likelihood model.pt --data digits --ode",
)
CHAIN, FLOW = "The bound", "The ODE"
DEFAULT_STEPS = 50
ROWS = 10  # lines of the table between L_T and L_0


@with_opening
def likelihood(
    model: Annotated[str | None, typer.Argument(help=MODEL_HELP, show_default=False)] = None,
    data: Annotated[
        str | None,
        typer.Option(help="the images: a folder, IDX files, an .npz, or digits", show_default=False),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="how many of them, drawn at random")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="of the noise, and of which images are drawn")] = 0,
    levels: Annotated[
        str | None,
        typer.Option(
            help="how many values a pixel can have; none: a density [default: 256, of digits 17]", show_default=False
        ),
    ] = None,
    classes: Classes = None,
    steps: Annotated[
        str | None,
        typer.Option(help="how many, or all of the schedule's [default: 50]", rich_help_panel=CHAIN),
    ] = None,
    variance: Annotated[
        Literal["beta", "tilde", "analytic", "learned"] | None,
        typer.Option(
            help="of each step [default: learned if the network has it, else analytic]", rich_help_panel=CHAIN
        ),
    ] = None,
    stats: Annotated[
        Path | None,
        typer.Option(
            help="for analytic: a file of dtool.measure_variance [default: measured on other images of the data]",
            rich_help_panel=CHAIN,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="noise schedule of the chain [default: the network's own]",
            autocompletion=scheduler_names,
            rich_help_panel=CHAIN,
        ),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(
            help="where the steps fall [default: linspace]", autocompletion=spacing_names, rich_help_panel=CHAIN
        ),
    ] = None,
    clip: Clip = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="draw the terms into this PNG", rich_help_panel=CHAIN),
    ] = None,
    ode: Annotated[
        bool, typer.Option("--ode", help="by the probability-flow ODE, not by the bound", rich_help_panel=FLOW)
    ] = False,
    trace: Annotated[
        Literal["exact", "hutchinson"] | None,
        typer.Option(help="of the Jacobian [default: exact up to 128 numbers an image]", rich_help_panel=FLOW),
    ] = None,
    probes: Annotated[int | None, typer.Option(min=1, help="for hutchinson [default: 1]", rich_help_panel=FLOW)] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="of the solver, RK45 [default: 1e-5]", rich_help_panel=FLOW)
    ] = None,
    device: Device = "auto",
    backend: Backend = None,
    batch_size: BatchSize = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    *,
    opening: Opening,
) -> None:
    """How probable a network finds images, in bits a dimension.

    By default the variational bound, term by term: what is left of the image in the noise (L_T), what each step tells
    of it, and what it takes to say the image itself (L_0). With --ode the probability-flow ODE. Lower is better.
    """
    from dtool.files import Writing, files_in, require_apart, require_picture

    flow = {"--trace": trace, "--probes": probes, "--tolerance": tolerance}
    chain = {
        "--steps": steps, "--variance": variance, "--stats": stats, "--scheduler": scheduler, "--spacing": spacing,
        "--clip": clip, "--output": output, "--batch-size": batch_size,
    }  # fmt: skip
    _require_one_kind(ode, flow, chain)
    if data is None:
        raise UsageError("there are no images", "name them: --data PATH, or --data digits")
    count = _steps(steps)
    if output is not None:
        require_apart([output], [model, data, stats, *files_in(scheduler, spacing, opening.schedule)])
        require_picture(output)
    net = open_network(model, device, backend, opening)
    chosen = Chosen(net, data, n, seed, levels, classes)
    if ode:
        _density(chosen, {"trace": trace, "probes": probes or 1, "tolerance": tolerance or 1e-5}, as_json, quiet)
        return
    options = {"plan": count, "scheduler": scheduler, "spacing": spacing, "clip": clip, "batch_size": batch_size}
    found, writing = _bound(chosen, options, variance, stats, quiet), Writing()
    if output is not None:
        from dtool.cli.likelihood_picture import picture
        from dtool.cli.pictures import saving

        about = {"command": "likelihood", "bits": found.total, "n": found.n, "seed": found.seed}
        writing.add("picture", output, saving(lambda: picture(found, net.spec.data_range), **about))
    drawn = writing.written.get("picture")
    if as_json:
        say_json(found.to_dict() | chosen.said | {"picture": None if drawn is None else str(drawn)})
    else:
        _show(found)
        if drawn is not None:
            say(drawn)
    writing.finish()


def _require_one_kind(ode: bool, flow: dict[str, Any], chain: dict[str, Any]) -> None:
    """Refuse options of the bound with --ode, and those of the ODE without it."""
    for name, value in (chain if ode else flow).items():
        if value is not None:
            hint = "leave it out, or leave --ode out" if ode else "leave it out, or add --ode"
            raise UsageError(f"{name} is for {'the bound' if ode else '--ode'}", hint)


def _steps(text: str | None) -> int | Literal["all"]:
    if text is None:
        return DEFAULT_STEPS
    if text == "all":
        return "all"
    count = whole(text)
    if not count:
        raise UsageError(f"--steps {text}: not a number of steps", "write it as 50, or all")
    return count


def _bound(chosen: Chosen, options: dict[str, Any], variance: Any, stats: Path | None, quiet: bool) -> Bound:
    """The bound; the analytic variance is measured on images that are not among those it is for, if there are any."""
    from dtool.likelihood import bound
    from dtool.likelihood.bound import measured

    known: Any = stats
    if variance is None:
        variance = "learned" if chosen.net.spec.learned_variance else "analytic"
    if variance == "analytic" and stats is None and len(chosen.others):
        ids = chosen.others
        with progress_bar(f"the variance, on {len(ids)} other images", quiet) as show:
            known = measured(
                chosen.net, chosen.images(ids), labels=chosen.labels(ids), ids=ids.tolist(), seed=chosen.seed,
                progress=show, **options,
            )  # fmt: skip
    elif variance == "analytic" and stats is None:
        remark("there are no other images: the variance is measured on these, and fits them a little too well", quiet)
    with progress_bar(f"{len(chosen.ids)} images", quiet) as show:
        return bound(
            chosen.net, chosen.images(chosen.ids), variance=variance, statistics=known, levels=chosen.levels,
            labels=chosen.labels(chosen.ids), ids=chosen.ids.tolist(), seed=chosen.seed, progress=show, **options,
        )  # fmt: skip


def _density(chosen: Chosen, options: dict[str, Any], as_json: bool, quiet: bool) -> None:
    """Solve the ODE, and say what came of it."""
    from dtool.likelihood import ode

    with progress_bar(f"{len(chosen.ids)} images", quiet) as show:
        found = ode(
            chosen.net, chosen.images(chosen.ids), labels=chosen.labels(chosen.ids), levels=chosen.levels,
            ids=chosen.ids.tolist(), seed=chosen.seed, progress=show, **options,
        )  # fmt: skip
    if as_json:
        say_json(found.to_dict() | chosen.said)
        return
    how = "exact trace" if found.trace == "exact" else f"Hutchinson's trace, probes: {found.probes}"
    say(f"{_figure(found)}  probability-flow ODE, n = {found.n}, seed {found.seed}")
    remark(
        f"{how}, {found.jacobian}; {found.calls:.0f} evaluations an image; the solution is off by less than "
        f"{number(found.error, 2)} bits/dim ({found.checked} images, against a coarser one); {found.seconds:.1f} s",
        quiet,
    )


def _figure(found: Bound | Density) -> str:
    error = f" ± {found.se:.4f}" if found.n > 1 else ""
    return f"{found.total:.4f}{error} bits/dim ({found.nats:.4f} nats/dim)"


def _show(found: Bound) -> None:
    """The table: L_T, the steps in about ten groups, L_0, the sum."""
    from dtool.likelihood.result import mean_error

    steps, whole = found.steps, found.total
    inner = max(1, -(-(steps - 1) // ROWS))
    cuts = [(0, 1), *((i, min(i + inner, steps)) for i in range(1, steps, inner)), (steps, steps + 1)]
    rows = []
    for first, last in [*cuts, (0, steps + 1)]:
        mean, error = mean_error(found.each[first:last].sum(axis=0))
        terms, everything = found.terms[first:last], last - first == steps + 1
        name = terms[0].name if last - first == 1 else f"{terms[0].name} … {terms[-1].name}"
        times = [f"{term.time:.4g}" for term in (terms[0], terms[-1])]
        rows.append(
            [
                "sum" if everything else name,
                "" if everything else times[0] if times[0] == times[1] else f"{times[0]} … {times[1]}",
                f"{mean:.4f}",
                "-" if found.n == 1 else f"{error:.4f}",
                f"{mean / whole:.1%}",
                "" if everything else number(None if first == 0 else terms[-1].rmse),
            ]
        )
    levels = "a density" if found.levels is None else f"{found.levels} levels"
    table(
        [Column("term"), Column("t"), Column("bits/dim", True), Column("±", True), Column("share", True),
         Column("rmse of x0", True)],
        rows,
        title=f"σ² {found.variance}, {steps} steps, n = {found.n}, seed {found.seed}, {levels}",
    )  # fmt: skip
