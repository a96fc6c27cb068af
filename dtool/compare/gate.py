"""`--fail-if`: a limit that figures must keep to, alone or against an earlier comparison."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import hypot, isnan, nan
from pathlib import Path
from typing import Any

from dtool import bounded
from dtool.compare.run import SOLVED
from dtool.errors import DtoolError, UsageError, did_you_mean

_FORM = re.compile(r"\s*([\w.:,=-]+?)\s*([<>])\s*([+-]?)(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*(%?)\s*")
OF_ALL = ("seconds", "calls", "images_per_second")  # figures that every entry has
OF_SOLVER = ("rmse", "psnr")
STEADY = ("calls", "images_per_second")  # figures that are the same whatever the number of images
Key = tuple[str, int]


@dataclass(frozen=True)
class Known:
    """A figure and its interval, which is the value itself if there is none: 95 %, or of seconds all timed rounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Beyond:
    """A figure beyond a limit, as a line. `sure`: it fails; chance does not explain it."""

    line: str
    sure: bool


@dataclass(frozen=True)
class Gate:
    """`FIGURE > NUMBER`: fails where a figure is beyond a number, `>`, or short of it, `<`.

    `relative`: the number is a change against the same entry of an earlier comparison: `fd>+5%`, `rmse>+0.01`. A change
    counts only where it goes further beyond the limit than the 95 % intervals of both figures together explain: the
    root of the sum of the squares of their reaches. A number of its own holds for the value itself.
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

    def require(
        self, old: Mapping[str, Any] | None, names: Collection[str], elsewhere: Mapping[str, str] | None = None
    ) -> None:
        """Raise UsageError for what cannot be judged whatever is drawn.

        A figure that is none of `names`, or a change without an earlier comparison `old` that has the figure.
        elsewhere: figures that there could be, and what to type for them.
        """
        if self.figure not in names:
            hint = (elsewhere or {}).get(self.figure) or did_you_mean(self.figure, names)
            raise UsageError(f"--fail-if: there is no figure {self.figure!r} here", hint)
        if self.relative and old is None:
            raise UsageError(f"--fail-if {self.text!r} is a change", "give the earlier comparison: --baseline old.json")
        if self.relative and old is not None and not any(self.figure in known(entry) for entry in old["entries"]):
            raise self._not_before()

    def require_same(self, old: Mapping[str, Any], keys: Collection[Key], n: int | None, steady: bool) -> None:
        """Raise UsageError for a change from what has none of the entries `keys`, or is of another number of images.

        n: how many images there will be, if that is known. steady: the figure's mean is the same for every n.
        """
        if not any(key(entry) in keys and self.figure in known(entry) for entry in old["entries"]):
            raise self._not_before()
        if not steady and not comparable(self.figure, n, old.get("n")):
            raise self._other_number(n, old["n"])

    def beyond(self, now: Mapping[str, Any], old: Mapping[str, Any] | None, steady: bool = False) -> Iterator[Beyond]:
        """A line for each entry of the comparison `now` that is beyond the limit.

        Raises UsageError if no entry has the figure, or if it changed with the number of images.
        """
        values = {key(entry): known(entry).get(self.figure) for entry in now["entries"]}
        if all(value is None for value in values.values()):
            why = _skipped(now, self.figure)
            names = {name for entry in now["entries"] for name in known(entry)}
            raise UsageError(
                f"--fail-if: no recipe has the figure {self.figure!r}{why and f': {why}'}",
                "draw what it needs, or limit another" if why else did_you_mean(self.figure, names),
            )
        if self.relative and old is not None:
            self.require_same(old, values.keys(), now.get("n"), steady)
        before = {key(entry): known(entry).get(self.figure) for entry in (old or {"entries": []})["entries"]}
        for one, value in values.items():
            then = before.get(one)
            if value is None or (self.relative and (then is None or isnan(then.value))):
                continue
            yield from self._judged(f"{one[0]}, {one[1]} steps: {self.figure}", value, then)

    def _judged(self, what: str, now: Known, then: Known | None) -> Iterator[Beyond]:
        limit = self._limit(None if then is None else then.value)
        over = now.value - limit if self.above else limit - now.value
        if not (isnan(over) or over > 0):
            return
        line = f"{what} is {now.value:.4g}, {'above' if self.above else 'below'} {limit:.4g}"
        reach = 0.0
        if self.relative and then is not None:
            own = now.value - now.low if self.above else now.high - now.value
            reach = hypot(own, abs(self._limit(then.high if self.above else then.low) - limit))
        sure = not over <= reach  # what is no number is beyond every limit
        yield Beyond(line if sure else f"{line}, but by no more than chance explains", sure)

    def _limit(self, before: float | None) -> float:
        if not self.relative or before is None:
            return self.limit
        return before + (abs(before) * self.limit / 100 if self.percent else self.limit)

    def _not_before(self) -> UsageError:
        return UsageError(
            f"--fail-if {self.text!r}: the baseline has no {self.figure} of these recipes",
            "compare with the recipes, steps and data of the baseline",
        )

    def _other_number(self, now: int | None, before: int) -> UsageError:
        return UsageError(
            f"--fail-if {self.text!r}: {self.figure} depends on the number of images: {now} here, {before} in the "
            "baseline",
            f"draw as many as in the baseline: -n {before}",
        )


def read_baseline(path: Path) -> dict[str, Any]:
    """An earlier comparison's JSON; raises DtoolError if it is none."""
    try:
        document = bounded.json_of(path)
        if not isinstance(document, dict) or not isinstance(document["entries"], list):
            raise ValueError("no entries")
        for entry in document["entries"]:
            key(entry)
            known(entry)
    except OSError as error:
        raise DtoolError(f"cannot read {path}: {error.strerror}", "give the JSON file of a comparison") from error
    except bounded.UnreadableError as error:
        raise DtoolError(f"{path} is no comparison: {error}", "give a JSON file that dtool compare wrote") from error
    except UsageError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DtoolError(f"{path} is no comparison", "give a JSON file that dtool compare wrote") from error
    return document


def key(entry: Mapping[str, Any]) -> Key:
    """By what an entry is found again in another comparison: the recipe in its shortest form, and its steps."""
    return str(entry["recipe"]), int(entry["steps"])


def comparable(figure: str, n: int | None, before: int | None) -> bool:
    """Whether a figure of n images can be held against the same of another number, as far as both are known.

    The solver's error is that of the first few images; of metrics, those whose mean depends on n cannot.
    """
    if n is None or before is None or figure in STEADY:
        return True
    return min(n, SOLVED) == min(before, SOLVED) if figure in OF_SOLVER else n == before


def known(entry: Mapping[str, Any]) -> dict[str, Known]:
    """Every figure of an entry by name: those of quality, of the solver's error, and of time.

    One that was measured and is no number, which JSON cannot hold, is NaN. No error at all has no PSNR.
    """
    found = {str(name): _known(figure, "value") for name, figure in (entry.get("figures") or {}).items()}
    solver = entry.get("solver") or {}
    if "rmse" in solver:
        found["rmse"] = _known(solver, "rmse")
    if "psnr" in solver and not (solver["psnr"] is None and solver.get("rmse") == 0):
        found["psnr"] = _known({"psnr": solver["psnr"]}, "psnr")
    for name in OF_ALL:
        if name in entry:
            ends = {end: entry.get(f"{name}_{end}") for end in ("low", "high")}
            found[name] = _known({name: entry[name], **ends}, name)
    return found


def _known(figure: Mapping[str, Any], name: str) -> Known:
    value = nan if figure[name] is None else float(figure[name])
    low, high = (value if figure.get(end) is None else float(figure[end]) for end in ("low", "high"))
    return Known(value, min(low, value), max(high, value))


def _skipped(document: Mapping[str, Any], figure: str) -> str:
    """Why nothing has this figure, as the comparison says it; "" if it does not."""
    if figure in OF_SOLVER:
        return next((str(e["why_no_solver"]) for e in document["entries"] if e.get("why_no_solver")), "")
    metrics = document.get("metrics") or []
    return next((str(m["skipped"]) for m in metrics if m.get("name") == figure and m.get("skipped")), "")
