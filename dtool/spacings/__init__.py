"""Spacings: where on a schedule the steps fall. numpy only."""

from __future__ import annotations

from dtool.plugins.registry import get_registry
from dtool.spacings.spacing import Spacing
from dtool.util.options import parse_token


def get_spacing(token: str, **options: object) -> Spacing:
    """The spacing that `token` names, e.g. "trailing" or "karras:rho=5"; call it with (schedule, n).

    Raises UsageError for an unknown name or option.

    >>> dtool.get_spacing("trailing")(dtool.get_scheduler("linear"), 4).tolist()
    [999.0, 749.0, 499.0, 249.0]
    """
    name, token_options = parse_token(token)
    bound: Spacing = get_registry().spacings.get(name).bind(**{**token_options, **options})
    return bound
