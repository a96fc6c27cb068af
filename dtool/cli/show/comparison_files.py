"""The files that `dtool compare` writes: a picture, a page, a document."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.cli.show.output import remark
from dtool.cli.show.pictures import make_saver, require_own
from dtool.errors import UsageError
from dtool.util.files import OutputWriter, require_distinct_files, require_writable

if TYPE_CHECKING:
    from dtool.compare.kept_images import ImageCache
    from dtool.compare.result import Comparison

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
