"""page(...): a comparison's document and its pictures as one HTML file that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np

from dtool.compare.run import SOLVED
from dtool.errors import DtoolError, UsageError
from dtool.report import charts, earlier, figures, pictures, table
from dtool.report.values import finite, number, plain, script_hash, script_json, seconds

VENDOR = ("vega.min.js", "vega-lite.min.js", "vega-embed.min.js")
SCRIPTS = ("base.js", "scroll.js", "sprites.js", "grid.js", "viewer.js", "charts.js", "table.js", "main.js")
STYLES = ("base.css", "images.css", "figures.css", "print.css")
FORMAT = 2


def page(document: dict[str, Any], images: Any, traces: Sequence[Any] | None = None) -> str:
    """The whole page as text, in UTF-8: styles, scripts and pictures inside; it asks no network for anything.

    document: what `dtool compare` writes as JSON. images (rows, k, *shape): the first k samples of each of its entries,
    in its data range. traces: None, or for each entry None or `x` (steps+1, k, *shape) and `x0` (steps, k, *shape) of
    its run, as a mapping or as `dtool.Samples.trace`.
    Raises UsageError for another format or arrays that do not fit the document, DtoolError without Jinja2 and Altair.
    """
    environment = _environment()
    known = _checked(document)
    arrays = _images(known, images)
    shown = table.columns(known)
    picture = pictures.is_picture(arrays.shape[2:]) and arrays.size > 0
    parts = {
        "solver": figures.solver(known),
        "law": figures.law(known),
        "schedules": figures.schedules(known),
        "timing": figures.timing(known),
        "samples": None if picture else figures.not_pictures(known, arrays),
    }
    sheet = pictures.sprites(known, arrays, traces) if picture else None
    scripts = [_vendored(name) for name in VENDOR] + [_own_script()]
    labels, colours = charts.labels(known["entries"]), charts.colours(known["entries"])
    data = {
        "document": known, "labels": labels, "pictures": sheet, "charts": parts, "table": table.exported(known, shown)
    }  # fmt: skip
    text: str = environment.get_template("page.html").render(
        document=known, columns=shown, groups=_groups(shown), sheet=sheet, parts=parts, heads=_heads(known, arrays),
        labels=labels, colours=colours, recipes=_recipes(known, colours), earlier=earlier.compared(known),
        solved=_solved(known),
        data=script_json(data), scripts=scripts, styles="\n".join(_asset(name) for name in STYLES),
        policy=_policy(scripts), notice=_file("vendor", "NOTICE"),
    )  # fmt: skip
    return text


def require_packages() -> None:
    """Raise DtoolError now if what the page needs is not installed: before an hour of drawing, not after it."""
    charts.altair()
    try:
        import jinja2  # noqa: F401 - whether it is there
    except ImportError as error:
        raise DtoolError("the page needs Altair and Jinja2", "pip install 'dtool-diffusion[report]'") from error


def _environment() -> Any:
    """Jinja2 with everything escaped; raises DtoolError if it, or Altair, is not installed."""
    require_packages()
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        loader=jinja2.FunctionLoader(lambda name: _file("templates", name)),
    )  # fmt: skip
    environment.filters.update(number=number, seconds=seconds)
    return environment


def _checked(document: dict[str, Any]) -> dict[str, Any]:
    """The document as plain data, with every part that a page looks for."""
    if document.get("format") != FORMAT:
        hint = f"make it again with this dtool, which writes format {FORMAT}"
        raise UsageError(f"the comparison is of format {document.get('format')!r}", hint)
    if not document.get("entries"):
        raise UsageError("the comparison has no entries", "compare one recipe or more")
    empty: dict[str, Any] = {
        "command": "", "made": "", "verdict": "", "n": None, "seed": None, "repeats": None, "backend": "", "device": "",
        "model": "", "class_names": [], "labels": None, "ids": None, "machine": {}, "versions": {}, "plugins": [],
        "reference": None, "data": None, "metrics": [], "schedules": [], "rmse": [], "baseline": None,
    }  # fmt: skip
    known: dict[str, Any] = empty | plain(document)
    for entry in known["entries"]:
        entry["name"], entry["steps"] = str(entry.get("name") or entry.get("recipe") or "?"), entry.get("steps")
    return known


def _images(document: dict[str, Any], images: Any) -> Any:
    arrays = np.asarray(images, dtype=np.float32)
    rows = len(document["entries"])
    if arrays.ndim < 2 or len(arrays) != rows:
        raise UsageError(
            f"images of shape {arrays.shape} are not those of {rows} entries", "give (rows, k, *shape), a row an entry"
        )
    return arrays


def _groups(columns: list[table.Column]) -> list[tuple[str, int]]:
    """Neighbouring columns of the same group: (title, how many)."""
    found: list[tuple[str, int]] = []
    for column in columns:
        if found and found[-1][0] == column.group:
            found[-1] = (column.group, found[-1][1] + 1)
        else:
            found.append((column.group, 1))
    return found


def _recipes(document: dict[str, Any], colours: list[int]) -> list[tuple[str, int]]:
    """Each recipe's name and colour, once."""
    return list({entry["name"]: colour for entry, colour in zip(document["entries"], colours, strict=True)}.items())


def _heads(document: dict[str, Any], images: Any) -> list[dict[str, str]]:
    """What each row of the image grid is called: the number of its noise, and its class."""
    ids, labels, names = document["ids"] or [], document["labels"] or [], document["class_names"] or []
    heads = []
    for i in range(min(images.shape[1], pictures.IMAGES)):
        label = finite(labels[i]) if i < len(labels) else None
        named = label is not None and 0 <= label < len(names)
        kind = "" if label is None or label < 0 else str(names[int(label)]) if named else f"{label:.0f}"
        heads.append({"id": str(ids[i] if i < len(ids) else i), "class": kind})
    return heads


def _solved(document: dict[str, Any]) -> int | None:
    """Of how many images the solver's error is, None if there is none or that is not known."""
    measured = any(entry.get("solver") for entry in document["entries"])
    return min(int(document["n"]), SOLVED) if measured and document["n"] is not None else None


def _policy(scripts: list[str]) -> str:
    """A content security policy: these scripts and no others, pictures from data: URIs, and no network at all."""
    hashes = " ".join(script_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _own_script() -> str:
    body = "\n".join(_asset(name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{body}\n}})();'


def _asset(name: str) -> str:
    return _file("assets", name)


def _vendored(name: str) -> str:
    """A vendored script, without the last line that would have a debugger fetch its source map."""
    return re.sub(r"\n//# sourceMappingURL=\S+\s*$", "\n", _file("vendor", name))


def _file(folder: str, name: str) -> str:
    text = resources.files("dtool.report").joinpath(folder, name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")
