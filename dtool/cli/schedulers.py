"""`dtool schedulers`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.listing import show_all, show_one
from dtool.cli.options import scheduler_names
from dtool.cli.output import AsJson, Quiet, say, say_json
from dtool.errors import DtoolError, UsageError
from dtool.plugins.loader import PluginWarning
from dtool.plugins.registry import registry

if TYPE_CHECKING:
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
            help="only this one, e.g. cosine or cosine:s=0.02", autocompletion=scheduler_names, show_default=False
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
    from dtool.cli.pictures import save
    from dtool.files import files_in, require_apart, require_picture

    require_apart([plot], files_in(name, recipe))
    require_picture(plot)
    picture = _picture(_chosen(name, recipe), recipe, 10 if steps is None else steps)
    save(plot, lambda: picture, command="schedulers")
    if as_json:
        say_json({"picture": str(plot)})
    else:
        say(plot)


def _list(name: str | None, as_json: bool) -> None:
    if name is None:
        show_all(registry().schedulers, as_json)
        return
    token, more = name.partition(":")[0], {}
    if not any(o.is_required() for o in registry().schedulers.get(token).model.model_fields.values()) or ":" in name:
        more = _figures(name)
    show_one(registry().schedulers, token, as_json, more)


def _figures(token: str) -> dict[str, Any]:
    """The two ends of a schedule, in numbers."""
    from dtool.schedulers import schedule

    made = schedule(token)
    first, last = made.betas[0], made.betas[-1]
    return {
        "as a token": made.token,
        "beta": f"{first:.4g} … {last:.4g}",
        "alpha-bar": f"{made.alpha_bar[0]:.6g} … {made.alpha_bar[-1]:.3g}",
        "log-SNR": f"{2 * made.lam[0]:.4g} … {2 * made.lam[-1]:.4g}",
    }


def all_schedules() -> dict[str, Schedule]:
    """Every installed schedule that needs no option, with its defaults, by name; of one that fails, a warning."""
    found = {}
    for entry, maker in registry().schedulers.loaded():
        if any(option.is_required() for option in maker.model.model_fields.values()):
            continue
        try:
            found[entry.spelling] = maker()
        except DtoolError as error:
            if entry.provider.name == "dtool":
                raise
            warnings.warn(f"{entry.origin} is left out ({error})", PluginWarning, stacklevel=2)
    return found


def _chosen(name: str | None, recipe: str | None) -> dict[str, Schedule]:
    """The schedules to draw, by token: the one that is named, or all, and the recipe's own."""
    from dtool.plan import Recipe
    from dtool.schedulers import schedule

    found = all_schedules() if name is None else {name: schedule(name)}
    own = Recipe.parse(recipe).scheduler if recipe else None
    if own is not None and own.hash not in {made.hash for made in found.values()}:
        found[own.token] = own
    return found


def _picture(chosen: dict[str, Schedule], recipe: str | None, steps: int) -> Any:
    """Three panels; dots at the steps of the recipe, on its own schedule, or on each if it names none."""
    import numpy as np

    from dtool.cli.plot import DASH, DOT, Line, Panel, colour, figure
    from dtool.plan import Recipe
    from dtool.plan.recipe import DEFAULT_SPACING
    from dtool.schedulers import spacing

    parsed = Recipe.parse(recipe) if recipe else None
    place = (parsed.spacing if parsed else None) or spacing(DEFAULT_SPACING)
    only = parsed.scheduler if parsed else None
    lines: dict[str, list[Line]] = {"alpha-bar": [], "beta": [], "log-SNR": []}
    for i, (name, made) in enumerate(chosen.items()):
        t = np.arange(made.T, dtype=np.float64)
        curves = {"alpha-bar": made.alpha_bar, "beta": made.betas, "log-SNR": 2 * made.lam}
        marked = parsed is not None and (only is None or only.hash == made.hash)
        at = np.asarray(place(made, steps)) if marked else None
        unit = max(made.T - 1, 1)
        for key, curve in curves.items():
            dots = None if at is None or key == "beta" else (at / unit, _at(made, at, key))
            y = np.asarray(curve, dtype=np.float64)
            lines[key].append(Line(name, t / unit, y, colour(i), dots, dash=(0, DASH, DASH, DOT)[i // 5 % 4]))
    panels = [
        Panel("alpha-bar: the share of the image's variance", lines["alpha-bar"], "t / (T-1)", low=0, high=1),
        Panel("beta: the noise added at each step (log scale)", lines["beta"], "t / (T-1)", log=True),
        Panel("log-SNR: log(alpha-bar / (1 - alpha-bar))", lines["log-SNR"], "t / (T-1)"),
    ]
    note = f"dots: the {steps} steps of {parsed}" if parsed else ""
    if parsed and only is None:
        note += f", spaced {place.token} on each schedule"
    return figure(panels, "Noise schedules" if len(chosen) > 1 else f"Noise schedule {next(iter(chosen))}", note)


def _at(made: Schedule, times: Any, key: str) -> Any:
    """ᾱ or log-SNR at fractional times."""
    import numpy as np

    alpha, sigma = made.level(times)
    with np.errstate(divide="ignore"):
        return alpha**2 / (alpha**2 + sigma**2) if key == "alpha-bar" else 2 * (np.log(alpha) - np.log(sigma))
