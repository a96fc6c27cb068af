"""A comparison as one JSON document: what was found, with which command, on which machine, by which versions."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtool.compare.result import Comparison
from dtool.errors import UsageError
from dtool.machine import machine
from dtool.plain import finite
from dtool.plan.recipe import Recipe
from dtool.plugins.registry import registry
from dtool.schedulers.schedule import Schedule

POINTS = 200  # of a schedule's curve


def document(
    found: Comparison, *, command: str = "", model: str = "", baseline: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Everything but the pictures, for `dtool.report.page` and for a file.

    command, model: as they were typed. baseline: an earlier comparison's document, of which the entries are kept.
    """
    here = machine(gpu=found.device.startswith("cuda"))
    about = here.to_dict()
    plugins = [
        {"name": plugin.name, "version": plugin.version, "status": plugin.status} for plugin in registry().plugins
    ]
    made = found.to_dict() | {
        "command": command,
        "made": here.date,
        "model": model,
        "machine": {name: about[name] for name in ("processor", "cores", "system", "python", "gpus", "load")},
        "versions": here.versions,
        "plugins": plugins,
        "schedules": [_curve(name, made) for name, made in _schedules(found).items()],
        "baseline": None if baseline is None else {k: baseline.get(k) for k in ("made", "n", "seed", "entries")},
    }
    plain: dict[str, Any] = finite(made)
    return plain


def _schedules(found: Comparison) -> dict[str, Schedule]:
    """The schedules that the recipes name, and the network's own under its name."""
    schedules = {} if found.schedule is None else {"the network's own": found.schedule}
    for entry in found.entries:
        try:
            made = Recipe.parse(entry.recipe).scheduler
        except UsageError:  # it holds an object that no name stands for
            continue
        if made is not None:
            schedules.setdefault(made.token, made)
    return schedules


def _curve(name: str, made: Schedule) -> dict[str, Any]:
    index = np.unique(np.linspace(0, made.T - 1, min(made.T, POINTS)).round().astype(int))
    alpha, sigma = made.alpha[index], made.sigma[index]
    with np.errstate(divide="ignore"):
        log_snr = 2 * (np.log(alpha) - np.log(sigma))
    bar = alpha**2 / (alpha**2 + sigma**2)
    whole = made.alpha**2 / (made.alpha**2 + made.sigma**2)
    beta = 1 - whole / np.concatenate([[1.0], whole[:-1]])
    return {
        "name": name, "time": index.tolist(), "alpha_bar": bar.tolist(), "beta": beta[index].tolist(),
        "log_snr": log_snr.tolist(),
    }  # fmt: skip
