"""From a network's output to a prediction: which time it is given, how its input is scaled, what its output means."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dtool.plan.compiled_plan import Column, Plan
from dtool.plan.parametrization import parse_sigma_data
from dtool.samplers.rule import Basis, Prediction
from dtool.schedulers.levels import alpha_sigma_from_lam, compute_lam
from dtool.schedulers.schedule import Schedule


class ClampWarning(UserWarning):
    """Some rows lie outside the noise levels that the network was trained on."""


def output_map(prediction: Prediction, alpha: Column, sigma: Column, c_in: Column) -> tuple[Column, Column]:
    """(c_skip, c_out) with x0 = c_skip·x + c_out·F, for a network whose input is c_in·x.

    eps: F = ε. x0: F = x0. v (arXiv:2202.00512, appendix D): F = α'ε - σ'x0 with (α', σ') = c_in·(α, σ), the
    network's own coordinates. flow (arXiv:2209.03003, eq. 1): F = ε - x0, whatever the coordinates. edm
    (arXiv:2206.00364, table 1): x0 = c_skip·x' + c_out·F with x' = x/α at σ' = σ/α. Not finite where the prediction
    says nothing about x0 (eps at α = 0).
    """
    one = np.ones_like(alpha)
    sigma_data = parse_sigma_data(prediction)
    with np.errstate(all="ignore"):
        if sigma_data is not None:
            power = sigma**2 + (alpha * sigma_data) ** 2
            return alpha * sigma_data**2 / power, sigma * sigma_data / np.sqrt(power)
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

    ε = (x - α·D)/σ with `output_map`'s D, reduced: finite at σ = 0 too, except for an x0 network, whose output says
    nothing of ε there. At α = 0, where ε = x/σ says nothing of the image, the entry is D whatever the basis.
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
    sigma_data = parse_sigma_data(prediction)
    if sigma_data is not None:
        power = sigma**2 + (alpha * sigma_data) ** 2
        return sigma / power, -alpha * sigma_data / np.sqrt(power)
    if prediction == "eps":
        return np.zeros_like(alpha), np.ones_like(alpha)
    if prediction == "x0":
        return 1 / sigma, -alpha / sigma
    if prediction == "flow":
        return 1 / (alpha + sigma), alpha / (alpha + sigma)
    power = alpha**2 + sigma**2
    return sigma / power, alpha / (c_in * power)


def locate_levels(
    schedule: Schedule, known: Column, alpha: Column, sigma: Column
) -> tuple[Column, Column, NDArray[np.intp]]:
    """(time, c_in, outside) of levels on a schedule: `known` times stay; where they are NaN, λ is looked up.

    c_in scales x at these levels to the schedule's own coordinates; `outside` are the levels that it does not reach.
    The image itself, where an inversion begins, is not counted among them: it is the limit of the first level.
    """
    lam = compute_lam(alpha, sigma)
    unknown = np.isnan(known)
    time = np.where(unknown, schedule.time(lam), known)
    own = np.where(unknown, schedule.level(time), alpha_sigma_from_lam(lam, schedule.coordinates))
    c_in = np.hypot(*own) / np.hypot(alpha, sigma)
    c_in[np.abs(c_in - 1) < 1e-9] = 1.0  # nothing to scale but a rounding error
    above = (lam > schedule.lam[0] + 1e-9) & (sigma > 0)
    outside = unknown & (above | (lam < schedule.lam[-1] - 1e-9))
    return time, c_in, np.flatnonzero(outside)


def scale_input(prediction: Prediction, alpha: Column, sigma: Column, c_in: Column) -> Column:
    """What x is multiplied by for the network: `c_in`, its own coordinates' scale, unless it is preconditioned.

    EDM's c_in = 1/√(σ'² + σ_data²) of x' = x/α is 1/√(σ² + α²·σ_data²) of x, in any coordinates.
    """
    sigma_data = parse_sigma_data(prediction)
    return c_in if sigma_data is None else 1 / np.hypot(sigma, alpha * sigma_data)


def _mute_output_map(trained: Schedule, time: Column, c_in: Column) -> tuple[Column, Column]:
    """(c_skip, c_out) of an eps network at α = 0: those of the level whose time it gets, since eps is x/σ there.

    That is another level only if the network always saw some signal in training, so that its time was clamped.
    """
    alpha, sigma = trained.level(time)
    return output_map("eps", alpha / c_in, sigma / c_in, c_in)


def adapt_to_network(plan: Plan, trained: Schedule, prediction: Prediction) -> Plan:
    """The same plan for a network trained under another schedule, or predicting something else.

    The noise level is kept and the time translated: each row gets the fractional time at which the training schedule
    has the row's λ, and its input is rescaled where the two differ in scale. Feeding the plan's own index would show
    the network an image at one noise level and name another. Levels outside the trained range are clamped, with a
    ClampWarning that says which rows; at α = 0, where eps says nothing of the image, its output is then read at
    the level whose time it gets. A plan that is already made for such a network is returned unchanged.

    >>> plan = dtool.plan("ddim@scaled-linear", steps=4)
    >>> told = dtool.plan.adapt_to_network(plan, dtool.get_scheduler("linear"), "v")
    >>> plan.time.tolist(), told.time.round(1).tolist()
    ([999.0, 749.0, 499.0, 249.0], [726.9, 530.5, 352.8, 192.9])
    """
    if (plan.trained_hash, plan.prediction) == (trained.hash, prediction):
        return plan
    known_times = plan.t if trained.hash == plan.schedule_hash else np.full(plan.rows, np.nan)
    time, c_in, outside = locate_levels(trained, known_times, plan.alpha, plan.sigma)
    if outside.size:
        runs = np.split(outside, np.flatnonzero(np.diff(outside) > 1) + 1)
        rows = " and ".join(f"{r[0]}-{r[-1]}" if r.size > 1 else f"{r[0]}" for r in runs)
        which = f"row {rows} of {plan.rows} lies" if outside.size == 1 else f"rows {rows} of {plan.rows} lie"
        warnings.warn(
            f"{plan.recipe}: {which} outside the noise levels that the network was trained on; clamped",
            ClampWarning,
            stacklevel=2,
        )
    c_in = scale_input(prediction, plan.alpha, plan.sigma, c_in)
    c_skip, c_out = output_map(prediction, plan.alpha, plan.sigma, c_in)
    m_x, m_f = history_map(plan.basis, prediction, plan.alpha, plan.sigma, c_in)
    if prediction == "eps" and (silent := plan.alpha == 0).any():
        mute_map = _mute_output_map(trained, time, c_in)
        c_skip, c_out = np.where(silent, mute_map[0], c_skip), np.where(silent, mute_map[1], c_out)
        m_x, m_f = np.where(silent, mute_map[0], m_x), np.where(silent, mute_map[1], m_f)
    return replace(
        plan, trained_hash=trained.hash, prediction=prediction, time=time, c_in=c_in, c_skip=c_skip, c_out=c_out,
        m_x=m_x, m_f=m_f,
    )  # fmt: skip
