"""What `dtool compare` shows and writes: the table, a picture, a page, a document."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.cli.output import Column, number, remark, say, table
from dtool.cli.pictures import require_own, saving
from dtool.errors import UsageError
from dtool.files import Writing, require_apart, require_writable

if TYPE_CHECKING:
    from dtool.compare.drawing import Tell
    from dtool.compare.parts import Parts
    from dtool.compare.result import Comparison, Entry

SHOWN = 4  # metrics in the table
KINDS = (".png", ".html", ".json")
PICTURE = Path("compare.png")  # where nothing else is said


@dataclass
class Outputs:
    """The files that were asked for, by kind; `writing` knows those that there are in the end."""

    picture: Path | None = None
    page: Path | None = None
    document: Path | None = None
    writing: Writing = field(default_factory=Writing)

    @classmethod
    def of(cls, paths: Sequence[Path] | None, inputs: Sequence[Path | str | None] = ()) -> Outputs:
        """The files that were named, or the one that is written if none is; inputs: what is read.

        Raises UsageError for a kind that is none, two of a kind, one that is an input, or of somebody else's making
        where none was named; DtoolError if one could not be written.
        """
        if not paths:
            require_own(PICTURE, f"name another, with -o (-o {PICTURE} replaces it)")
            paths = [PICTURE]
        require_apart(paths, inputs)
        found: dict[str, Path] = {}
        for path in paths:
            kind = path.suffix.lower()
            if kind not in KINDS:
                raise UsageError(f"{path}: not a kind of output", "end its name in .png, .html or .json")
            if kind in found:
                raise UsageError(f"{found[kind]} and {path} are both {kind[1:]}", "give one of each kind")
            found[kind] = path
            require_writable(path)
        if ".html" in found:
            from dtool.report import require_packages

            require_packages()
        picture, page, document = (found.get(kind) for kind in KINDS)
        return cls(picture, page, document)

    @property
    def first(self) -> Path:
        """The file that the others are beside."""
        return next(path for path in (self.page, self.document, self.picture) if path is not None)

    @property
    def parts(self) -> Path:
        """The folder for images as they come."""
        return self.first.with_name(f".{self.first.stem}.parts")

    @property
    def drawn(self) -> bool:
        """Whether the picture was written: only pictures can be."""
        return "picture" in self.writing.written

    @property
    def written(self) -> list[Path]:
        """The files that there are in the end."""
        there = self.writing.written
        return [there[kind] for kind in ("picture", "page", "document") if kind in there]

    @contextmanager
    def kept(self, quiet: bool) -> Iterator[Parts]:
        """Where images are kept as they come, held against other comparisons, and removed after a good end.

        Raises DtoolError if another comparison with these outputs is running. After any other end it is said what is
        kept.
        """
        from dtool.compare.parts import Parts

        with Parts(self.parts).locked() as parts:
            try:
                yield parts
            except BaseException:
                if parts.there:
                    remark(f"the images drawn so far are in {self.parts}: the same command goes on from there")
                raise
            parts.clear()
            if self.parts.exists():
                remark(f"{self.parts} keeps what another comparison has drawn, which did not come to its end", quiet)

    def write(self, found: Comparison, model: str | None, old: dict[str, Any] | None) -> dict[str, Any]:
        """Write all that was asked for, the figures first; returns the document. `writing.finish` tells of failures."""
        from dtool.compare.document import document
        from dtool.compare.report import picture
        from dtool.picture import is_picture

        made = document(found, command=_command(), model=model or "the network inside the package", baseline=old)
        if self.document is not None:
            self._text("document", self.document, lambda: json.dumps(made, indent=2, ensure_ascii=False) + "\n")
        if self.page is not None:
            self._text("page", self.page, lambda: _page(made, found))
        if self.picture is not None and is_picture(found.shape):
            about = {"command": made["command"], "n": found.n, "seed": found.seed}
            self.writing.add("picture", self.picture, saving(lambda: picture(found), **about))
        return made

    def _text(self, kind: str, path: Path, make: Callable[[], str]) -> None:
        self.writing.add(kind, path, lambda temporary: temporary.write_text(make(), "utf-8"))


def _page(made: dict[str, Any], found: Comparison) -> str:
    """The report of the images whose steps were kept."""
    from dtool.report import page

    count = len(found.traces[0].x0[0]) if found.traces else min(16, found.n)
    return page(made, found.images[:, :count], list(found.traces))


@contextmanager
def progress_of(quiet: bool) -> Iterator[Tell | None]:
    """A function (done, total, what) that moves a bar on stderr: what is being done, and how long it still takes."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("comparing", total=None)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what or "comparing")


def show(found: Comparison, old: dict[str, Any] | None, quiet: bool) -> None:
    """The table, what its cells mean, the distances between recipes, the verdict, and what could not be measured."""
    known = [about for about in found.metrics if about.skipped is None][:SHOWN]
    heads = ["#", "recipe", "steps", "calls", "seconds", "images/s", "RMSE to ODE", *(about.name for about in known)]
    columns = [
        Column(head, head != "recipe", fold=head == "recipe")
        for head in [*heads, *(f"z of {about.name}" for about in known[:1])]
    ]
    rows = []
    for i, entry in enumerate(found.entries, 1):
        cells = [str(i), entry.name, str(entry.steps), str(entry.calls), number(entry.seconds)]
        cells += [number(entry.images_per_second), _solver(entry)]
        figures = [entry.figures.get(about.name) for about in known]
        cells += ["-" if f is None else _with_interval(f.value, f.low, f.high) for f in figures]
        if known:
            first = figures[0]
            cells.append("-" if first is None or first.z is None else f"{first.z:+.1f}")
        rows.append(cells)
    table(columns, rows, title=f"n = {found.n}, seed {found.seed}, {found.backend} on {found.device}")
    for line in _legend(found):
        remark(line, quiet)
    if 1 < len(found.entries) <= 12:
        numbers = [Column("#", True)] + [Column(str(i), True) for i in range(1, len(rows) + 1)]
        cells_of = [[str(i)] + [f"{v:.2f}" for v in row] for i, row in enumerate(found.rmse.tolist(), 1)]
        say()
        table(numbers, cells_of, title="root mean square difference of their images, from the same noise")
    say()
    say(found.verdict)
    remark("\n".join(_remarks(found, old)), quiet)


def _legend(found: Comparison) -> Iterator[str]:
    """What the column of the solver's error says, where it does not say it itself."""
    from dtool.compare.run import SOLVED

    errors = [entry.solver for entry in found.entries if entry.solver is not None]
    if errors and found.n > SOLVED:
        yield f"RMSE to ODE is that of the first {SOLVED} of the {found.n} images"
    if not all(error.judged for error in errors):
        yield "(in parentheses): cannot be judged, the solution's own error is not ten times smaller"


def _remarks(found: Comparison, old: dict[str, Any] | None) -> Iterator[str]:
    for about in found.metrics:
        if about.skipped is not None:
            yield f"{about.name}: {about.skipped}"
    for about in found.metrics[:1]:
        if about.skipped is None and about.null_mean is not None:
            yield f"{about.name}: {about.title}; real images among themselves score {about.null_mean:.3g}"
    if found.data is not None:
        yield f"measured against {found.data.name} ({found.data.count} images)"
    else:
        yield "law error: there is nothing to measure against (give --data)"
    if found.solution is not None:
        yield f"ODE: {found.solution.recipe}, {found.solution.steps} steps, itself off by {found.solution.error:.1e}"
    elif found.why_no_solution:
        yield f"solver error: {found.why_no_solution}"
    reasons = {entry.why_no_solver for entry in found.entries if entry.why_no_solver}
    yield from (f"RMSE to ODE: {reason}" for reason in sorted(reasons))
    if old is not None:
        yield f"baseline: n = {old.get('n')}, seed {old.get('seed')}"


def _solver(entry: Entry) -> str:
    error = entry.solver
    if error is None:
        return "-"
    text = _with_interval(error.rmse, error.low, error.high)
    return text if error.judged else f"({text})"


def _with_interval(value: float, low: float | None, high: float | None) -> str:
    """`0.123 ±0.004`: half the width of the interval."""
    reach = 0.0 if low is None or high is None else (high - low) / 2
    return number(value) if not reach > 0 else f"{number(value)} ±{reach:.1g}"


def _command() -> str:
    return shlex.join(["dtool", *sys.argv[1:]])
