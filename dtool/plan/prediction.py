"""From a network's output to a prediction: which time it is given, how its input is scaled, what its output means."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dtool.plan.plan import Column, Plan
from dtool.samplers.rule import Basis, Prediction
from dtool.schedulers.schedule import Schedule, on_coordinates


class ClampWarning(UserWarning):
    """Some rows lie outside the noise levels that the network was trained on."""


def output_map(prediction: Prediction, alpha: Column, sigma: Column, c_in: Column) -> tuple[Column, Column]:
    """(c_skip, c_out) with x0 = c_skip·x + c_out·F, for a network whose input is c_in·x.

    eps: F = ε. x0: F = x0. v (arXiv:2202.00512, appendix D): F = α'ε - σ'x0 with (α', σ') = c_in·(α, σ), the
    network's own coordinates. flow (arXiv:2209.03003, eq. 1): F = ε - x0, whatever the coordinates. Not finite where
    the prediction says nothing about x0 (eps at α = 0).
    """
    one = np.ones_like(alpha)
    with np.errstate(all="ignore"):
        if prediction == "eps":
            return one / alpha, -sigma / alpha
        if prediction == "x0":
            return 0 * one, one
        if prediction == "flow":
            return 1 / (alpha + sigma), -sigma / (alpha + sigma)
        power = alpha**2 + sigma**2
        return alpha / power, -sigma / (c_in * power)


def history_map(
    basis: Basis, prediction: Prediction, alpha: Column, sigma: Column, c_in: Column
) -> tuple[Column, Column]:
    """(m_x, m_f) with m = m_x·x + m_f·F, the entry of the history that an unclipped prediction makes.

    ε = (x - α·D)/σ with `output_map`'s D, reduced: finite at σ = 0 too, but for an x0 network, which is mute there.
    At α = 0, where ε = x/σ is mute about the image, the entry is D whatever the basis.
    """
    image = output_map(prediction, alpha, sigma, c_in)
    if basis == "x0":
        return image
    with np.errstate(all="ignore"):
        noise = _noise_map(prediction, alpha, sigma, c_in)
    silent = alpha == 0
    return np.where(silent, image[0], noise[0]), np.where(silent, image[1], noise[1])


def _noise_map(prediction: Prediction, alpha: Column, sigma: Column, c_in: Column) -> tuple[Column, Column]:
    """(m_x, m_f) with ε = m_x·x + m_f·F."""
    if prediction == "eps":
        return np.zeros_like(alpha), np.ones_like(alpha)
    if prediction == "x0":
        return 1 / sigma, -alpha / sigma
    if prediction == "flow":
        return 1 / (alpha + sigma), alpha / (alpha + sigma)
    power = alpha**2 + sigma**2
    return sigma / power, alpha / (c_in * power)


def times_on(
    schedule: Schedule, known: Column, alpha: Column, sigma: Column
) -> tuple[Column, Column, NDArray[np.intp]]:
    """(time, c_in, outside) of levels on a schedule: `known` times stay; where they are NaN, λ is looked up.

    c_in scales x at these levels to the schedule's own coordinates; `outside` are the levels that it does not reach.
    The image itself, where an inversion begins, is not counted among them: it is the limit of the first level.
    """
    with np.errstate(divide="ignore"):
        lam = np.log(alpha) - np.log(sigma)
    unknown = np.isnan(known)
    time = np.where(unknown, schedule.time(lam), known)
    own = np.where(unknown, schedule.level(time), on_coordinates(lam, schedule.coordinates))
    c_in = np.hypot(*own) / np.hypot(alpha, sigma)
    c_in[np.abs(c_in - 1) < 1e-9] = 1.0  # nothing to scale but a rounding error
    above = (lam > schedule.lam[0] + 1e-9) & (sigma > 0)
    outside = unknown & (above | (lam < schedule.lam[-1] - 1e-9))
    return time, c_in, np.flatnonzero(outside)


def _heard(trained: Schedule, time: Column, c_in: Column) -> tuple[Column, Column]:
    """(c_skip, c_out) of an eps network at α = 0, where eps says nothing of the image: at the level that it is told.

    That is another only if the network was trained with some signal in every image, and was therefore clamped.
    """
    alpha, sigma = trained.level(time)
    return output_map("eps", alpha / c_in, sigma / c_in, c_in)


def for_network(plan: Plan, trained: Schedule, prediction: Prediction) -> Plan:
    """The same plan for a network trained under another schedule, or predicting something else.

    The noise level is kept and the time translated: each row gets the fractional time at which the training schedule
    has the row's λ, and its input is rescaled where the two differ in scale. Feeding the plan's own index would show
    the network an image at one noise level and name another. Levels outside the trained range are clamped, with a
    ClampWarning that says which rows; at α = 0, where eps says nothing of the image, its word is then taken at the
    level that it was told. A plan that was made for such a network already is returned as it is.
    """
    if (plan.trained_hash, plan.prediction) == (trained.hash, prediction):
        return plan
    known = plan.t if trained.hash == plan.schedule_hash else np.full(plan.rows, np.nan)
    time, c_in, outside = times_on(trained, known, plan.alpha, plan.sigma)
    if outside.size:
        runs = np.split(outside, np.flatnonzero(np.diff(outside) > 1) + 1)
        rows = " and ".join(f"{r[0]}-{r[-1]}" if r.size > 1 else f"{r[0]}" for r in runs)
        which = f"row {rows} of {plan.rows} lies" if outside.size == 1 else f"rows {rows} of {plan.rows} lie"
        warnings.warn(
            f"{plan.recipe}: {which} outside the noise levels that the network was trained on; clamped",
            ClampWarning,
            stacklevel=2,
        )
    c_skip, c_out = output_map(prediction, plan.alpha, plan.sigma, c_in)
    m_x, m_f = history_map(plan.basis, prediction, plan.alpha, plan.sigma, c_in)
    if prediction == "eps" and (silent := plan.alpha == 0).any():
        heard = _heard(trained, time, c_in)
        c_skip, c_out = np.where(silent, heard[0], c_skip), np.where(silent, heard[1], c_out)
        m_x, m_f = np.where(silent, heard[0], m_x), np.where(silent, heard[1], m_f)
    return replace(
        plan,
        trained_hash=trained.hash,
        prediction=prediction,
        time=time,
        c_in=c_in,
        c_skip=c_skip,
        c_out=c_out,
        m_x=m_x,
        m_f=m_f,
    )
