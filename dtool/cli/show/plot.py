"""Line charts with Pillow alone: panels side by side, one legend for all; lines are drawn large and made small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dtool.util.pictures import FAINT, INK, LINE, MARGIN, PAPER, load_font, measure_text, spell_out

Array = NDArray[np.float64]
Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (0, 90, 181), (220, 50, 32), (0, 140, 100), (200, 120, 0), (136, 56, 170), (70, 160, 220), (90, 90, 90),
    (190, 40, 120), (120, 140, 30), (140, 80, 40),
)  # fmt: skip
SCALE = 4  # lines are drawn this much larger, for smooth edges
DASH, DOT = 7, 3  # pixels
INSET = 6  # pixels between the frame and the data's extremes


@dataclass(frozen=True, kw_only=True)
class PlotLine:
    """One curve (k,), broken where it is not finite. `dots` are points of their own on it, `(x, y)`.

    dash: how many pixels are drawn before as many are left out, which lets a curve that lies beneath show through.
    """

    name: str
    x: Array
    y: Array
    colour: Colour
    dots: tuple[Array, Array] | None = None
    dash: int = 0


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes. `log`: the y axis is logarithmic; values ≤ 0 are left out. `low`, `high`: its y range.

    `x_ticks`: where the x axis is marked, and with what; round numbers if nothing is said.
    """

    title: str
    lines: Sequence[PlotLine]
    x_label: str
    log: bool = False
    low: float | None = None
    high: float | None = None
    x_ticks: Sequence[tuple[float, str]] = ()


def pick_colour(index: int) -> Colour:
    """The index-th colour; they repeat after ten."""
    return PALETTE[index % len(PALETTE)]


def draw_figure(
    panels: Sequence[Panel], title: str, note: str = "", width: int = 380, height: int = 300
) -> Image.Image:
    """The panels in a row under a title, the legend of all their lines below."""
    lefts = [_left_margin(panel, height) for panel in panels]
    lines = {line.name: line for panel in panels for line in panel.lines}
    total = MARGIN + sum(left + width + MARGIN for left in lefts)
    total = max(total, 2 * MARGIN + measure_text(title, 18), 2 * MARGIN + measure_text(note, 13))
    legend = _wrap_names(list(lines), total - 2 * MARGIN)
    top = MARGIN + 28 + (22 if note else 0) + 30
    picture = Image.new("RGB", (total, top + height + 56 + 24 * len(legend) + MARGIN), PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((MARGIN, MARGIN), spell_out(title), INK, load_font(18))
    pen.text((MARGIN, MARGIN + 28), spell_out(note), FAINT, load_font(13))
    x = MARGIN
    for panel, left in zip(panels, lefts, strict=True):
        _draw_panel(picture, panel, (x + left, top, width, height))
        x += left + width + MARGIN
    _draw_legend(pen, legend, lines, top + height + 62)
    return picture


def _y_range(panel: Panel) -> tuple[float, float]:
    """The y range, in log10 if the panel is logarithmic."""
    values = [_scale_y(panel, part) for line in panel.lines for part in (line.y, line.dots[1] if line.dots else line.y)]
    every = np.concatenate(values) if values else np.array([0.0, 1.0])
    every = every[np.isfinite(every)]
    low, high = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    low = low if panel.low is None else panel.low
    high = high if panel.high is None else panel.high
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _scale_y(panel: Panel, values: Array) -> Array:
    if not panel.log:
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log10(values))


def choose_ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within low … high, about `count` of them."""
    rough = (high - low) / count
    power = 10.0 ** floor(log10(rough))
    step = min((s * power for s in (1, 2, 5, 10)), key=lambda s: abs(s - rough))
    return [i * step for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def _label_y_ticks(panel: Panel, height: int) -> list[tuple[float, str]]:
    low, high = _y_range(panel)
    if not panel.log:
        return [(t, f"{t:g}") for t in choose_ticks(low, high, max(2, height // 50))]
    stride = max(1, ceil((high - low) / 7))
    decades = range(ceil(low / stride) * stride, floor(high) + 1, stride)
    return [(float(d), f"{10.0**d:g}" if -4 < d < 4 else f"1e{d}") for d in decades]


def _left_margin(panel: Panel, height: int) -> int:
    return max((measure_text(text, 12) for _, text in _label_y_ticks(panel, height)), default=0) + 10


def _draw_panel(picture: Image.Image, panel: Panel, box: tuple[int, int, int, int]) -> None:
    """Draw one panel; `box` is left, top, width and height of the frame."""
    left, top, width, height = box
    pen = ImageDraw.Draw(picture)
    (x0, x1), (y0, y1) = _x_range(panel), _y_range(panel)
    inner_w, inner_h = width - 2 * INSET, height - 2 * INSET

    def across(x: Array) -> Array:
        return INSET + (x - x0) / (x1 - x0) * inner_w

    def down(y: Array) -> Array:
        return INSET + (y1 - y) / (y1 - y0) * inner_h

    pen.text((left, top - 8), spell_out(panel.title), INK, load_font(15), anchor="ls")
    for value, text in _label_y_ticks(panel, height):
        y = top + float(down(np.array(value)))
        pen.line([(left, y), (left + width, y)], LINE)
        pen.text((left - 6, y), spell_out(text), FAINT, load_font(12), anchor="rm")
    for value, text in panel.x_ticks or [(t, f"{t:g}") for t in choose_ticks(x0, x1, max(2, width // 75))]:
        x = left + float(across(np.array(value)))
        pen.line([(x, top), (x, top + height)], LINE)
        pen.text((x, top + height + 6), text, FAINT, load_font(12), anchor="mt")
    pen.text((left + width / 2, top + height + 26), spell_out(panel.x_label), INK, load_font(13), anchor="mt")
    ink = Image.new("RGBA", (width * SCALE, height * SCALE), (255, 255, 255, 0))
    brush = ImageDraw.Draw(ink)
    for line in panel.lines:
        _draw_curve(brush, line, across(line.x), down(_scale_y(panel, line.y)))
    for line in panel.lines:
        if line.dots:
            _draw_dots(brush, line, across(line.dots[0]), down(_scale_y(panel, line.dots[1])))
    small = ink.resize((width, height), Image.Resampling.BOX)
    picture.paste(small, (left, top), small)
    pen.rectangle([left, top, left + width, top + height], outline=FAINT)


def _x_range(panel: Panel) -> tuple[float, float]:
    low = min(float(line.x.min()) for line in panel.lines)
    high = max(float(line.x.max()) for line in panel.lines)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _draw_curve(brush: ImageDraw.ImageDraw, line: PlotLine, x: Array, y: Array) -> None:
    """A line through the finite points, broken at the others."""
    good = np.isfinite(x) & np.isfinite(y)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], good, [0]])))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        for piece in _split_dashes(x[first:last] * SCALE, y[first:last] * SCALE, line.dash):
            if len(piece) > 1:
                brush.line(piece, (*line.colour, 255), width=2 * SCALE, joint="curve")


def _split_dashes(x: Array, y: Array, dash: int) -> list[list[tuple[float, float]]]:
    """The whole polygon, or its dashes: so many pixels on, as many off, measured along the curve."""
    if not dash:
        return [list(zip(x.tolist(), y.tolist(), strict=True))]
    way = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    starts = np.arange(0, way[-1], 2 * dash * SCALE)
    pieces = []
    for start in starts:
        at = np.linspace(start, min(start + dash * SCALE, way[-1]), 8)
        pieces.append(list(zip(np.interp(at, way, x).tolist(), np.interp(at, way, y).tolist(), strict=True)))
    return pieces


def _draw_dots(brush: ImageDraw.ImageDraw, line: PlotLine, x: Array, y: Array) -> None:
    """Dots with a white edge; those of a dashed line are small, to leave what is beneath them visible."""
    for a, b in zip(x, y, strict=True):
        if np.isfinite(a) and np.isfinite(b):
            for radius, fill in ((2.25, line.colour),) if line.dash else ((4.75, PAPER), (3.5, line.colour)):
                at = [(float(v) + side * radius) * SCALE for side in (-1, 1) for v in (a, b)]
                brush.ellipse(at, (*fill, 255))


def _wrap_names(names: Sequence[str], width: int) -> list[list[str]]:
    """The legend's names in lines that fit."""
    lines: list[list[str]] = [[]]
    used = 0
    for name in names:
        need = 30 + measure_text(name, 13) + 18
        if lines[-1] and used + need > width:
            lines.append([])
            used = 0
        lines[-1].append(name)
        used += need
    return lines


def _draw_legend(pen: ImageDraw.ImageDraw, lines: list[list[str]], styles: dict[str, PlotLine], top: int) -> None:
    for row, names in enumerate(lines):
        x, y = MARGIN, top + 24 * row
        for name in names:
            on = styles[name].dash or 22
            for start in range(0, 22, 2 * on):
                pen.line([(x + start, y), (x + min(start + on, 22), y)], styles[name].colour, width=3)
            pen.text((x + 30, y), spell_out(name), INK, load_font(13), anchor="lm")
            x += 30 + measure_text(name, 13) + 18
