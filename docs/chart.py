"""A convergence picture as a few lines of SVG: the same bytes wherever the figures are the same."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10

WIDTH, HEIGHT = 520, 340
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 30, 62
INK, FAINT, LINE = "#1c1c1e", "#6b6b70", "#d9d9de"

Points = Sequence[tuple[int, float]]


def svg(title: str, lines: Sequence[tuple[str, str, Points, bool]], x_label: str) -> str:
    """A chart of (name, colour, (steps, error) pairs, dashed), both axes logarithmic."""
    every = [(n, e) for _, _, points, _ in lines for n, e in points]
    steps = sorted({n for _, _, points, dashed in lines if not dashed for n, _ in points})
    low, high = floor(log10(min(e for _, e in every))), ceil(log10(max(e for _, e in every)))
    first, last = log10(steps[0]), log10(steps[-1])

    def place(n: float, e: float) -> tuple[int, int]:
        across = (log10(n) - first) / (last - first)
        down = (high - log10(e)) / (high - low)
        return round(LEFT + across * (WIDTH - LEFT - RIGHT)), round(TOP + down * (HEIGHT - TOP - BOTTOM))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, TOP - 11, title, INK, 14),
    ]
    for decade in range(low, high + 1, max(1, ceil((high - low) / 6))):
        _, y = place(steps[0], 10.0**decade)
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="{LINE}"/>')
        parts.append(_text(LEFT - 7, y + 4, f"{10.0**decade:g}" if decade > -4 else f"1e{decade}", FAINT, 12, "end"))
    for n in (n for n in steps if n & (n - 1) == 0):
        x, _ = place(n, 1.0)
        parts.append(f'<path d="M{x} {TOP}V{HEIGHT - BOTTOM}" stroke="{LINE}"/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 16, str(n), FAINT, 12, "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) // 2, HEIGHT - BOTTOM + 34, x_label, FAINT, 12, "middle"))
    across = LEFT
    for name, colour, points, dashed in lines:
        parts += _curve([place(n, e) for n, e in points], colour, dashed)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        parts.append(f'<path d="M{across} {HEIGHT - 14}h22" stroke="{colour}" stroke-width="2"{dash}/>')
        parts.append(_text(across + 28, HEIGHT - 10, name, INK, 12))
        across += 50 + 7 * len(name)
    return "\n".join([*parts, "</svg>", ""])


def _curve(places: Sequence[tuple[int, int]], colour: str, dashed: bool) -> list[str]:
    path = " ".join(f"{x},{y}" for x, y in places)
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    dots = [] if dashed else [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>', *dots]


def _text(x: int, y: int, text: str, colour: str, size: int, anchor: str = "start") -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x}" y="{y}" fill="{colour}" font-size="{size}" text-anchor="{anchor}">{text}</text>'
