"""`--fail-if`: a limit that figures must keep to, alone or against an earlier comparison."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError, UsageError, did_you_mean

_FORM = re.compile(r"\s*([\w.-]+?)\s*([<>])\s*([+-]?)(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*(%?)\s*")


@dataclass(frozen=True)
class Gate:
    """`FIGURE > NUMBER`: fails where a figure is beyond a number, `>`, or short of it, `<`.

    `relative`: the number is a change against the same entry of an earlier comparison: `fd>+5%`, `rmse>+0.01`.
    """

    text: str
    figure: str
    above: bool
    limit: float
    relative: bool
    percent: bool

    @classmethod
    def parse(cls, text: str) -> Gate:
        """Read e.g. `mmd>0.02`, `fd>+5%`, `images_per_second<-10%`; raises UsageError."""
        match = _FORM.fullmatch(text)
        hint = "write it like mmd>0.02, or against --baseline like fd>+5%"
        if match is None:
            raise UsageError(f"--fail-if {text!r} is no limit", hint)
        figure, order, sign, number, percent = match.groups()
        if percent and not sign:
            raise UsageError(f"--fail-if {text!r}: per cent of what?", "a change has a sign: fd>+5%")
        limit = float(number) * (-1 if sign == "-" else 1)
        return cls(text, figure, order == ">", limit, bool(sign), bool(percent))

    def require(self, old: object) -> None:
        """Raise UsageError if it is a change, and there is nothing that it could be against."""
        if self.relative and old is None:
            raise UsageError(f"--fail-if {self.text!r} is a change", "give the earlier comparison: --baseline old.json")

    def failures(self, entries: list[dict[str, Any]], old: list[dict[str, Any]] | None) -> Iterator[str]:
        """A line for each entry that fails.

        Raises UsageError if no entry has the figure, or a change is asked for and there is no earlier comparison, or it
        shares no entry with this one.
        """
        values = {_name(entry): _figures(entry) for entry in entries}
        known = sorted({name for figures in values.values() for name in figures})
        if self.figure not in known:
            raise UsageError(f"--fail-if: there is no figure {self.figure!r} here", did_you_mean(self.figure, known))
        before = {_name(entry): _figures(entry) for entry in old or []}
        self.require(old)
        if self.relative and not any(self.figure in before.get(name, {}) for name in values):
            raise UsageError(
                f"--fail-if {self.text!r}: the baseline has no {self.figure} of these recipes",
                "compare with the recipes, steps and data of the baseline",
            )
        for name, figures in values.items():
            limit = self._limit(before.get(name, {}).get(self.figure))
            value = figures.get(self.figure)
            if value is None or limit is None:
                continue
            if isnan(value) or (value > limit if self.above else value < limit):
                yield f"{name}: {self.figure} is {value:.4g}, {'above' if self.above else 'below'} {limit:.4g}"

    def _limit(self, before: float | None) -> float | None:
        if not self.relative:
            return self.limit
        if before is None:
            return None
        return before + (abs(before) * self.limit / 100 if self.percent else self.limit)


def read_baseline(path: Path) -> dict[str, Any]:
    """An earlier comparison's JSON; raises DtoolError if it is none."""
    try:
        document = json.loads(path.read_text("utf-8"))
        if not isinstance(document, dict) or not isinstance(document["entries"], list):
            raise ValueError("no entries")
        for entry in document["entries"]:
            _name(entry)
    except OSError as error:
        raise DtoolError(f"cannot read {path}: {error.strerror}", "give the JSON file of a comparison") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DtoolError(f"{path} is no comparison", "give a JSON file that dtool compare wrote") from error
    return document


def _name(entry: Mapping[str, Any]) -> str:
    return f"{entry['recipe']}, {int(entry['steps'])} steps"


def _figures(entry: Mapping[str, Any]) -> dict[str, float]:
    """Every figure of an entry by name: those of quality, of the solver's error, and of time."""
    found = {name: figure["value"] for name, figure in (entry.get("figures") or {}).items()}
    solver = entry.get("solver") or {}
    found |= {name: solver[name] for name in ("rmse", "psnr") if name in solver}
    found |= {name: entry[name] for name in ("seconds", "images_per_second", "calls") if name in entry}
    return {name: float(value) for name, value in found.items() if value is not None}
