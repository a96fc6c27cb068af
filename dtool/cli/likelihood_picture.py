"""Where the bits of a bound go, as a picture: step by step, summed up, and what they buy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtool.cli.plot import DASH, Array, Line, Panel, colour, figure

if TYPE_CHECKING:
    from dtool.likelihood import Bound

MARKED = 60  # steps up to which each gets a dot
LAST, BAND = "L_0, the image itself", "± 2 standard errors"
ACROSS = "log-SNR where the step begins, noise at the left"


def picture(found: Bound, data_range: tuple[float, float]) -> Any:
    """Three panels: bits of each step against log-SNR; bits so far, from noise to image; distortion against rate.

    Against t, nearly all of it would stand on the frame: in most schedules the bits are in the first few times.
    """
    snr, so_far = _finite(2 * found.lam), np.cumsum(found.each.mean(axis=1))
    rmse = 255 / (data_range[1] - data_range[0]) * np.sqrt(found.mse)
    steps = _curve(found, snr, so_far[:-1])
    panels = [
        Panel("bits/dim of each step (log scale)", _steps(found, snr), ACROSS, log=True),
        Panel("bits/dim so far", [steps, _dot(snr[-1:], so_far[-1:])], ACROSS, low=min(0.0, float(so_far.min()))),
        Panel("rmse of the predicted image, of 255", [_curve(found, so_far[:-1], rmse)], "bits/dim so far", low=0.0),
    ]
    total = f"{found.total:.3f}" + (f" ± {found.se:.3f}" if found.n > 1 else "")
    note = f"L_T {found.prior:.4f} · {found.steps - 1} steps {found.rate:.4f} · L_0 {found.decoder:.4f} · n = {found.n}"
    return figure(panels, f"Where the bits go: {total} bits/dim, variance {found.variance}", note)


def _steps(found: Bound, snr: Array) -> list[Line]:
    """The terms between L_T and L_0 with their errors, and L_0."""
    mean = found.each.mean(axis=1)
    lines: list[Line] = []
    if found.n > 1 and found.steps > 1:
        error = found.each.std(axis=1, ddof=1) / np.sqrt(found.n)
        ends = [(mean + side * error)[1:-1] for side in (-2, 2)]
        lines += [Line(BAND, snr[:-1], end, colour(5), dash=DASH) for end in ends]
    if found.steps > 1:
        lines.append(_curve(found, snr[:-1], mean[1:-1]))
    return [*lines, _dot(snr[-1:], mean[-1:])]


def _curve(found: Bound, x: Array, y: Array) -> Line:
    return Line("the steps", x, y, colour(0), (x, y) if found.steps <= MARKED else None)


def _dot(x: Array, y: Array) -> Line:
    return Line(LAST, x, y, colour(1), (x, y))


def _finite(snr: Array) -> Array:
    """log-SNR with a place for the level that has no signal: two units left of the next."""
    known = snr[np.isfinite(snr)]
    return np.where(np.isfinite(snr), snr, known[0] - 2 if known.size else 0.0)
