"""Guidance: how far each row of a plan goes beyond what the network says under its conditions. numpy only."""

from __future__ import annotations

import re
from math import inf

from dtool.errors import UsageError, format_value
from dtool.guidances.guidance import Guidance, Guided, Level
from dtool.plugins.registry import get_registry
from dtool.util.options import parse_token

__all__ = ["Guidance", "Guided", "Level", "get_guidance"]

_SHORT = re.compile(r"([^@:]+)(?:@([^:@]*):([^:@]*))?")


def get_guidance(token: str, **options: object) -> Guidance:
    """The guidance that `token` names: "cfgpp:scale=0.6", or in short "3@-1.3:0.3", classifier-free between two λ.

    Raises UsageError for an unknown name or option, and for what cannot be read.

    >>> dtool.get_guidance("3@-1.3:0.3").token
    'cfg:low=-1.3,high=0.3,scale=3.0'
    """
    short = _parse_short(token)
    name, token_options = ("cfg", short) if short is not None else parse_token(token)
    bound: Guidance = get_registry().guidances.get(name).bind(**{**token_options, **options})
    return bound


def _parse_short(token: str) -> dict[str, float] | None:
    """The options of `SCALE[@LOW:HIGH]`, either end of which may be left out; None for a name."""
    match = _SHORT.fullmatch(token) if isinstance(token, str) else None
    try:
        scale = float(match.group(1)) if match else None
    except ValueError:
        return None
    if match is None or scale is None:
        return None
    ends = [text for text in (match.group(2), match.group(3)) if text is not None]
    try:
        low, high = (float(text) if text.strip() else end for text, end in zip(ends, (-inf, inf), strict=True))
    except ValueError:
        if ends:
            raise UsageError(
                f"guidance {format_value(token)} cannot be read", "write SCALE or SCALE@LOW:HIGH, e.g. 3@-1.3:0.3"
            ) from None
        return {"scale": scale}
    return {"scale": scale, "low": low, "high": high}
