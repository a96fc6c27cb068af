"""Checkpoints of denoising-diffusion-pytorch: its Trainer's `.pt`, and state dicts of its GaussianDiffusion.

The U-Net follows from the shapes of the weights, the schedule from the betas, and the objective from the loss weights
that lie beside them. The size of the images is nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError
from dtool.models.description import Description
from dtool.models.network import Network
from dtool.models.origin import Origin
from dtool.models.reader import reader
from dtool.models.readers.denoising_diffusion_unet import UNetShape, make_unet, read_unet_shape
from dtool.models.readers.opening import build_spec, open_module, read_words
from dtool.models.readers.torch_weights import fit_weights, list_keys, read_content, select
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.schedulers.schedule import UNNAMED, from_betas

# Where the diffusion lies in a file, the averaged weights first, and how its names begin there.
PLACES = (("ema", "ema_model."), ("ema", "online_model."), ("model", ""), ("", "ema_model."), ("", ""))
SIGNS = ("init_conv.weight", "time_mlp.1.weight", "final_res_block.block1.proj.weight")
OBJECTIVES = {"eps": "pred_noise", "x0": "pred_x0", "v": "pred_v"}
ALLOWED = ("prediction", "shape", "data_range", "clip", "guidance", "class_names")
SAME = 1e-3  # of the largest: by so much loss weights may be off that are of one objective, being float32


@dataclass(frozen=True)
class _Diffusion:
    """What a file holds of a GaussianDiffusion: its buffers, its U-Net's weights, and whether they are averaged."""

    buffers: dict[str, Any]
    weights: dict[str, Any]
    averaged: bool


def recognises(source: Any) -> bool:
    """Whether a file holds such a U-Net beside the betas of its diffusion."""
    keys = list_keys(source)
    prefixes = ("ema_model.model.", "online_model.model.", "model.")
    return any(all(prefix + sign in keys for sign in SIGNS) for prefix in prefixes) and any(
        prefix.removesuffix("model.") + "betas" in keys for prefix in prefixes
    )


@reader(
    "denoising-diffusion-pytorch",
    recognises=recognises,
    summary="a checkpoint of denoising-diffusion-pytorch (.pt), unconditional or with its classifier-free guidance",
)
def denoising_diffusion_pytorch(source: Any, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    """The averaged network of a checkpoint, with the schedule and the objective that it was trained under.

    Raises DtoolError for a file that is damaged or unsafe, or whose weights are not of such a U-Net; UsageError where
    the size of the images is not said, or the objective neither said nor shown.
    """
    path = Path(source)
    said = read_words(path, description, ALLOWED)
    diffusion = _find_diffusion(read_content(path), path)
    unet = read_unet_shape(diffusion.weights, path)
    prediction, assumed = _choose_prediction(diffusion.buffers, said.pop("prediction", None), path)
    said["shape"] = _require_image_shape(said.get("shape"), unet, path)
    betas = _read_numbers(diffusion.buffers, "betas", path)
    from_betas(betas)
    fields: dict[str, Any] = {
        "schedule": UNNAMED, "betas": tuple(betas.tolist()), "prediction": prediction, "clip": True,
        "classes": unet.classes, "learned_variance": unet.learned_variance,
    }  # fmt: skip
    spec = build_spec(path, **{**fields, **said})
    remedy = "open it with the release of denoising-diffusion-pytorch that wrote it"
    module = fit_weights(lambda: make_unet(unet), diffusion.weights, path, remedy)
    if unet.classes:
        module = _make_class_network(module, unet.classes)
    return open_module(path, module, spec, runtime, _describe(unet, diffusion, [*assumed, *unet.assumptions]))


def _find_diffusion(content: Mapping[str, Any], path: Path) -> _Diffusion:
    for key, prefix in PLACES:
        held = content.get(key) if key else content
        if isinstance(held, Mapping):
            buffers = select(held, prefix)
            weights = select(buffers, "model.")
            if SIGNS[0] in weights:
                return _Diffusion(buffers, weights, prefix == "ema_model.")
    raise DtoolError(f"{path} holds no U-Net of denoising-diffusion-pytorch", "give the .pt that its Trainer saved")


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


def _require_image_shape(said: tuple[int, ...] | None, unet: UNetShape, path: Path) -> tuple[int, ...]:
    example = f"{unet.channels},64,64"
    if said is None:
        raise UsageError(
            f"{path} does not say how large its images are", f"say --shape {example} (spec={{'shape': …}})"
        )
    if len(said) != 3 or said[0] != unet.channels:
        raise UsageError(
            f"{path}: the network has {unet.channels} channels; got shape={said}", f"say --shape {example}"
        )
    if any(size % unet.downsampling for size in said[1:]):
        raise UsageError(
            f"{path}: the network halves images {len(unet.dim_mults) - 1} times; got shape={said}",
            f"give sizes that {unet.downsampling} divides",
        )
    return said


def _make_class_network(module: Any, classes: int) -> Any:
    """The guided U-Net as F(x, t, label); its label `classes` is the learned embedding that stands for no class."""
    from torch import nn

    class ClassNetwork(nn.Module):
        """The U-Net, moved and set as any module."""

        def __init__(self) -> None:
            super().__init__()
            self.unet = module

        def forward(self, x: Any, t: Any, label: Any) -> Any:
            """One call, `(B, C, H, W)`."""
            given = label < classes
            return self.unet(x, t, label.where(given, label.new_zeros(())), cond_keep_mask=given)

    return ClassNetwork()


def _describe(unet: UNetShape, diffusion: _Diffusion, assumptions: list[str]) -> Origin:
    differences = []
    if unet.self_condition:
        differences.append("it was trained to be told its last prediction too, and here is told zeros instead")
    if unet.classes:
        differences.append("its own guidance leaves out what is parallel to the prediction, and rescales by 0.7")
    weights = "averaged weights" if diffusion.averaged else "weights as trained, not averaged"
    kind = f"for {unet.classes} classes" if unet.classes else "unconditional"
    return Origin(
        reader="denoising-diffusion-pytorch",
        what=f"a U-Net of denoising-diffusion-pytorch, {kind}, {weights}",
        recipe="ddim:eta=1/trailing" if unet.classes else "ddim/trailing",
        differences=tuple(differences),
        assumptions=tuple(assumptions),
    )
