"""What `dtool compare` shows and writes: the table, a picture, a page, a document."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.cli.show.output import Column, format_number, print_table, remark, say
from dtool.cli.show.pictures import make_saver, require_own
from dtool.errors import UsageError
from dtool.util.files import OutputWriter, require_distinct_files, require_writable

if TYPE_CHECKING:
    from dtool.compare.drawing import LabelledProgress
    from dtool.compare.kept_images import ImageCache
    from dtool.compare.result import Comparison, ComparisonEntry

SHOWN = 4  # metrics in the table
KINDS = (".png", ".html", ".json")
WHO_AND_WHERE = ("--workers", "--part", "--parts", "--into", "-o", "--output")  # flags that change no figure
PICTURE = Path("compare.png")  # where nothing else is said


@dataclass
class OutputFiles:
    """The files that were asked for, by kind; `writer` knows those that there are in the end."""

    picture: Path | None = None
    page: Path | None = None
    document: Path | None = None
    writer: OutputWriter = field(default_factory=OutputWriter)

    @classmethod
    def of(cls, paths: Sequence[Path] | None, inputs: Sequence[Path | str | None] = ()) -> OutputFiles:
        """The files that were named, or the one that is written if none is; inputs: what is read.

        Raises UsageError for a kind that is none, two of a kind, one that is an input, or of somebody else's making
        where none was named; DtoolError if one could not be written.
        """
        if not paths:
            require_own(PICTURE, f"name another, with -o (-o {PICTURE} replaces it)")
            paths = [PICTURE]
        require_distinct_files(paths, inputs)
        files: dict[str, Path] = {}
        for path in paths:
            kind = path.suffix.lower()
            if kind not in KINDS:
                raise UsageError(f"{path}: not a kind of output", "end its name in .png, .html or .json")
            if kind in files:
                raise UsageError(f"{files[kind]} and {path} are both {kind[1:]}", "give one of each kind")
            files[kind] = path
            require_writable(path)
        if ".html" in files:
            from dtool.report import require_packages

            require_packages()
        picture, page, document = (files.get(kind) for kind in KINDS)
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
    def has_picture(self) -> bool:
        """Whether the picture was written: only pictures can be."""
        return "picture" in self.writer.paths

    @property
    def written_files(self) -> list[Path]:
        """The files that there are in the end."""
        there = self.writer.paths
        return [there[kind] for kind in ("picture", "page", "document") if kind in there]

    @contextmanager
    def open_cache(self, quiet: bool) -> Iterator[ImageCache]:
        """Where images are kept as they come, held against other comparisons, and removed after a good end.

        Raises DtoolError if another comparison with these outputs is running. After any other end it is said what is
        kept.
        """
        from dtool.compare.kept_images import ImageCache

        with ImageCache(self.parts).lock() as parts:
            try:
                yield parts
            except BaseException:
                if parts.has_images:
                    remark(f"the images drawn so far are in {self.parts}: the same command goes on from there")
                raise
            parts.clear()
            if self.parts.exists():
                remark(f"{self.parts} keeps what another comparison has drawn, which did not come to its end", quiet)

    def write(self, comparison: Comparison, model: str | None, old: dict[str, Any] | None) -> dict[str, Any]:
        """Write all that was asked for, the figures first; returns the document. `writing.finish` tells of failures."""
        from dtool.compare.document import make_document
        from dtool.compare.picture import draw_picture
        from dtool.util.pictures import is_picture

        document = make_document(
            comparison,
            command=_format_command(timed=comparison.repeats > 0),
            model=model or "the network inside the package",
            baseline=old,
        )
        if self.document is not None:
            self._write_text(
                "document", self.document, lambda: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
            )
        if self.page is not None:
            self._write_text("page", self.page, lambda: _render_page(document, comparison))
        if self.picture is not None and is_picture(comparison.shape):
            about = {"command": document["command"], "n": comparison.n, "seed": comparison.seed}
            self.writer.add("picture", self.picture, make_saver(lambda: draw_picture(comparison), **about))
        return document

    def _write_text(self, kind: str, path: Path, make: Callable[[], str]) -> None:
        self.writer.add(kind, path, lambda temporary: temporary.write_text(make(), "utf-8"))


def _render_page(document: dict[str, Any], comparison: Comparison) -> str:
    """The report of the images whose steps were kept."""
    from dtool.report import render_page

    count = len(comparison.traces[0].x0[0]) if comparison.traces else min(16, comparison.n)
    decode = None if comparison.codec is None else comparison.codec.decode
    return render_page(document, comparison.images[:, :count], list(comparison.traces), decode)


@contextmanager
def show_task_progress(quiet: bool) -> Iterator[LabelledProgress | None]:
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


def show(comparison: Comparison, old: dict[str, Any] | None, quiet: bool) -> None:
    """The table, what its cells mean, the distances between recipes, the verdict, and what could not be measured."""
    from dtool.compare.entry_identity import describe_guidance

    metrics = [about for about in comparison.metrics if about.skipped is None][:SHOWN]
    guided = any(describe_guidance(entry.guidance, entry.scale) != "none" for entry in comparison.entries)
    heads = ["#", "recipe", *["guidance"] * guided, "steps", "calls", *["evaluations"] * guided]
    heads += ["seconds", "images/s", "RMSE to ODE", *(about.name for about in metrics)]
    columns = [
        Column(head, head not in ("recipe", "guidance"), fold=head == "recipe")
        for head in [*heads, *(f"z of {about.name}" for about in metrics[:1])]
    ]
    rows = []
    for i, entry in enumerate(comparison.entries, 1):
        cells = [str(i), entry.name, *[describe_guidance(entry.guidance, entry.scale)] * guided]
        cells += [str(entry.steps), str(entry.calls), *[str(entry.evaluations)] * guided]
        times = (entry.seconds, entry.images_per_second)
        cells += [*("-" if isnan(time) else format_number(time) for time in times), _format_solver(entry)]
        figures = [entry.figures.get(about.name) for about in metrics]
        cells += ["-" if f is None else _format_interval(f.value, f.low, f.high) for f in figures]
        if metrics:
            first = figures[0]
            cells.append("-" if first is None or first.z is None else f"{first.z:+.1f}")
        rows.append(cells)
    print_table(
        columns, rows, title=f"n = {comparison.n}, seed {comparison.seed}, {comparison.backend} on {comparison.device}"
    )
    for line in _write_legend(comparison):
        remark(line, quiet)
    if 1 < len(comparison.entries) <= 12:
        numbers = [Column("#", True)] + [Column(str(i), True) for i in range(1, len(rows) + 1)]
        cells_of = [[str(i)] + [f"{v:.2f}" for v in row] for i, row in enumerate(comparison.rmse.tolist(), 1)]
        say()
        print_table(numbers, cells_of, title="root mean square difference of their images, from the same noise")
    say()
    say(comparison.verdict)
    remark("\n".join(_collect_remarks(comparison, old)), quiet)


def _write_legend(comparison: Comparison) -> Iterator[str]:
    """What the column of the solver's error says, where it does not say it itself."""
    from dtool.compare.run import SOLVER_IMAGES

    errors = [entry.solver for entry in comparison.entries if entry.solver is not None]
    if errors and comparison.n > SOLVER_IMAGES:
        yield f"RMSE to ODE is that of the first {SOLVER_IMAGES} of the {comparison.n} images"
    if not all(error.judged for error in errors):
        yield "(in parentheses): cannot be judged, the solution's own error is not ten times smaller"


def _collect_remarks(comparison: Comparison, old: dict[str, Any] | None) -> Iterator[str]:
    for about in comparison.metrics:
        if about.skipped is not None:
            yield f"{about.name}: {about.skipped}"
    for about in comparison.metrics[:1]:
        if about.skipped is None and about.null_mean is not None:
            yield f"{about.name}: {about.title}; real images among themselves score {about.null_mean:.3g}"
    if comparison.data is not None:
        yield f"measured against {comparison.data.name} ({comparison.data.count} images)"
    else:
        yield "law error: there is nothing to measure against (give --data)"
    if comparison.solution is not None:
        solution = comparison.solution
        start = comparison.find_solution_start()
        where = "" if start is None else f" from t = {start:g}"
        yield f"ODE: {solution.recipe}, {solution.steps} steps{where}, itself off by {solution.error:.1e}"
    elif comparison.why_no_solution:
        yield f"solver error: {comparison.why_no_solution}"
    reasons = {entry.why_no_solver for entry in comparison.entries if entry.why_no_solver}
    yield from (f"RMSE to ODE: {reason}" for reason in sorted(reasons))
    if old is not None:
        from dtool.compare.entry_identity import list_other_guidances

        yield f"baseline: n = {old.get('n')}, seed {old.get('seed')}"
        yield from list_other_guidances(comparison.to_dict(), old)


def _format_solver(entry: ComparisonEntry) -> str:
    error = entry.solver
    if error is None:
        return "-"
    text = _format_interval(error.rmse, error.low, error.high)
    return text if error.judged else f"({text})"


def _format_interval(value: float, low: float | None, high: float | None) -> str:
    """`0.123 ±0.004`: half the width of the interval."""
    reach = 0.0 if low is None or high is None else (high - low) / 2
    return format_number(value) if not reach > 0 else f"{format_number(value)} ±{reach:.1g}"


def _format_command(*, timed: bool) -> str:
    """The command as it was typed; of shared work without what says who did it, and where the result went."""
    if timed:
        return shlex.join(["dtool", *sys.argv[1:]])
    words, kept = iter(sys.argv[1:]), []
    for word in words:
        if word in WHO_AND_WHERE:
            next(words, None)
        elif word.partition("=")[0] not in WHO_AND_WHERE and word not in ("-q", "--quiet", "--json"):
            kept.append(word)
    return shlex.join(["dtool", *kept])
