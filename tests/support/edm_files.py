"""State dicts of EDM as files, with the configuration beside them, and the paper's sampler."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from dtool.models.readers.edm_layers import make_filter
from dtool.models.readers.edm_settings import parse_settings
from dtool.models.readers.edm_unet import make_unet
from dtool.models.readers.edm_weights import make_architecture
from tests.support.edm_cases import CHANNELS, SIZE, make_state


def make_network(arguments: dict[str, Any]) -> Any:
    """The U-Net of these arguments, with the weights of `make_state`."""
    settings = parse_settings(arguments, "here")
    shape = make_architecture(settings, SIZE, CHANNELS, settings.label_dim or 0)
    unet = make_unet(settings.model_type, shape).eval()
    shapes = {name: tuple(value.shape) for name, value in unet.state_dict().items()}
    filters = {name: make_filter(shape.taps) for name in shapes if name.endswith("resample_filter")}
    unet.load_state_dict(make_state(shapes, filters))
    return unet


def save(path: Path, arguments: dict[str, Any], **changes: Any) -> Path:
    """The state dict of a network of these arguments, and them as JSON beside it; None takes a tensor away."""
    import torch
    from safetensors.torch import save_file

    state = {f"model.{name}": value.contiguous() for name, value in make_network(arguments).state_dict().items()}
    state = {name: value for name, value in {**state, **changes}.items() if value is not None}
    if path.suffix == ".safetensors":
        save_file({name: value.clone() for name, value in state.items()}, path)
    else:
        torch.save(state, path)
    path.with_name(path.name + ".json").write_text(json.dumps(arguments))
    return path


def heun(network: Any, start: Any, steps: int, labels: Any = None, ends: tuple[float, float] = (0.002, 80.0)) -> Any:
    """Algorithm 2 of arXiv:2206.00364 without churn, with D(x; σ): σ from 80 to 0.002 with ρ = 7, and 0 at the end."""
    import torch

    i, (low, high) = torch.arange(steps, dtype=torch.float64), ends
    t = (high ** (1 / 7) + i / (steps - 1) * (low ** (1 / 7) - high ** (1 / 7))) ** 7
    t = torch.cat([t, torch.zeros(1, dtype=torch.float64)])
    x = start.double() * t[0]
    with torch.no_grad():
        for now, to in pairwise(t):
            d = (x - network(x.float(), now.float().expand(len(x)), labels)) / now
            after = x + (to - now) * d
            if to > 0:
                there = (after - network(after.float(), to.float().expand(len(x)), labels)) / to
                after = x + (to - now) * (d + there) / 2
            x = after
    return x
