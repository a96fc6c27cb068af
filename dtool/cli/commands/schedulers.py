"""`dtool schedulers`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.sampler_options import complete_schedulers
from dtool.cli.show.listing import show_all, show_one
from dtool.cli.show.output import AsJson, Quiet, say, say_json
from dtool.errors import DtoolError, UsageError
from dtool.plugins.loader import PluginWarning
from dtool.plugins.registry import get_registry

if TYPE_CHECKING:
    from dtool.cli.show.plot import PlotLine
    from dtool.schedulers.schedule import Schedule

EXAMPLES = (
    "dtool schedulers",
    "dtool schedulers cosine",
    "dtool schedulers --plot schedules.png --recipe ddim/karras --steps 10",
)


def schedulers(
    name: Annotated[
        str | None,
        typer.Argument(
            help="only this one, e.g. cosine or cosine:s=0.02", autocompletion=complete_schedulers, show_default=False
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="draw them into this PNG: alpha-bar, beta and log-SNR", show_default=False)
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="mark where the steps of this recipe fall", show_default=False)
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="how many steps to mark [default: 10]")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - it acts when it is read
) -> None:
    """List or draw the noise schedules."""
    if plot is None:
        if recipe or steps:
            raise UsageError("--recipe and --steps say what to mark in the picture", "give --plot FILE too")
        _list(name, as_json)
        return
    from dtool.cli.show.pictures import save
    from dtool.util.files import find_option_files, require_distinct_files, require_picture

    require_distinct_files([plot], find_option_files(name, recipe))
    require_picture(plot)
    picture = _draw_picture(_choose_schedules(name, recipe), recipe, 10 if steps is None else steps)
    save(plot, lambda: picture, command="schedulers")
    if as_json:
        say_json({"picture": str(plot)})
    else:
        say(plot)


def _list(name: str | None, as_json: bool) -> None:
    if name is None:
        show_all(get_registry().schedulers, as_json)
        return
    token, more = name.partition(":")[0], {}
    if (
        not any(o.is_required() for o in get_registry().schedulers.get(token).model.model_fields.values())
        or ":" in name
    ):
        more = _describe_ends(name)
    show_one(get_registry().schedulers, token, as_json, more)


def _describe_ends(token: str) -> dict[str, Any]:
    """The two ends of a schedule, in numbers."""
    from dtool.schedulers import get_scheduler

    schedule = get_scheduler(token)
    first, last = schedule.betas[0], schedule.betas[-1]
    return {
        "as a token": schedule.token,
        "beta": f"{first:.4g} … {last:.4g}",
        "alpha-bar": f"{schedule.alpha_bar[0]:.6g} … {schedule.alpha_bar[-1]:.3g}",
        "log-SNR": f"{schedule.log_snr[0]:.4g} … {schedule.log_snr[-1]:.4g}",
    }


def load_all_schedules() -> dict[str, Schedule]:
    """Every installed schedule that needs no option, with its defaults, by name; of one that fails, a warning."""
    schedules = {}
    for entry, maker in get_registry().schedulers.iterate_loaded():
        if any(option.is_required() for option in maker.model.model_fields.values()):
            continue
        try:
            schedules[entry.spelling] = maker()
        except DtoolError as error:
            if entry.provider.name == "dtool":
                raise
            warnings.warn(f"{entry.origin} is left out ({error})", PluginWarning, stacklevel=2)
    return schedules


def _choose_schedules(name: str | None, recipe: str | None) -> dict[str, Schedule]:
    """The schedules to draw, by token: the one that is named, or all, and the recipe's own."""
    from dtool.plan import Recipe
    from dtool.schedulers import get_scheduler

    schedules = load_all_schedules() if name is None else {name: get_scheduler(name)}
    own = Recipe.parse(recipe).scheduler if recipe else None
    if own is not None and own.hash not in {schedule.hash for schedule in schedules.values()}:
        schedules[own.token] = own
    return schedules


def _draw_picture(schedules: dict[str, Schedule], recipe: str | None, steps: int) -> Any:
    """Three panels; dots at the steps of the recipe, on its own schedule, or on each if it names none."""
    import numpy as np

    from dtool.cli.show.plot import Panel, draw_figure
    from dtool.plan import Recipe
    from dtool.plan.recipe import DEFAULT_SPACING
    from dtool.spacings import get_spacing

    parsed = Recipe.parse(recipe) if recipe else None
    place = (parsed.spacing if parsed else None) or get_spacing(DEFAULT_SPACING)
    only = parsed.scheduler if parsed else None

    def list_marked(schedule: Schedule) -> Any:
        is_marked = parsed is not None and (only is None or only.hash == schedule.hash)
        return np.asarray(place(schedule, steps)) if is_marked else None

    lines = _make_lines(schedules, list_marked)
    panels = [
        Panel(
            title="alpha-bar: the share of the image's variance",
            lines=lines["alpha-bar"],
            x_label="t / (T-1)",
            low=0,
            high=1,
        ),
        Panel(
            title="beta: the noise added at each step (log scale)", lines=lines["beta"], x_label="t / (T-1)", log=True
        ),
        Panel(title="log-SNR: log(alpha-bar / (1 - alpha-bar))", lines=lines["log-SNR"], x_label="t / (T-1)"),
    ]
    note = f"dots: the {steps} steps of {parsed}" if parsed else ""
    if parsed and only is None:
        note += f", spaced {place.token} on each schedule"
    return draw_figure(
        panels, "Noise schedules" if len(schedules) > 1 else f"Noise schedule {next(iter(schedules))}", note
    )


def _make_lines(schedules: dict[str, Schedule], list_marked: Callable[[Schedule], Any]) -> dict[str, list[PlotLine]]:
    """The lines of each panel, one a schedule, with dots at the times that `list_marked` gives, if any."""
    import numpy as np

    from dtool.cli.show.plot import DASH, DOT, PlotLine, pick_colour

    lines: dict[str, list[PlotLine]] = {"alpha-bar": [], "beta": [], "log-SNR": []}
    for i, (name, schedule) in enumerate(schedules.items()):
        t = np.arange(schedule.T, dtype=np.float64)
        curves = {"alpha-bar": schedule.alpha_bar, "beta": schedule.betas, "log-SNR": schedule.log_snr}
        at = list_marked(schedule)
        unit = max(schedule.T - 1, 1)
        for key, curve in curves.items():
            dots = None if at is None or key == "beta" else (at / unit, _interpolate(schedule, at, key))
            y = np.asarray(curve, dtype=np.float64)
            lines[key].append(
                PlotLine(
                    name=name, x=t / unit, y=y, colour=pick_colour(i), dots=dots, dash=(0, DASH, DASH, DOT)[i // 5 % 4]
                )
            )
    return lines


def _interpolate(schedule: Schedule, times: Any, key: str) -> Any:
    """ᾱ or log-SNR at fractional times."""
    from dtool.schedulers.levels import compute_alpha_bar, compute_log_snr

    return (compute_alpha_bar if key == "alpha-bar" else compute_log_snr)(*schedule.level(times))
