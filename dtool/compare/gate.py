"""`--fail-if`: a limit on figures, by themselves or relative to an earlier comparison."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import hypot, isnan, nan
from pathlib import Path
from typing import Any, NamedTuple

from dtool.compare.entry_identity import EntryKey, find_counterpart, identify_entry
from dtool.compare.run import SOLVER_IMAGES
from dtool.errors import DtoolError, UsageError, did_you_mean
from dtool.util import bounded_reading

_FORM = re.compile(r"\s*([\w.:,=-]+?)\s*([<>])\s*([+-]?)(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*(%?)\s*")
ENTRY_FIGURES = ("seconds", "calls", "evaluations", "images_per_second")  # figures that every entry has
SOLVER_FIGURES = ("rmse", "psnr")
COUNT_INDEPENDENT = (
    "calls",
    "evaluations",
    "images_per_second",
)  # figures that are the same whatever the number of images


class Estimate(NamedTuple):
    """A figure and its 95 % interval, for seconds the range of all timed rounds; the value itself if there is none."""

    value: float
    low: float
    high: float


class Violation(NamedTuple):
    """A figure beyond a limit, as a line. `sure`: whether it fails, because chance does not explain it."""

    line: str
    sure: bool


@dataclass(frozen=True, kw_only=True)
class Gate:
    """`FIGURE > NUMBER`: fails where a figure is beyond a number, `>`, or short of it, `<`.

    `relative`: the number is a change against the same entry of an earlier comparison: `fd>+5%`, `rmse>+0.01`. A change
    counts only where it goes further beyond the limit than the 95 % intervals of both figures together explain: the
    root of the sum of their squared half-widths. A number without a sign limits the value itself.
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
        return cls(
            text=text, figure=figure, above=order == ">", limit=limit, relative=bool(sign), percent=bool(percent)
        )

    def require(
        self, old: Mapping[str, Any] | None, names: Collection[str], elsewhere: Mapping[str, str] | None = None
    ) -> None:
        """Raise UsageError for a limit that no result can be judged by.

        That is a figure not among `names`, or a change without an earlier comparison `old` that has the figure.
        elsewhere: figures that other options would add, and what to type for them.
        """
        if self.figure not in names:
            hint = (elsewhere or {}).get(self.figure) or did_you_mean(self.figure, names)
            raise UsageError(f"--fail-if: there is no figure {self.figure!r} here", hint)
        if self.relative and old is None:
            raise UsageError(f"--fail-if {self.text!r} is a change", "give the earlier comparison: --baseline old.json")
        if (
            self.relative
            and old is not None
            and not any(self.figure in read_figures(entry) for entry in old["entries"])
        ):
            raise self._missing_error()

    def require_same(self, old: Mapping[str, Any], keys: Collection[EntryKey], n: int | None, steady: bool) -> None:
        """Raise UsageError for a change from a comparison without the entries `keys`, or of another number of images.

        n: how many images there will be, if that is known. steady: the figure's mean is the same for every n.
        """
        having = [identify_entry(entry) for entry in old["entries"] if self.figure in read_figures(entry)]
        if not any(key.matches(one) for key in keys for one in having):
            raise self._missing_error()
        if not steady and not is_comparable(self.figure, n, old.get("n")):
            raise self._count_error(n, old["n"])

    def find_violations(
        self, now: Mapping[str, Any], old: Mapping[str, Any] | None, steady: bool = False
    ) -> Iterator[Violation]:
        """A line for each entry of the comparison `now` that is beyond the limit.

        Raises UsageError if no entry has the figure, or if it changed with the number of images.
        """
        values = {identify_entry(entry): read_figures(entry).get(self.figure) for entry in now["entries"]}
        if all(value is None for value in values.values()):
            why = _explain_missing(now, self.figure)
            names = {name for entry in now["entries"] for name in read_figures(entry)}
            raise UsageError(
                f"--fail-if: no recipe has the figure {self.figure!r}{why and f': {why}'}",
                "draw what it needs, or limit another" if why else did_you_mean(self.figure, names),
            )
        if self.relative and old is not None:
            self.require_same(old, values.keys(), now.get("n"), steady)
        before = (old or {"entries": []})["entries"]
        for one, value in values.items():
            entry = find_counterpart(one, before)
            then = None if entry is None else read_figures(entry).get(self.figure)
            if value is None or (self.relative and (then is None or isnan(then.value))):
                continue
            guided = "" if one.guidance in ("", "none") else f", guidance {one.guidance}"
            yield from self._judge(f"{one.recipe}, {one.steps} steps{guided}: {self.figure}", value, then)

    def _judge(self, what: str, now: Estimate, then: Estimate | None) -> Iterator[Violation]:
        limit = self._resolve_limit(None if then is None else then.value)
        over = now.value - limit if self.above else limit - now.value
        if not (isnan(over) or over > 0):
            return
        line = f"{what} is {now.value:.4g}, {'above' if self.above else 'below'} {limit:.4g}"
        reach = 0.0
        if self.relative and then is not None:
            own = now.value - now.low if self.above else now.high - now.value
            reach = hypot(own, abs(self._resolve_limit(then.high if self.above else then.low) - limit))
        sure = not over <= reach  # NaN is beyond every limit
        yield Violation(line if sure else f"{line}, but by no more than chance explains", sure)

    def _resolve_limit(self, before: float | None) -> float:
        if not self.relative or before is None:
            return self.limit
        return before + (abs(before) * self.limit / 100 if self.percent else self.limit)

    def _missing_error(self) -> UsageError:
        return UsageError(
            f"--fail-if {self.text!r}: the baseline has no {self.figure} of these recipes",
            "compare with the recipes, steps, guidance and data of the baseline",
        )

    def _count_error(self, now: int | None, before: int) -> UsageError:
        return UsageError(
            f"--fail-if {self.text!r}: {self.figure} depends on the number of images: {now} here, {before} in the "
            "baseline",
            f"draw as many as in the baseline: -n {before}",
        )


def read_baseline(path: Path) -> dict[str, Any]:
    """The JSON of an earlier comparison; raises DtoolError if the file holds anything else."""
    hint = "give a JSON file that dtool compare wrote"
    document: dict[str, Any] | None
    try:
        document = bounded_reading.read_json(path)
    except OSError as error:
        raise DtoolError(f"cannot read {path}: {error.strerror}", "give the JSON file of a comparison") from error
    except bounded_reading.UnreadableError as error:
        raise DtoolError(f"{path} is no comparison: {error}", hint) from error
    except UsageError:  # there is no memory for it
        raise
    except ValueError:  # it is no JSON
        document = None
    if document is None or not _is_comparison(document):
        raise DtoolError(f"{path} is no comparison", hint)
    return document


def _is_comparison(document: Any) -> bool:
    try:
        for entry in document["entries"]:
            identify_entry(entry)
            read_figures(entry)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return False
    return isinstance(document, dict) and isinstance(document["entries"], list)


def is_comparable(figure: str, n: int | None, before: int | None) -> bool:
    """Whether a figure of n images can be compared with that of another number, as far as both are known.

    The solver's error is that of the first few images; of metrics, those whose mean depends on n cannot.
    """
    if n is None or before is None or figure in COUNT_INDEPENDENT:
        return True
    return min(n, SOLVER_IMAGES) == min(before, SOLVER_IMAGES) if figure in SOLVER_FIGURES else n == before


def read_figures(entry: Mapping[str, Any]) -> dict[str, Estimate]:
    """Every figure of an entry by name: those of quality, of the solver's error, and of time.

    A figure that was measured and is null in the JSON is NaN. An RMSE of 0 has no PSNR.
    """
    figures = {str(name): _read_figure(figure, "value") for name, figure in (entry.get("figures") or {}).items()}
    solver = entry.get("solver") or {}
    if "rmse" in solver:
        figures["rmse"] = _read_figure(solver, "rmse")
    if "psnr" in solver and not (solver["psnr"] is None and solver.get("rmse") == 0):
        figures["psnr"] = _read_figure({"psnr": solver["psnr"]}, "psnr")
    for name in ENTRY_FIGURES:
        if name in entry:
            ends = {end: entry.get(f"{name}_{end}") for end in ("low", "high")}
            figures[name] = _read_figure({name: entry[name], **ends}, name)
    return figures


def _read_figure(figure: Mapping[str, Any], name: str) -> Estimate:
    value = nan if figure[name] is None else float(figure[name])
    low, high = (value if figure.get(end) is None else float(figure[end]) for end in ("low", "high"))
    return Estimate(value, min(low, value), max(high, value))


def _explain_missing(document: Mapping[str, Any], figure: str) -> str:
    """The reason that the comparison gives for a missing figure; "" if it gives none."""
    if figure in SOLVER_FIGURES:
        return next((str(e["why_no_solver"]) for e in document["entries"] if e.get("why_no_solver")), "")
    metrics = document.get("metrics") or []
    return next((str(m["skipped"]) for m in metrics if m.get("name") == figure and m.get("skipped")), "")
