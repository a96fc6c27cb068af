"""A comparison as one JSON document: its results, its command, the machine, and the versions."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtool.compare.result import Comparison
from dtool.errors import UsageError
from dtool.measure.machine import detect_machine
from dtool.plan.recipe import Recipe
from dtool.plugins.registry import get_registry
from dtool.schedulers.schedule import Schedule
from dtool.util.text import replace_nonfinite

MACHINE = ("processor", "cores", "system", "python", "gpus")
POINTS = 200  # of a schedule's curve


def make_document(
    comparison: Comparison, *, command: str = "", model: str = "", baseline: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Everything but the images, for `dtool.report.render_page` and for a file.

    command, model: as the user typed them. baseline: an earlier comparison's document, whose entries are included.
    Of a comparison that was not timed, whose work was shared, neither the date nor the load of a machine is in it.
    """
    timed = comparison.repeats > 0
    machine = detect_machine(gpu=comparison.device.startswith("cuda"))
    machine_facts = machine.to_dict()
    plugins = [
        {"name": plugin.name, "version": plugin.version, "status": plugin.status} for plugin in get_registry().plugins
    ]
    document = comparison.to_dict() | {
        "command": command,
        "made": machine.date if timed else "",
        "model": model,
        "machine": {name: machine_facts[name] for name in (*MACHINE, *(["load"] if timed else []))},
        "versions": machine.versions,
        "plugins": plugins,
        "schedules": [_sample_curve(name, schedule) for name, schedule in _collect_schedules(comparison).items()],
        "baseline": None if baseline is None else {k: baseline.get(k) for k in ("made", "n", "seed", "entries")},
    }
    plain: dict[str, Any] = replace_nonfinite(document)
    return plain


def _collect_schedules(comparison: Comparison) -> dict[str, Schedule]:
    """The schedules that the recipes name, and the network's own under its name."""
    schedules = {} if comparison.schedule is None else {"the network's own": comparison.schedule}
    for entry in comparison.entries:
        try:
            schedule = Recipe.parse(entry.recipe).scheduler
        except UsageError:  # it holds an object without a name
            continue
        if schedule is not None:
            schedules.setdefault(schedule.token, schedule)
    return schedules


def _sample_curve(name: str, schedule: Schedule) -> dict[str, Any]:
    index = np.unique(np.linspace(0, schedule.T - 1, min(schedule.T, POINTS)).round().astype(int))
    curves = {"alpha_bar": schedule.alpha_bar, "beta": schedule.betas, "log_snr": schedule.log_snr}
    return {"name": name, "time": index.tolist(), **{key: curve[index].tolist() for key, curve in curves.items()}}
