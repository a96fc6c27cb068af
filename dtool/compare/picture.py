"""A comparison as one picture: one row per recipe, the same image in each column."""

from __future__ import annotations

from textwrap import shorten

from PIL import Image

from dtool.compare.result import Comparison, ComparisonEntry, MetricSummary, format_calls
from dtool.util.pictures import TileRow, draw_labelled_grid, get_max_tiles, is_picture, to_pixels

HEAD = 26  # letters of a prompt above a column


def draw_picture(comparison: Comparison, columns: int = 12) -> Image.Image:
    """The first `columns` images of every row, labelled, or as many as the picture has room for.

    Raises UsageError if the samples are no pictures.
    """
    shape = comparison.images.shape[2:]
    room = get_max_tiles(shape, 64) if is_picture(shape) else columns
    entries = comparison.entries[:room]
    count = max(1, min(columns, comparison.n, room // len(entries)))
    summary = next((a for a in comparison.metrics if a.skipped is None), None)
    rows = []
    for i, entry in enumerate(entries):
        last = i + 1 == len(entries) or entries[i + 1].name != entry.name
        tiles = to_pixels(comparison.images[i, :count], comparison.data_range)
        rows.append(TileRow(name=entry.name, note=_format_note(entry, summary), tiles=tiles, gap=14 if last else 3))
    foot = f"every column starts from the same noise; seed {comparison.seed}, n = {comparison.n}"
    if count < comparison.n:
        foot += f", the first {count} shown"
    if len(entries) < len(comparison.entries):
        foot += f"; the first {len(entries)} of {len(comparison.entries)} rows"
    if summary is not None:
        foot += f"; {summary.name}: {summary.title}"
        foot += "" if summary.null_mean is None else f" (real images among themselves: {summary.null_mean:.2g})"
    heads = [_format_head(comparison, i) for i in range(count)]
    return draw_labelled_grid(rows, heads, "The same noise, sampled differently", foot)


def _format_note(entry: ComparisonEntry, summary: MetricSummary | None) -> str:
    text = f"{entry.steps} steps, {format_calls(entry.calls, entry.evaluations)}"
    figure = None if summary is None else entry.figures.get(summary.name)
    return text if summary is None or figure is None else f"{text}, {summary.name} {figure.value:.3g}"


def _format_head(comparison: Comparison, i: int) -> str:
    for prompt in comparison.told.take_prompts([int(comparison.ids[i])]):
        return shorten(prompt, HEAD, placeholder=" …") if prompt else "no prompt"
    if comparison.labels is None:
        return f"image {i}"
    label, class_names = int(comparison.labels[i]), comparison.class_names
    if label < 0:
        return "no class"
    return f"class {class_names[label] if label < len(class_names) else label}"
