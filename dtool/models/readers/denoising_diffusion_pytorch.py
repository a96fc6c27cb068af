"""Checkpoints of denoising-diffusion-pytorch: its Trainer's `.pt`, and state dicts of its GaussianDiffusion.

The U-Net follows from the shapes of the weights; of a discrete diffusion the schedule from its betas, and the objective
from the loss weights that lie beside them. The size of the images is nowhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dtool.errors import UsageError
from dtool.models.description import Description
from dtool.models.network import Network
from dtool.models.origin import Origin
from dtool.models.reader import reader
from dtool.models.readers.denoising_diffusion_kinds import (
    FIRST,
    INNER,
    Diffusion,
    Opened,
    find_diffusion,
    open_diffusion,
)
from dtool.models.readers.denoising_diffusion_unet import UNetShape, make_unet, read_unet_shape
from dtool.models.readers.opening import build_spec, open_module, read_words
from dtool.models.readers.torch_weights import fit_weights, list_keys, read_content
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec

FREQUENCIES = "time_mlp.0.weights"  # learned or random, without which no network is told a noise level
SIGNS = (FIRST, "time_mlp.1.weight", "final_res_block.block1.proj.weight")
ALLOWED = ("prediction", "shape", "data_range", "clip", "guidance", "class_names")


def recognises(source: Any) -> bool:
    """Whether a file holds such a U-Net, beside the betas of its diffusion or told its noise level by frequencies."""
    keys = list_keys(source)
    for place in ("ema_model.", "online_model.", ""):
        for inner in INNER:
            if all(place + inner + sign in keys for sign in SIGNS):
                return place + "betas" in keys or place + inner + FREQUENCIES in keys
    return False


@reader(
    "denoising-diffusion-pytorch",
    recognises=recognises,
    summary="a checkpoint of denoising-diffusion-pytorch (.pt): its discrete, continuous and elucidated diffusions",
)
def denoising_diffusion_pytorch(source: Any, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    """The averaged network of a checkpoint, with the schedule and the objective that it was trained under.

    Raises DtoolError for a file that is damaged or unsafe, or whose weights are not of such a U-Net; UsageError where
    the size of the images is not said, or the objective or the schedule neither said nor shown.
    """
    path = Path(source)
    read_words(path, description, (*ALLOWED, "schedule"))  # before a large file is read
    diffusion = find_diffusion(read_content(path), path)
    said = read_words(path, description, ALLOWED if diffusion.kind == "discrete" else (*ALLOWED, "schedule"))
    unet = read_unet_shape(diffusion.weights, path)
    opened = open_diffusion(diffusion, unet, said, path)
    said["shape"] = _require_sample_shape(said.get("shape"), unet, path)
    fields = {"clip": True, "classes": unet.classes, "learned_variance": unet.learned_variance}
    others = {name: value for name, value in said.items() if name not in ("prediction", "schedule")}
    spec = build_spec(path, **{**fields, **opened.fields, **others})
    remedy = "open it with the release of denoising-diffusion-pytorch that wrote it"
    module = opened.wrap(fit_weights(lambda: make_unet(unet), diffusion.weights, path, remedy))
    if unet.classes:
        module = _make_class_network(module, unet.classes)
    assumed = [*opened.assumptions, *unet.assumptions]
    return open_module(path, module, spec, runtime, _describe(unet, diffusion, opened, assumed))


def _require_sample_shape(said: tuple[int, ...] | None, unet: UNetShape, path: Path) -> tuple[int, ...]:
    what = "images are" if unet.axes == 2 else "sequences are"
    example = ",".join(map(str, (unet.channels, *[64] * unet.axes)))
    if said is None:
        raise UsageError(f"{path} does not say how large its {what}", f"say --shape {example} (spec={{'shape': …}})")
    if len(said) != 1 + unet.axes or said[0] != unet.channels:
        raise UsageError(
            f"{path}: the network has {unet.channels} channels; got shape={said}", f"say --shape {example}"
        )
    if any(size % unet.downsampling for size in said[1:]):
        raise UsageError(
            f"{path}: the network halves {what.split()[0]} {len(unet.dim_mults) - 1} times; got shape={said}",
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


def _describe(unet: UNetShape, diffusion: Diffusion, opened: Opened, assumptions: list[str]) -> Origin:
    differences = [*opened.differences]
    if unet.self_condition:
        differences.append("it was trained to be told its last prediction too, and here is told zeros instead")
    if unet.classes:
        differences.append("its own guidance leaves out what is parallel to the prediction, and rescales by 0.7")
    weights = "averaged weights" if diffusion.averaged else "weights as trained, not averaged"
    kind = f"for {unet.classes} classes" if unet.classes else "unconditional"
    if diffusion.kind != "discrete":
        kind = f"{kind}, {'in continuous time' if diffusion.kind == 'continuous' else 'elucidated'}"
    name = "U-Net" if unet.axes == 2 else "1-D U-Net"
    return Origin(
        reader="denoising-diffusion-pytorch",
        what=f"a {name} of denoising-diffusion-pytorch, {kind}, {weights}",
        recipe=opened.recipe,
        steps=opened.steps,
        differences=tuple(differences),
        assumptions=tuple(assumptions),
    )
