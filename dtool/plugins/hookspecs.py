"""The hooks by which everything that can be added enters dtool: what is built in, and a stranger's alike."""

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
def register_guidances(register: Registrar) -> None:
    """Register ways of guidance, e.g. `register("late", "mypackage.guidance:late")`."""


@hookspec
def register_metrics(register: Registrar) -> None:
    """Register metrics of samples against data, e.g. `register("spectrum", "mypackage.spectrum:spectrum")`."""


@hookspec
def register_readers(register: Registrar) -> None:
    """Register readers of networks, e.g. `register("mylab", "mypackage.reader:mylab")`."""


@hookspec
def register_conditioners(register: Registrar) -> None:
    """Register what makes conditions from words, e.g. `register("glove", "mypackage.words:glove")`."""
