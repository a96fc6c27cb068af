"""What a time to quality is: plain data, its JSON form, and its table as Markdown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dtool.bench.result import format_range
from dtool.measure.machine import Machine
from dtool.measure.timing import Quartiles, quartiles


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A way to images of the quality: its fewest calls, its RMSE, the seconds of every round, and ratios to the first.

    evaluations: of the network for one image, those that guidance doubles counted twice.
    """

    name: str
    steps: int
    calls: int
    evaluations: int
    rmse: float
    seconds: tuple[float, ...] = ()
    ratios: tuple[float, ...] = ()

    @property
    def time(self) -> Quartiles:
        """Of the seconds."""
        return quartiles(self.seconds)

    @property
    def ratio(self) -> Quartiles:
        """Of the ratios to the first."""
        return quartiles(self.ratios)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        about = {name: getattr(self, name) for name in ("name", "steps", "calls", "evaluations", "rmse")}
        spread = {"seconds": self.time._asdict(), "ratio": self.ratio._asdict()}
        return about | spread | {"rounds": list(self.seconds)}


@dataclass(frozen=True, kw_only=True)
class TimeToQuality:
    """The time to an RMSE of `rmse` or less, which `recipe`, the best of the named ones, has at `calls` calls.

    rmse: to the solution from the same noise, on `judged` images; `own`: the solution's own error. images: of a timed
    run. missing: who does not come so near, or cannot take part, and why.
    """

    machine: Machine
    model: str
    recipe: str
    calls: int
    rmse: float
    own: float
    judged: int
    images: int
    rounds: int
    arrivals: tuple[Arrival, ...]
    missing: dict[str, str]

    @property
    def title(self) -> str:
        """What is reached, in a line."""
        return (
            f"{self.model}: time to an RMSE of {self.rmse:.4g}, that of {self.recipe}, the best at {self.calls} calls, "
            f"on {self.judged} images (the solution is itself off by {self.own:.1e})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        names = ("model", "recipe", "calls", "rmse", "own", "judged", "images", "rounds", "missing")
        about = {name: getattr(self, name) for name in names}
        return {"machine": self.machine.to_dict(), **about, "arrivals": [one.to_dict() for one in self.arrivals]}

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def document(self) -> str:
        """The machine, the title and the table, as Markdown."""
        lines = [f"- {what}: {text}" for what, text in self.machine.lines()]
        lines += [
            "",
            f"{self.title}.",
            f"{self.images} images a run, {self.rounds} rounds in turns: medians (quartiles)",
        ]
        lines += ["", "| | calls | evaluations | RMSE | ms | × the first |", "|---|---:|---:|---:|---|---|"]
        for one in self.arrivals:
            cells = [one.name, one.calls, one.evaluations, f"{one.rmse:.4g}", format_range(one.time, 1e3)]
            lines.append(f"| {' | '.join(map(str, cells))} | {format_range(one.ratio)} |")
        lines += [f"- without {name}: {why}" for name, why in self.missing.items()]
        return "\n".join(lines) + "\n"
