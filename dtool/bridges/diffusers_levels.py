"""Where a diffusers scheduler stands: the level of noise at each network call, and what its network predicts."""

from __future__ import annotations

from math import nan, sqrt
from typing import Any

from dtool.bridges.unrolled import Level
from dtool.errors import UsageError, format_value
from dtool.samplers.rule import Prediction

PREDICTIONS: dict[str, Prediction] = {
    "epsilon": "eps", "sample": "x0", "v_prediction": "v", "flow_prediction": "flow", "flow": "flow",
}  # fmt: skip
_FLOW = ("FlowMatch", "FlowMap", "EulerAncestralRF", "MiniMaxH3", "Proteina")
_BY_IMAGE = ("CMStochasticIterativeScheduler", "SCMScheduler")


def is_flow(scheduler: Any) -> bool:
    """Whether x = (1 - σ)·x0 + σ·ε."""
    return any(word in type(scheduler).__name__ for word in _FLOW) or bool(scheduler.config.get("use_flow_sigmas"))


def has_index(scheduler: Any) -> bool:
    """Whether its times are indices into a schedule of levels."""
    return hasattr(scheduler, "alphas_cumprod") and not is_flow(scheduler)


def read_prediction(scheduler: Any) -> Prediction:
    """What the scheduler takes the network's output for; raises UsageError for what dtool has no word for."""
    kind, config = type(scheduler).__name__, scheduler.config
    if kind in _BY_IMAGE:
        return "x0"
    if kind == "IPNDMScheduler":
        return "v"
    if "sigma_data" in config:
        return f"edm:sigma_data={config['sigma_data']}"
    said = config.get("prediction_type", "flow" if is_flow(scheduler) else "epsilon")
    if said not in PREDICTIONS:
        raise UsageError(f"{kind}: there is no word for prediction_type={format_value(said)}", ", ".join(PREDICTIONS))
    return PREDICTIONS[said]


def leaves_variance(scheduler: Any, token: str) -> bool:
    """Whether the network chooses the size of the noise within a range; raises UsageError where it says the size."""
    said = scheduler.config.get("variance_type")
    if said == "learned":
        raise UsageError(
            f"{token}: at network call 1 the network says the variance of the noise itself (variance_type=learned)",
            "variance_type=learned_range is a table, and so is dtool's own ddpm:sigma=learned",
        )
    return bool(said == "learned_range")


def find_level(scheduler: Any, t: Any, i: int) -> Level:
    """The level at which the scheduler calls the network for the i-th time, at its time `t`."""
    told = float(t) if has_index(scheduler) else nan
    kind = type(scheduler).__name__
    if kind == "DDIMInverseScheduler":
        return _find_inverted(scheduler, int(t))
    if kind == "IPNDMScheduler":
        return Level(float(scheduler.alphas[i]), float(scheduler.betas[i]))
    if hasattr(scheduler, "sigmas") and hasattr(scheduler, "step_index"):
        return _find_by_sigma(scheduler, i, told)
    share = scheduler.alphas_cumprod[int(t)]
    return Level(float(share**0.5), float((1 - share) ** 0.5), told)


def _find_by_sigma(scheduler: Any, i: int, told: float) -> Level:
    """The level where σ, or σ/α, stands in a list."""
    sigma = scheduler.sigmas[i]
    if not getattr(scheduler, "state_in_first_order", True):  # of a second stage, which may lie between two levels
        if hasattr(scheduler, "mid_point_sigma"):
            sigma = scheduler.mid_point_sigma
        elif hasattr(scheduler, "sigmas_interpol"):
            sigma = scheduler.sigmas_interpol[i - ("Ancestral" in type(scheduler).__name__)]
    if hasattr(scheduler, "_sigma_to_alpha_sigma_t"):
        alpha, deviation = scheduler._sigma_to_alpha_sigma_t(sigma)
        if "sigma_data" not in scheduler.config:
            return Level(float(alpha), float(deviation), told)
    if is_flow(scheduler):
        return Level(float(1 - sigma), float(sigma))
    return Level(1.0, float(sigma), told)


def _find_inverted(scheduler: Any, t: int) -> Level:
    """The level from which DDIM's inversion goes to `t`, which is what it tells the network."""
    own = min(t - scheduler.config.num_train_timesteps // scheduler.num_inference_steps, len(scheduler.betas) - 1)
    share = float(scheduler.alphas_cumprod[own] if own >= 0 else scheduler.initial_alpha_cumprod)
    return Level(sqrt(share), sqrt(1 - share), float(t))
