"""Noise schedules: which levels of noise there are. numpy only."""

from __future__ import annotations

from dtool.plugins.registry import get_registry
from dtool.schedulers.schedule import Schedule
from dtool.util.options import parse_token


def get_scheduler(token: str, **options: object) -> Schedule:
    """The noise schedule that `token` names, e.g. "cosine" or "linear:T=100,zero_snr=true".

    Options may also be given by keyword. Raises UsageError for an unknown name or option.

    >>> schedule = dtool.get_scheduler("cosine", T=100)
    >>> schedule.T, schedule.alpha[[0, 50, 99]].round(3).tolist()
    (100, [1.0, 0.692, 0.0])
    """
    name, token_options = parse_token(token)
    schedule: Schedule = get_registry().schedulers.get(name)(**{**token_options, **options})
    return schedule
