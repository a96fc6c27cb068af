"""page(...): a comparison's document and its pictures as one HTML file that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np

from dtool.compare.entry_identity import list_other_guidances
from dtool.compare.run import SOLVER_IMAGES
from dtool.errors import DtoolError, UsageError
from dtool.report import charts, earlier, figures, pictures, table
from dtool.report.values import encode_script_json, format_number, format_seconds, hash_script, to_finite, to_plain

VENDOR = ("vega.min.js", "vega-lite.min.js", "vega-embed.min.js")
SCRIPTS = ("base.js", "scroll.js", "sprites.js", "grid.js", "viewer.js", "charts.js", "table.js", "main.js")
STYLES = ("base.css", "images.css", "figures.css", "print.css")
FORMAT = 2


def render_page(
    document: dict[str, Any],
    images: Any,
    traces: Sequence[Any] | None = None,
    decode: pictures.Decode | None = None,
) -> str:
    """The whole page as text, in UTF-8: styles, scripts and pictures inside; it loads nothing from any network.

    document: what `dtool compare` writes as JSON. images (rows, k, *shape): the first k samples of each of its entries,
    in its data range. traces: None, or for each entry None or `x` (steps+1, k, *shape) and `x0` (steps, k, *shape) of
    its run, as a mapping or as `dtool.Samples.trace`; decode: of traces of latents, what makes pictures of them.
    Raises UsageError for another format or arrays that do not fit the document, DtoolError without Jinja2 and Altair.
    """
    environment = _make_environment()
    content = _check_document(document)
    arrays = _check_images(content, images)
    columns = table.make_columns(content)
    picture = pictures.is_picture(arrays.shape[2:]) and arrays.size > 0
    parts = {
        "solver": figures.chart_solver_error(content),
        "law": figures.chart_law_error(content),
        "schedules": figures.chart_schedules(content),
        "timing": figures.chart_timing(content),
        "samples": None if picture else figures.chart_samples(content, arrays),
    }
    sheet = pictures.make_sprites(content, arrays, traces, decode=decode) if picture else None
    scripts = [_read_vendored(name) for name in VENDOR] + [_join_scripts()]
    labels, colours = charts.label_entries(content["entries"]), charts.assign_colours(content["entries"])
    data = {
        "document": content, "labels": labels, "pictures": sheet, "charts": parts,
        "table": table.export_rows(content, columns),
    }  # fmt: skip
    text: str = environment.get_template("page.html").render(
        document=content, columns=columns, groups=_group_columns(columns), sheet=sheet, parts=parts,
        heads=_label_rows(content, arrays), labels=labels, colours=colours, recipes=_list_recipes(content, colours),
        earlier=earlier.list_changes(content), remarks=list(list_other_guidances(content, content["baseline"] or {})),
        solved=_count_solved(content),
        data=encode_script_json(data), scripts=scripts, styles="\n".join(_read_asset(name) for name in STYLES),
        policy=_make_policy(scripts), notice=_read_file("vendor", "NOTICE"),
    )  # fmt: skip
    return text


def require_packages() -> None:
    """Raise DtoolError now if what the page needs is not installed: before an hour of sampling, not after it."""
    charts.import_altair()
    try:
        import jinja2  # noqa: F401 - whether it is there
    except ImportError as error:
        raise DtoolError("the page needs Altair and Jinja2", "pip install 'dtool-diffusion[report]'") from error


def _make_environment() -> Any:
    """Jinja2 with everything escaped; raises DtoolError if it, or Altair, is not installed."""
    require_packages()
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        loader=jinja2.FunctionLoader(lambda name: _read_file("templates", name)),
    )  # fmt: skip
    environment.filters.update(number=format_number, seconds=format_seconds)
    return environment


def _check_document(document: dict[str, Any]) -> dict[str, Any]:
    """The document as plain data, with every part that a page uses; raises UsageError for another format."""
    if document.get("format") != FORMAT:
        hint = f"make it again with this dtool, which writes format {FORMAT}"
        raise UsageError(f"the comparison is of format {document.get('format')!r}", hint)
    if not document.get("entries"):
        raise UsageError("the comparison has no entries", "compare one recipe or more")
    empty: dict[str, Any] = {
        "command": "", "made": "", "verdict": "", "n": None, "seed": None, "repeats": None, "backend": "", "device": "",
        "model": "", "class_names": [], "labels": None, "ids": None, "machine": {}, "versions": {}, "plugins": [],
        "reference": None, "data": None, "metrics": [], "schedules": [], "rmse": [], "baseline": None, "prompts": [],
    }  # fmt: skip
    content: dict[str, Any] = empty | to_plain(document)
    for entry in content["entries"]:
        entry["name"], entry["steps"] = str(entry.get("name") or entry.get("recipe") or "?"), entry.get("steps")
    return content


def _check_images(document: dict[str, Any], images: Any) -> Any:
    arrays = np.asarray(images, dtype=np.float32)
    rows = len(document["entries"])
    if arrays.ndim < 2 or len(arrays) != rows:
        raise UsageError(
            f"images of shape {arrays.shape} are not those of {rows} entries",
            "give (rows, k, *shape), one row per entry",
        )
    return arrays


def _group_columns(columns: list[table.ReportColumn]) -> list[tuple[str, int]]:
    """Neighbouring columns of the same group: (title, how many)."""
    groups: list[tuple[str, int]] = []
    for column in columns:
        if groups and groups[-1][0] == column.group:
            groups[-1] = (column.group, groups[-1][1] + 1)
        else:
            groups.append((column.group, 1))
    return groups


def _list_recipes(document: dict[str, Any], colours: list[int]) -> list[tuple[str, int]]:
    """Each recipe's name and colour, once."""
    return list({entry["name"]: colour for entry, colour in zip(document["entries"], colours, strict=True)}.items())


def _label_rows(document: dict[str, Any], images: Any) -> list[dict[str, str]]:
    """The heading of each row of the image grid: the number of its noise, its prompt and its class."""
    prompts = document["prompts"] or []
    ids, labels, names = document["ids"] or [], document["labels"] or [], document["class_names"] or []
    heads = []
    for i in range(min(images.shape[1], pictures.IMAGES)):
        label = to_finite(labels[i]) if i < len(labels) else None
        named = label is not None and 0 <= label < len(names)
        kind = "" if label is None or label < 0 else str(names[int(label)]) if named else f"{label:.0f}"
        if i < len(prompts):
            kind = " · ".join(part for part in (str(prompts[i]) or "no prompt", kind) if part)
        heads.append({"id": str(ids[i] if i < len(ids) else i), "class": kind})
    return heads


def _count_solved(document: dict[str, Any]) -> int | None:
    """How many images the solver error is measured on, None if there is none or that is not known."""
    measured = any(entry.get("solver") for entry in document["entries"])
    return min(int(document["n"]), SOLVER_IMAGES) if measured and document["n"] is not None else None


def _make_policy(scripts: list[str]) -> str:
    """A content security policy: these scripts and no others, pictures from data: URIs, and no network at all."""
    hashes = " ".join(hash_script(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _join_scripts() -> str:
    body = "\n".join(_read_asset(name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{body}\n}})();'


def _read_asset(name: str) -> str:
    return _read_file("assets", name)


def _read_vendored(name: str) -> str:
    """A vendored script, without the last line that would have a debugger fetch its source map."""
    return re.sub(r"\n//# sourceMappingURL=\S+\s*$", "\n", _read_file("vendor", name))


def _read_file(folder: str, name: str) -> str:
    text = resources.files("dtool.report").joinpath(folder, name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")
