"""Which entry of a comparison is which in another: by sampler, steps and guidance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import Any, NamedTuple

from dtool.errors import UsageError
from dtool.plan.recipe import split_guidance
from dtool.util.options import parse_token

PLAIN = "cfg"  # the guidance of a bare scale


class EntryKey(NamedTuple):
    """What identifies an entry: its recipe in the shortest form but for the guidance, its steps, and the guidance.

    guidance: as `describe_guidance` has it, "" where that is not known.
    """

    recipe: str
    steps: int
    guidance: str

    def matches(self, other: EntryKey) -> bool:
        """Whether both may be one recipe, as far as it is known of both with what guidance."""
        alike = self[:2] == other[:2]
        return alike and (self.guidance == other.guidance or "" in (self.guidance, other.guidance))


def describe_guidance(token: str, scale: float) -> str:
    """A guidance as it is typed: "none" for scale 1, "3", "3@-1.3:0.3", or its token with the scale that it runs with.

    >>> from dtool.compare.entry_identity import describe_guidance
    >>> describe_guidance("", 1.0), describe_guidance("cfg:scale=3.0,low=-1.3,high=0.3", 3.0)
    ('none', '3@-1.3:0.3')
    """
    options = _read_plain_options(token)
    if options is None:
        return token if "scale" in _read_options(token) else f"{token}, scale {scale:g}"
    if scale == 1:
        return "none"
    low, high = options.get("low", -inf), options.get("high", inf)
    ends = [f"{end:g}" if abs(end) < inf else "" for end in (low, high)]
    return f"{scale:g}" + (f"@{ends[0]}:{ends[1]}" if any(ends) else "")


def _read_options(token: str) -> dict[str, Any]:
    try:
        return parse_token(token)[1]
    except UsageError:
        return {}


def _read_plain_options(token: str) -> dict[str, float] | None:
    """The ends of classifier-free guidance without anything else, None for another guidance."""
    if not token:
        return {}
    try:
        name, options = parse_token(token)
        numbers = {key: float(value) for key, value in options.items()}
    except (UsageError, ValueError, TypeError):
        return None
    return numbers if name == PLAIN and set(numbers) <= {"scale", "low", "high"} else None


def identify_entry(entry: Mapping[str, Any]) -> EntryKey:
    """What identifies an entry of a comparison's document; one of an earlier dtool does not say its guidance."""
    recipe, token = split_guidance(str(entry["recipe"]))
    if entry.get("scale") is None:
        return EntryKey(recipe, int(entry["steps"]), token)
    guidance = describe_guidance(str(entry.get("guidance") or ""), float(entry["scale"]))
    return EntryKey(recipe, int(entry["steps"]), guidance)


def find_counterpart(key: EntryKey, entries: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The entry of another comparison that `key` names: one of the same guidance, else one that does not say it."""
    matching = [entry for entry in entries if key.matches(identify_entry(entry))]
    return next((entry for entry in matching if identify_entry(entry) == key), matching[0] if matching else None)


def list_other_guidances(now: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[str]:
    """A line for each entry that the earlier comparison `old` has with another guidance alone, or does not say it."""
    before = [one for one in old.get("entries") or () if "recipe" in one and one.get("steps")]
    for entry in now["entries"]:
        if "recipe" not in entry or not entry.get("steps"):
            continue
        key = identify_entry(entry)
        there = [other for other in map(identify_entry, before) if other[:2] == key[:2]]
        what = f"{key.recipe}, {key.steps} steps"
        if there and not any(key.matches(other) for other in there):
            guidances = " and ".join(dict.fromkeys(other.guidance for other in there))
            yield f"{what}: the baseline's guidance is {guidances}, not {key.guidance}: they are not compared"
        elif there and key.guidance not in ("", "none") and key not in there:
            yield f"{what}: the baseline does not say its guidance; here it is {key.guidance}"
