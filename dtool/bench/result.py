"""What a benchmark found: plain data, its JSON form, and its table as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dtool.measure.machine import Machine
from dtool.measure.timing import Quartiles, quartiles

UNSTEADY = 0.1


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One way of drawing the images of one batch size: `seconds` of each round.

    `ratios`: to the reference in the same round. `difference`: the largest of its images from the host loop's; None
    where they have not the same noise, or there are no images.
    """

    name: str
    batch: int
    seconds: tuple[float, ...]
    ratios: tuple[float, ...]
    difference: float | None = None

    @property
    def time(self) -> Quartiles:
        """Of the seconds."""
        return quartiles(self.seconds)

    @property
    def ratio(self) -> Quartiles:
        """Of the ratios to the reference."""
        return quartiles(self.ratios)

    @property
    def images_per_second(self) -> float:
        """At the median time."""
        return self.batch / self.time.median

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return {
            "name": self.name,
            "batch": self.batch,
            "seconds": self.time._asdict(),
            "images_per_second": self.images_per_second,
            "ratio": self.ratio._asdict(),
            "difference": self.difference,
            "rounds": list(self.seconds),
        }


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Ways of running one plan, side by side. `reference`: the way that the ratios are to.

    `images_at_a_time`: the micro-batch of all but the ways in one batch. `calls`: network calls per image;
    `evaluations`: the same, those that guidance makes with and without the conditions counted twice. `guidance`: as it
    is typed, "none" for none; `scale`: its scale. `skipped`: who could not take part, and why. `notes`: what else
    should be known.
    """

    machine: Machine
    model: str
    backend: str
    device: str
    recipe: str
    plan: str
    steps: int
    calls: int
    evaluations: int
    rounds: int
    guidance: str
    scale: float
    images_at_a_time: int
    reference: str
    timings: tuple[Timing, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What was run, in a line."""
        guided = "no guidance" if self.guidance == "none" else f"guidance {self.guidance}"
        more = f" ({self.evaluations} evaluations)" if self.evaluations != self.calls else ""
        return (
            f"{self.model}: {self.recipe}, {self.steps} steps, {self.calls} calls{more} per image, {guided}, "
            f"{self.images_at_a_time} at a time, {self.backend} on {self.device}"
        )

    @property
    def method(self) -> str:
        """How it was measured, in a line."""
        return f"{self.rounds} rounds in turns, the order reversed every round: medians (quartiles)"

    @property
    def warnings(self) -> list[str]:
        """Why these figures are not final, if they are not."""
        texts = ["the machine is busy: these figures are not final"] if self.machine.busy else []
        spreads = [(t.time.high - t.time.low) / t.time.median for t in self.timings if t.name == self.reference]
        if self.rounds > 1 and max(spreads) > UNSTEADY:
            texts.append(
                f"the machine is not steady: the quartiles of the reference's own times are {max(spreads):.0%} apart"
            )
        return texts

    def groups(self) -> Iterator[tuple[int, list[Timing]]]:
        """(batch, its timings)."""
        for batch in dict.fromkeys(timing.batch for timing in self.timings):
            yield batch, [timing for timing in self.timings if timing.batch == batch]

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        names = ("model", "backend", "device", "recipe", "plan", "steps", "calls", "evaluations", "guidance", "scale")
        return {
            "machine": self.machine.to_dict(),
            **{name: getattr(self, name) for name in (*names, "images_at_a_time")},
            "rounds": self.rounds,
            "reference": self.reference,
            "timings": [timing.to_dict() for timing in self.timings],
            "skipped": self.skipped,
            "warnings": self.warnings,
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def document(self) -> str:
        """The machine and `markdown`."""
        about = "\n".join(f"- {what}: {text}" for what, text in self.machine.lines())
        return f"{about}\n\n{self.markdown()}\n"

    def markdown(self) -> str:
        """The title, the table and the remarks."""
        head = f"| batch | | ms | images/s | × {self.reference} | images differ by |"
        lines = [f"{self.title}.", f"{self.method}.", "", head, "|---:|---|---|---:|---|---|"]
        for timing in self.timings:
            difference = "-" if timing.difference is None else f"{timing.difference:.1e}"
            time = format_range(timing.time, 1e3)
            cells = [timing.batch, timing.name, time, f"{timing.images_per_second:.4g}", format_range(timing.ratio)]
            lines.append(f"| {' | '.join(map(str, cells))} | {difference} |")
        remarks = [f"- without {name}: {reason}" for name, reason in self.skipped.items()]
        remarks += [f"- {note}" for note in (*self.notes, *self.warnings)]
        return "\n".join([*lines, *(["", *remarks] if remarks else [])])


def format_range(values: Quartiles, scale: float = 1.0) -> str:
    """`median (lower … upper)`, four significant digits."""
    low, median, high = (f"{value * scale:#.4g}".rstrip(".") for value in values)
    return f"{median} ({low} … {high})"
