"""The flags of the two ways in which `dtool likelihood` measures: the bound, and the ODE."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dtool.cli.flags.drawing import Clip
from dtool.cli.flags.groups import FlagGroup
from dtool.cli.flags.sampler_options import complete_schedulers, complete_spacings
from dtool.cli.flags.values import parse_whole
from dtool.errors import UsageError

DEFAULT_STEPS = 50
_chain = partial(typer.Option, rich_help_panel="The bound")
_flow = partial(typer.Option, rich_help_panel="The ODE")


@dataclass(frozen=True, kw_only=True)
class BoundFlags:
    """The chain whose bound is computed, and the picture of its terms."""

    steps: Annotated[str | None, _chain(help="how many, or all of the schedule's [default: 50]")] = None
    variance: Annotated[
        Literal["beta", "tilde", "analytic", "learned"] | None,
        _chain(help="of each step [default: learned if the network has it, else analytic]"),
    ] = None
    stats: Annotated[
        Path | None,
        _chain(help="for analytic: a file of dtool.measure_variance [default: measured on other images of the data]"),
    ] = None
    scheduler: Annotated[
        str | None,
        _chain(help="noise schedule of the chain [default: the network's own]", autocompletion=complete_schedulers),
    ] = None
    spacing: Annotated[
        str | None,
        _chain(help="where the steps fall [default: linspace]", autocompletion=complete_spacings),
    ] = None
    clip: Clip = None
    output: Annotated[Path | None, _chain("--output", "-o", help="draw the terms into this PNG")] = None

    def parse_steps(self) -> int | Literal["all"]:
        """Raises UsageError for what is no number of steps."""
        if self.steps is None:
            return DEFAULT_STEPS
        if self.steps == "all":
            return "all"
        count = parse_whole(self.steps)
        if not count:
            raise UsageError(f"--steps {self.steps}: not a number of steps", "write it as 50, or all")
        return count


@dataclass(frozen=True, kw_only=True)
class OdeFlags:
    """Whether the ODE is solved instead, and how."""

    ode: Annotated[bool, _flow("--ode", help="by the probability-flow ODE, not by the bound")] = False
    trace: Annotated[
        Literal["exact", "hutchinson"] | None,
        _flow(help="of the Jacobian [default: exact up to 128 numbers per image]"),
    ] = None
    probes: Annotated[int | None, _flow(min=1, help="for hutchinson [default: 1]")] = None
    tolerance: Annotated[float | None, _flow(help="of the solver, RK45 [default: 1e-5]")] = None


BOUND, ODE = FlagGroup.of(BoundFlags), FlagGroup.of(OdeFlags)


def require_one_method(chain: BoundFlags, flow: OdeFlags, batch_size: int | None) -> None:
    """Refuse options of the bound with --ode, and those of the ODE without it."""
    others: dict[str, Any] = vars(chain) | {"batch_size": batch_size} if flow.ode else vars(flow) | {"ode": None}
    for name, value in others.items():
        if value is not None:
            hint = "leave it out, or leave --ode out" if flow.ode else "leave it out, or add --ode"
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is for {'the bound' if flow.ode else '--ode'}", hint)
