"""Noise schedules and spacings: which levels of noise there are, and where on them the steps fall. numpy only."""

from __future__ import annotations

from dtool.options import parsed
from dtool.plugins.registry import registry
from dtool.schedulers.schedule import Schedule
from dtool.schedulers.spacing import Spacing


def schedule(token: str, **options: object) -> Schedule:
    """The noise schedule that `token` names, e.g. "cosine" or "linear:T=100,zero_snr=true".

    Options may also be given by keyword. Raises UsageError for an unknown name or option.
    """
    name, written = parsed(token)
    made: Schedule = registry().schedulers.get(name)(**{**written, **options})
    return made


def spacing(token: str, **options: object) -> Spacing:
    """The spacing that `token` names, e.g. "trailing" or "karras:rho=5"; call it with (schedule, n)."""
    name, written = parsed(token)
    bound: Spacing = registry().spacings.get(name).bind(**{**written, **options})
    return bound
