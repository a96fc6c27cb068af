"""Where the bits of a bound go, as a picture: step by step, summed up, and what they buy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtool.cli.show.plot import DASH, Array, Panel, PlotLine, draw_figure, pick_colour

if TYPE_CHECKING:
    from dtool.likelihood import Bound

MARKED = 60  # steps up to which each gets a dot
LAST, BAND = "L_0, the image itself", "± 2 standard errors"
ACROSS = "log-SNR where the step begins, noise at the left"


def draw_picture(bound: Bound, data_range: tuple[float, float]) -> Any:
    """Three panels: bits of each step against log-SNR; bits so far, from noise to image; distortion against rate.

    Against t, nearly all of it would stand on the frame: in most schedules the bits are in the first few times.
    """
    snr, so_far = _fill_infinite(2 * bound.lam), np.cumsum(bound.per_image.mean(axis=1))
    rmse = 255 / (data_range[1] - data_range[0]) * np.sqrt(bound.mse)
    steps = _make_curve(bound, snr, so_far[:-1])
    panels = [
        Panel(title="bits/dim of each step (log scale)", lines=_make_step_lines(bound, snr), x_label=ACROSS, log=True),
        Panel(
            title="bits/dim so far",
            lines=[steps, _make_dot(snr[-1:], so_far[-1:])],
            x_label=ACROSS,
            low=min(0.0, float(so_far.min())),
        ),
        Panel(
            title="rmse of the predicted image, of 255",
            lines=[_make_curve(bound, so_far[:-1], rmse)],
            x_label="bits/dim so far",
            low=0.0,
        ),
    ]
    total = f"{bound.total:.3f}" + (f" ± {bound.se:.3f}" if bound.n > 1 else "")
    note = f"L_T {bound.prior:.4f} · {bound.steps - 1} steps {bound.rate:.4f} · L_0 {bound.decoder:.4f} · n = {bound.n}"
    return draw_figure(panels, f"Where the bits go: {total} bits/dim, variance {bound.variance}", note)


def _make_step_lines(bound: Bound, snr: Array) -> list[PlotLine]:
    """The terms between L_T and L_0 with their errors, and L_0."""
    mean = bound.per_image.mean(axis=1)
    lines: list[PlotLine] = []
    if bound.n > 1 and bound.steps > 1:
        error = bound.per_image.std(axis=1, ddof=1) / np.sqrt(bound.n)
        ends = [(mean + side * error)[1:-1] for side in (-2, 2)]
        lines += [PlotLine(name=BAND, x=snr[:-1], y=end, colour=pick_colour(5), dash=DASH) for end in ends]
    if bound.steps > 1:
        lines.append(_make_curve(bound, snr[:-1], mean[1:-1]))
    return [*lines, _make_dot(snr[-1:], mean[-1:])]


def _make_curve(bound: Bound, x: Array, y: Array) -> PlotLine:
    return PlotLine(name="the steps", x=x, y=y, colour=pick_colour(0), dots=(x, y) if bound.steps <= MARKED else None)


def _make_dot(x: Array, y: Array) -> PlotLine:
    return PlotLine(name=LAST, x=x, y=y, colour=pick_colour(1), dots=(x, y))


def _fill_infinite(snr: Array) -> Array:
    """log-SNR with a place for the level that has no signal: two units left of the next."""
    finite = snr[np.isfinite(snr)]
    return np.where(np.isfinite(snr), snr, finite[0] - 2 if finite.size else 0.0)
