"""The hooks by which schedules, spacings, samplers and metrics enter dtool: built-in ones and a stranger's alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from dtool.plugins.registrar import Registrar

hookspec = pluggy.HookspecMarker("dtool")
hookimpl = pluggy.HookimplMarker("dtool")


@hookspec
def register_schedulers(register: Registrar) -> None:
    """Register noise schedules, e.g. `register("quadratic", "mypackage.schedules:quadratic")`."""


@hookspec
def register_spacings(register: Registrar) -> None:
    """Register spacings, e.g. `register("golden", "mypackage.spacings:golden")`."""


@hookspec
def register_samplers(register: Registrar) -> None:
    """Register reverse-step rules, e.g. `register("midpoint", "mypackage.midpoint:midpoint", aliases=("rk2",))`.

    A whole recipe with a name of its own: `register.recipe("Midpoint Karras", "midpoint/karras")`.
    """


@hookspec
def register_metrics(register: Registrar) -> None:
    """Register metrics of samples against data, e.g. `register("spectrum", "mypackage.spectrum:spectrum")`."""
