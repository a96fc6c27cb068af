"""A comparison as one picture: a row a recipe, the same image in each column."""

from __future__ import annotations

from PIL import Image

from dtool.compare.result import About, Comparison, Entry
from dtool.picture import Row, is_picture, labelled, most_tiles, pixels


def picture(found: Comparison, columns: int = 12) -> Image.Image:
    """The first `columns` images of every row, labelled, or as many as a picture has room for.

    Raises UsageError if the samples are no pictures.
    """
    shape = found.images.shape[2:]
    room = most_tiles(shape, 64) if is_picture(shape) else columns
    entries = found.entries[:room]
    count = max(1, min(columns, found.n, room // len(entries)))
    about = next((a for a in found.metrics if a.skipped is None), None)
    rows = []
    for i, entry in enumerate(entries):
        last = i + 1 == len(entries) or entries[i + 1].name != entry.name
        tiles = pixels(found.images[i, :count], found.data_range)
        rows.append(Row(entry.name, _note(entry, about), tiles, gap=14 if last else 3))
    foot = f"every column starts from the same noise; seed {found.seed}, n = {found.n}"
    if count < found.n:
        foot += f", the first {count} shown"
    if len(entries) < len(found.entries):
        foot += f"; the first {len(entries)} of {len(found.entries)} rows"
    if about is not None:
        foot += f"; {about.name}: {about.title}"
        foot += "" if about.null_mean is None else f" (real images among themselves: {about.null_mean:.2g})"
    heads = [_head(found, i) for i in range(count)]
    return labelled(rows, heads, "The same noise, sampled differently", foot)


def _note(entry: Entry, about: About | None) -> str:
    text = f"{entry.steps} steps, {entry.calls} calls"
    figure = None if about is None else entry.figures.get(about.name)
    return text if about is None or figure is None else f"{text}, {about.name} {figure.value:.3g}"


def _head(found: Comparison, i: int) -> str:
    if found.labels is None:
        return f"image {i}"
    label, class_names = int(found.labels[i]), found.class_names
    if label < 0:
        return "no class"
    return f"class {class_names[label] if label < len(class_names) else label}"
