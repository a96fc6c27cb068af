"""The values of a diffusers scheduler's config: what it says, and where it is silent, its class's own defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from dtool.errors import DtoolError, did_you_mean, format_value

# The defaults of diffusers 0.42.1, by class: a key that a config does not have means its class's own.
_BETAS: dict[str, Any] = {
    "num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear", "trained_betas": None,
    "prediction_type": "epsilon", "steps_offset": 0, "timestep_spacing": "linspace",
}  # fmt: skip
_LATENT = _BETAS | {"beta_start": 0.00085, "beta_end": 0.012}
_THRESHOLD = {"thresholding": False, "dynamic_thresholding_ratio": 0.995, "sample_max_value": 1.0}
_CLIP = {"clip_sample": True, "clip_sample_range": 1.0}
_ZERO_SNR = {"rescale_betas_zero_snr": False}
_BY_NOISE = {"use_karras_sigmas": False, "use_exponential_sigmas": False, "use_beta_sigmas": False}
_FLOW_SIGMAS = {
    "use_flow_sigmas": False, "flow_shift": 1.0, "use_dynamic_shifting": False, "time_shift_type": "exponential",
}  # fmt: skip
_DDPM = _BETAS | _CLIP | _THRESHOLD | _ZERO_SNR | {"timestep_spacing": "leading", "variance_type": "fixed_small"}
_DDIM = _BETAS | _CLIP | _THRESHOLD | _ZERO_SNR | {"timestep_spacing": "leading", "set_alpha_to_one": True}
_DISTILLED = _DDIM | {
    "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False,
    "original_inference_steps": 50, "timestep_scaling": 10.0,
}  # fmt: skip
_SINGLESTEP = {
    key: value for key, value in (_BETAS | _THRESHOLD | _BY_NOISE | _FLOW_SIGMAS).items()
    if key not in ("timestep_spacing", "steps_offset")
} | {
    "solver_order": 2, "algorithm_type": "dpmsolver++", "solver_type": "midpoint", "lower_order_final": False,
    "final_sigmas_type": "zero", "lambda_min_clipped": -inf, "variance_type": None,
}  # fmt: skip
_MULTISTEP = _BETAS | _SINGLESTEP | _ZERO_SNR | {
    "lower_order_final": True, "euler_at_final": False, "use_lu_lambdas": False,
}  # fmt: skip
_EDM = {
    "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5, "sigma_schedule": "karras", "num_train_timesteps": 1000,
    "prediction_type": "epsilon", "rho": 7.0, "final_sigmas_type": "zero",
}  # fmt: skip
DEFAULTS: dict[str, dict[str, Any]] = {
    "DDIMScheduler": _DDIM,
    "DDIMParallelScheduler": _DDIM,
    "DDIMInverseScheduler": {key: value for key, value in _DDIM.items() if key not in _THRESHOLD},
    "DDPMScheduler": _DDPM,
    "DDPMParallelScheduler": _DDPM,
    "PNDMScheduler": _BETAS | {"timestep_spacing": "leading", "skip_prk_steps": False, "set_alpha_to_one": False},
    "EulerDiscreteScheduler": _BETAS | _BY_NOISE | _ZERO_SNR | {
        "interpolation_type": "linear", "sigma_min": None, "sigma_max": None, "timestep_type": "discrete",
        "final_sigmas_type": "zero",
    },
    "EulerAncestralDiscreteScheduler": _BETAS | _ZERO_SNR,
    "HeunDiscreteScheduler": _LATENT | _BY_NOISE | _CLIP | {"clip_sample": False},
    "KDPM2DiscreteScheduler": _LATENT | _BY_NOISE,
    "KDPM2AncestralDiscreteScheduler": _LATENT | _BY_NOISE,
    "DPMSolverSDEScheduler": _LATENT | _BY_NOISE | {"noise_sampler_seed": None},
    "LMSDiscreteScheduler": _BETAS | _BY_NOISE,
    "DPMSolverMultistepScheduler": _MULTISTEP,
    "DPMSolverSinglestepScheduler": _SINGLESTEP,
    "UniPCMultistepScheduler": _BETAS | _THRESHOLD | _BY_NOISE | _FLOW_SIGMAS | _ZERO_SNR | {
        "solver_order": 2, "predict_x0": True, "solver_type": "bh2", "lower_order_final": True, "disable_corrector": [],
        "solver_p": None, "final_sigmas_type": "zero", "sigma_min": None, "sigma_max": None, "shift_terminal": None,
    },
    "DEISMultistepScheduler": _BETAS | _THRESHOLD | _BY_NOISE | _FLOW_SIGMAS | {
        "solver_order": 2, "algorithm_type": "deis", "solver_type": "logrho", "lower_order_final": True,
    },
    "SASolverScheduler": _BETAS | _THRESHOLD | _BY_NOISE | {
        "use_flow_sigmas": False, "flow_shift": 1.0, "predictor_order": 2, "corrector_order": 2, "tau_func": None,
        "algorithm_type": "data_prediction", "lower_order_final": True, "lambda_min_clipped": -inf,
        "variance_type": None,
    },
    "LCMScheduler": _DISTILLED,
    "TCDScheduler": _DISTILLED,
    "EDMEulerScheduler": _EDM,
    "EDMDPMSolverMultistepScheduler": _EDM | _THRESHOLD | {
        "solver_order": 2, "algorithm_type": "dpmsolver++", "solver_type": "midpoint", "lower_order_final": True,
        "euler_at_final": False,
    },
    "FlowMatchEulerDiscreteScheduler": _BY_NOISE | {
        "num_train_timesteps": 1000, "shift": 1.0, "use_dynamic_shifting": False, "base_shift": 0.5, "max_shift": 1.15,
        "base_image_seq_len": 256, "max_image_seq_len": 4096, "invert_sigmas": False, "shift_terminal": None,
        "time_shift_type": "exponential", "stochastic_sampling": False,
    },
    "FlowMatchHeunDiscreteScheduler": {"num_train_timesteps": 1000, "shift": 1.0},
    "CMStochasticIterativeScheduler": {
        "num_train_timesteps": 40, "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5, "s_noise": 1.0, "rho": 7.0,
        "clip_denoised": True,
    },
}  # fmt: skip


@dataclass(frozen=True)
class SchedulerConfig:
    """A config with its class's defaults behind it. `source` names it in errors; keys that the class does not know
    are ignored, as diffusers does.
    """

    kind: str
    given: Mapping[str, Any]
    source: str

    def __getitem__(self, key: str) -> Any:
        defaults = DEFAULTS[self.kind]
        return self.given.get(key, defaults[key]) if key in defaults else None

    def flag(self, key: str) -> bool:
        """A truth value; False if the class does not know the key. Raises DtoolError for something else."""
        value = self[key]
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.wrong(key, "true or false")

    def word(self, key: str, allowed: Sequence[str]) -> str:
        """One of these words; raises DtoolError for another."""
        value = self[key]
        if isinstance(value, str) and value in allowed:
            return value
        raise self.wrong(key, ", ".join(allowed))

    def number(self, key: str, low: float = -inf, high: float = inf) -> float:
        """A number in [low, high]; raises DtoolError for something else, NaN and infinity too."""
        value = self[key]
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and isfinite(value):
            if low <= value <= high:
                return float(value)
            raise self.wrong(key, f"a number in {low:g} … {high:g}")
        raise self.wrong(key, "a number")

    def positive(self, key: str) -> float:
        """A number above 0."""
        if (value := self.number(key)) > 0:
            return value
        raise self.wrong(key, "a number above 0")

    def whole(self, key: str, low: int, high: int) -> int:
        """A whole number in low … high; raises DtoolError for something else."""
        value = self[key]
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise self.wrong(key, f"a whole number in {low} … {high}")

    def wrong(self, key: str, expected: str) -> DtoolError:
        """The error for a value that the key cannot have."""
        cause = f"{self.source}: {key} is {format_value(self[key])}"
        return DtoolError(cause, f"{self.kind} takes {expected}: mend the config, or take another network")

    def contradiction(self, cause: str) -> DtoolError:
        """The error for values that cannot stand together."""
        return DtoolError(f"{self.source} contradicts itself: {cause}", "mend the config, or name a recipe yourself")


def open_config(config: Mapping[str, Any], class_name: str | None, source: str) -> SchedulerConfig:
    """The config of a known class; raises DtoolError for what is no config, or of another class."""
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        raise DtoolError(f"{source} is no object with named values", "give the file that save_pretrained wrote")
    kind = config.get("_class_name") if class_name is None else class_name
    if not isinstance(kind, str):
        raise DtoolError(
            f"{source} does not say what scheduler it is", 'it needs a "_class_name", e.g. "DDIMScheduler"'
        )
    if kind not in DEFAULTS:
        raise DtoolError(
            f"{source}: dtool does not know how {format_value(kind)} samples",
            f"{did_you_mean(kind, DEFAULTS)}; or say what the network was trained for (--schedule, --prediction) "
            "and name a recipe",
        )
    return SchedulerConfig(kind, config, source)
