"""A state dict of EDM and its configuration, as the network that both are of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError
from dtool.models.readers.edm_levels import Architecture
from dtool.models.readers.edm_precond import compute_iddpm_levels, find_sigma_range, precondition
from dtool.models.readers.edm_settings import Settings, read_edm_settings
from dtool.models.readers.edm_unet import make_unet
from dtool.models.readers.torch_weights import fit_weights, read_content, require_shape, select

PLACES = ("ema", "net", "")  # where the state dict lies in a file, the averaged weights first
FIRST = re.compile(r"enc\.(\d{1,5})x\1_conv\.weight")
SAME = 1e-6


@dataclass(frozen=True, kw_only=True)
class OpenedNetwork:
    """A network of EDM's files. fields: of its spec, as far as they follow; sigmas: what it was trained for."""

    module: Any
    fields: dict[str, Any]
    sigmas: tuple[float, float]
    settings: Settings


def open_edm_weights(path: Path) -> OpenedNetwork:
    """The network of a state dict, with the configuration that lies beside it or within.

    Raises DtoolError for a file that is damaged or unsafe, and where configuration and weights are of different
    networks; UsageError where there is no configuration.
    """
    settings, where = read_edm_settings(path)
    state = _find_state(read_content(path), path)
    weights = select(state, "model.")
    shape = _infer_architecture(settings, weights, path, where)
    remedy = f"give the arguments that it was trained with, in {where}"
    _require_filter(shape, weights, path, remedy)
    unet = fit_weights(lambda: make_unet(settings.model_type, shape), weights, path, remedy)
    levels = _read_levels(state, settings, path)
    module, fields = precondition(unet, settings, shape.label_dim, levels)
    own = {"shape": (shape.in_channels, shape.resolution, shape.resolution), "classes": shape.label_dim}
    return OpenedNetwork(
        module=module.eval(), fields=own | fields, sigmas=find_sigma_range(settings, levels), settings=settings
    )


def _find_state(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The state dict of a network with its preconditioning: its names begin with model., but for its buffers."""
    for place in PLACES:
        nested = content.get(place) if place else content
        state = select(content, f"{place}.") if place else {}
        for held in (nested, state):
            if isinstance(held, Mapping) and any(str(name).startswith("model.enc.") for name in held):
                return {str(name): value for name, value in held.items()}
    raise DtoolError(f"{path} holds no network of EDM", "save its state dict: torch.save(net.state_dict(), 'net.pt')")


def _infer_architecture(settings: Settings, weights: Mapping[str, Any], path: Path, where: str) -> Architecture:
    """The U-Net: what the configuration leaves out is what the weights show."""
    found = next((match for name in weights if (match := FIRST.fullmatch(name))), None)
    if found is None:
        raise DtoolError(f"{path}: enc.…_conv.weight is not there, so that the network cannot be told", "save it whole")
    inputs = require_shape(weights, found[0], 4, path)[1]
    labels = require_shape(weights, "map_label.weight", 2, path)[1] if "map_label.weight" in weights else 0
    shown = {"img_resolution": int(found[1]), "img_channels": inputs, "label_dim": labels}
    for name, own in shown.items():
        if getattr(settings, name) not in (None, own):
            raise DtoolError(
                f"{where}: {name} is {getattr(settings, name)}, and the weights are of a network with {own}",
                "give the arguments that it was trained with, or leave out what the weights show",
            )
    halved = 2 ** (len(settings.channel_mult) - 1)
    if shown["img_resolution"] % halved:
        raise DtoolError(
            f"{where}: {halved} does not divide {shown['img_resolution']}, the size of its images", "mend it"
        )
    return make_architecture(settings, shown["img_resolution"], inputs, labels)


def make_architecture(settings: Settings, resolution: int, channels: int, label_dim: int) -> Architecture:
    """The U-Net of these arguments, for images of so many channels."""
    outputs = channels * (2 if settings.class_name == "iDDPMPrecond" else 1)  # a variance, which EDM never looks at
    return Architecture(
        resolution=resolution, in_channels=channels, out_channels=outputs, label_dim=label_dim,
        augment_dim=settings.augment_dim, channels=settings.model_channels, multiples=settings.channel_mult,
        embedding_multiple=settings.channel_mult_emb, blocks=settings.num_blocks,
        attention=settings.attn_resolutions, fourier=settings.embedding_type == "fourier",
        noise_multiple=settings.channel_mult_noise, encoder=settings.encoder_type, decoder=settings.decoder_type,
        taps=settings.resample_filter,
    )  # fmt: skip


def _require_filter(shape: Architecture, weights: Mapping[str, Any], path: Path, remedy: str) -> None:
    """Raise DtoolError where a filter in the file is not the configuration's: its shape alone need not show it."""
    from dtool.models.readers.edm_layers import make_filter

    own = make_filter(shape.taps)
    for name, value in weights.items():
        alike = name.endswith("resample_filter") and getattr(value, "shape", None) == own.shape
        if alike and abs(value.float() - own).max() > SAME:
            raise DtoolError(f"{path}: {name} is not resample_filter={list(shape.taps)}", remedy)


def _read_levels(state: Mapping[str, Any], settings: Settings, path: Path) -> list[float]:
    """The levels of improved DDPM: those of the file, or else as they are made; none of other networks."""
    if settings.class_name != "iDDPMPrecond":
        return []
    if "u" not in state:
        return compute_iddpm_levels(settings)
    if require_shape(state, "u", 1, path) != (settings.M + 1,):
        raise DtoolError(f"{path}: u has {len(state['u'])} levels, not M + 1 = {settings.M + 1}", "mend M")
    levels: list[float] = state["u"].double().tolist()
    if levels[-1] != 0 or not all(low < high for high, low in pairwise(levels)) or not isfinite(levels[0]):
        raise DtoolError(f"{path}: u is no list of levels that fall to 0", "save the state dict again")
    return levels
