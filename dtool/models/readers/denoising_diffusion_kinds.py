"""The diffusions of denoising-diffusion-pytorch: what a file holds of each, and what follows for its network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import sqrt
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError
from dtool.models.readers.denoising_diffusion_continuous import (
    LEVELS,
    choose_log_snr,
    make_log_snr_network,
    make_weighted_network,
)
from dtool.models.readers.denoising_diffusion_unet import UNetShape
from dtool.models.readers.torch_weights import select
from dtool.models.spec import describe_schedule
from dtool.plan.parametrization import EDM, SIGMA_DATA, parse_sigma_data
from dtool.schedulers.schedule import UNNAMED, from_betas, from_lam

# Where the diffusion lies in a file, the averaged weights first, and how its names begin there.
PLACES = (("ema", "ema_model."), ("ema", "online_model."), ("model", ""), ("", "ema_model."), ("", ""))
INNER = ("model.", "net.")  # how the names of the U-Net begin in a diffusion: net. in the elucidated one
FIRST = "init_conv.weight"
OBJECTIVES = {"eps": "pred_noise", "x0": "pred_x0", "v": "pred_v"}
SAME = 1e-3  # of the largest: by so much loss weights may be off that are of one objective, being float32
Kind = Literal["discrete", "continuous", "elucidated"]


@dataclass(frozen=True, kw_only=True)
class Diffusion:
    """What a file holds of a diffusion: its kind, its buffers, its U-Net's weights, and whether they are averaged."""

    kind: Kind
    buffers: dict[str, Any]
    weights: dict[str, Any]
    averaged: bool


def find_diffusion(content: Mapping[str, Any], path: Path) -> Diffusion:
    """The diffusion in what a file holds, the averaged one first; raises DtoolError where there is none."""
    for key, prefix in PLACES:
        held = content.get(key) if key else content
        if not isinstance(held, Mapping):
            continue
        buffers = select(held, prefix)
        for inner in INNER:
            weights = select(buffers, inner)
            if FIRST in weights:
                kind: Kind = "discrete" if "betas" in buffers else "continuous"
                kind = "elucidated" if inner == "net." else kind
                return Diffusion(kind=kind, buffers=buffers, weights=weights, averaged=prefix == "ema_model.")
    raise DtoolError(f"{path} holds no U-Net of denoising-diffusion-pytorch", "give the .pt that its Trainer saved")


def _keep(unet: Any) -> Any:
    return unet


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What follows for a network from the diffusion around it. wrap: what is to be made of the U-Net."""

    fields: dict[str, Any]
    recipe: str
    steps: int | None = None
    wrap: Callable[[Any], Any] = _keep
    differences: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()


def _open_discrete(diffusion: Diffusion, unet: UNetShape, said: Mapping[str, Any], path: Path) -> Opened:
    """GaussianDiffusion, GaussianDiffusion1D, LearnedGaussianDiffusion and WeightedObjectiveGaussianDiffusion."""
    betas = _read_numbers(diffusion.buffers, "betas", path)
    alpha_bar = from_betas(betas).alpha_bar
    fields = {"schedule": UNNAMED, "betas": tuple(betas.tolist())}
    if unet.learned_variance or unet.weighted:  # both have losses of their own, whatever the loss weights show
        if said.get("prediction", "eps") != "eps":
            raise UsageError(f"{path}: a network of this kind predicts eps", "leave out --prediction (spec=)")
        wrap = partial(make_weighted_network, alpha_bar=alpha_bar) if unet.weighted else _keep
        recipe = "ddpm:sigma=tilde/trailing" if unet.weighted else "ddpm:sigma=learned/trailing"
        return Opened(fields={**fields, "prediction": "eps"}, recipe=recipe, steps=len(betas), wrap=wrap)
    prediction, assumed = _choose_prediction(diffusion.buffers, said.get("prediction"), path)
    recipe = "ddim:eta=1/trailing" if unet.classes else "ddim/trailing"
    if unet.axes == 1 and prediction == "eps":  # its loop for sequences clips the image alone
        recipe = "ddim:use_clipped=false/trailing"
    return Opened(
        fields={**fields, "prediction": prediction},
        recipe=recipe,
        assumptions=tuple(assumed),
    )


def _open_continuous(diffusion: Diffusion, _unet: UNetShape, said: Mapping[str, Any], path: Path) -> Opened:
    """ContinuousTimeGaussianDiffusion and VParamContinuousTimeGaussianDiffusion."""
    log_snr = choose_log_snr(diffusion.buffers, said.get("prediction"), said.get("schedule"), path)
    return Opened(
        fields={**describe_schedule(from_lam(log_snr / 2)), "prediction": said["prediction"]},
        recipe="ddpm:sigma=tilde/linspace:end=alpha_bar_0",
        steps=500,
        wrap=partial(make_log_snr_network, log_snr=log_snr),
        differences=("its last step adds no noise, and here noise of a standard deviation of 0.01 at most",),
        assumptions=(f"the schedule is taken at {LEVELS} times, evenly from 0 to 1",),
    )


def _open_elucidated(_diffusion: Diffusion, _unet: UNetShape, said: Mapping[str, Any], path: Path) -> Opened:
    """ElucidatedDiffusion: EDM's preconditioning around the U-Net (arXiv:2206.00364)."""
    prediction, schedule = said.get("prediction", EDM), said.get("schedule", "edm")
    if parse_sigma_data(prediction) is None or not str(schedule).startswith("edm"):
        raise UsageError(
            f"{path}: an elucidated diffusion, which has EDM's preconditioning and its schedule",
            "say --prediction edm:sigma_data=0.5 and --schedule edm:sigma_min=0.002,sigma_max=80, with its own numbers",
        )
    assumed = [f"sigma_data is {SIGMA_DATA}, the package's default"] * ("prediction" not in said)
    assumed += ["σ is from 0.002 to 80, the package's default"] * ("schedule" not in said)
    return Opened(
        fields={"schedule": schedule, "prediction": prediction, "time": "log-sigma/4"},
        recipe=f"edm-heun:gamma={sqrt(2) - 1!r},s_min=0.05,s_max=50,s_noise=1.003/karras",
        steps=32,
        differences=("the levels of its grid are those before noise is added, and here those after it",),
        assumptions=tuple(assumed),
    )


def _read_numbers(buffers: Mapping[str, Any], name: str, path: Path) -> NDArray[np.float64]:
    """A buffer as numbers `(T,)`."""
    values = buffers.get(name)
    if getattr(values, "ndim", None) != 1 or not values.is_floating_point():  # type: ignore[union-attr]
        raise DtoolError(f"{path}: {name} is not there, or no list of numbers", "save the whole state dict")
    return np.asarray(values.double().numpy())  # type: ignore[union-attr]


def _choose_prediction(buffers: Mapping[str, Any], said: str | None, path: Path) -> tuple[str, list[str]]:
    """The prediction that the file shows or the user says, and what is assumed by it."""
    shown = _infer_prediction(buffers, path)
    if said is not None and said not in OBJECTIVES:
        raise UsageError(
            f"denoising-diffusion-pytorch has no objective {said!r}", "say --prediction eps, v or x0 (spec=)"
        )
    if shown is None and said is None:
        raise UsageError(
            f"{path} does not show its objective",
            "say --prediction eps, v or x0 (spec={'prediction': 'v'}) for pred_noise, pred_v or pred_x0",
        )
    if shown is not None and said not in (None, shown):
        raise UsageError(
            f"{path} was trained with {OBJECTIVES[shown]}: its loss weights show it, and you say {said}",
            "leave out --prediction (spec=)",
        )
    return (shown or str(said)), ([] if shown else [f"the objective is {OBJECTIVES[str(said)]}, as you say"])


def _infer_prediction(buffers: Mapping[str, Any], path: Path) -> str | None:
    """The objective whose loss weights the file holds, None if they are no one's or of several.

    With the signal-to-noise ratio s, cut off at some γ or not (arXiv:2303.09556), they are min(s, γ) divided by s, by 1
    and by s + 1 where the network predicts ε, x0 and v.
    """
    if "loss_weight" not in buffers or "alphas_cumprod" not in buffers:
        return None
    weight, alpha_bar = (_read_numbers(buffers, name, path) for name in ("loss_weight", "alphas_cumprod"))
    if weight.shape != alpha_bar.shape or not ((alpha_bar > 0) & (alpha_bar < 1)).all():
        return None
    snr = alpha_bar / (1 - alpha_bar)
    clipped = {"eps": weight * snr, "x0": weight, "v": weight * (snr + 1)}
    fitting = [
        name for name, each in clipped.items() if (abs(np.minimum(snr, each.max()) / each.clip(1e-30) - 1) < SAME).all()
    ]
    return fitting[0] if len(fitting) == 1 else None


_OPEN: dict[Kind, Callable[[Diffusion, UNetShape, Mapping[str, Any], Path], Opened]] = {
    "discrete": _open_discrete, "continuous": _open_continuous, "elucidated": _open_elucidated,
}  # fmt: skip


def open_diffusion(diffusion: Diffusion, unet: UNetShape, said: Mapping[str, Any], path: Path) -> Opened:
    """What the user says and the file shows of a diffusion; UsageError where both together do not say enough."""
    return _OPEN[diffusion.kind](diffusion, unet, said, path)
