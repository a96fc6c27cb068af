"""A comparison as one picture: a row a recipe, the same image in each column."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from dtool.compare.picture import Row, labelled, pixels
from dtool.compare.result import Comparison, Entry


def picture(found: Comparison, columns: int = 12, class_names: Sequence[str] = ()) -> Image.Image:
    """The first `columns` images of every row, labelled; raises UsageError if the samples are no pictures."""
    count = min(columns, found.n)
    shown = found.quality is not None and found.quality.enough
    rows = []
    for i, entry in enumerate(found.entries):
        last = i + 1 == len(found.entries) or found.entries[i + 1].name != entry.name
        tiles = pixels(found.images[i, :count], found.data_range)
        rows.append(Row(entry.name, _note(entry, shown), tiles, gap=14 if last else 3))
    foot = f"every column starts from the same noise; seed {found.seed}, n = {found.n}"
    if count < found.n:
        foot += f", the first {count} shown"
    if shown and found.quality is not None:
        foot += f"; FD: Frechet distance of pooled pixels ({found.quality.floor:.2g}: n random draws of the reference)"
    heads = [_head(found, i, class_names) for i in range(count)]
    return labelled(rows, heads, "The same noise, sampled differently", foot)


def _note(entry: Entry, quality: bool) -> str:
    text = f"{entry.steps} steps, {entry.calls} calls"
    return f"{text}, FD {entry.quality:.3g}" if quality and entry.quality is not None else text


def _head(found: Comparison, i: int, class_names: Sequence[str]) -> str:
    if found.labels is None:
        return f"image {i}"
    label = int(found.labels[i])
    return f"class {class_names[label] if label < len(class_names) else label}"
