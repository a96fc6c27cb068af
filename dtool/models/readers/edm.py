"""NVlabs' EDM (arXiv:2206.00364): its networks as live objects; its pickles, which hold code, are refused.

No package that this one could lean on has the architectures alone, so that a state dict opens through the code that
made it: `package.module:factory` returns the network, as it is or inside EDMPrecond.
"""

from __future__ import annotations

import pickletools
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError, UsageError
from dtool.models.description import Description
from dtool.models.network import Network
from dtool.models.origin import Origin
from dtool.models.reader import reader
from dtool.models.readers.opening import build_spec, open_module, read_words
from dtool.models.readers.torch_weights import STRINGS, list_keys
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.util import bounded_reading

PARTS = ("img_resolution", "img_channels", "label_dim", "sigma_min", "sigma_max", "round_sigma")
SIGNS = ("model.map_layer0.weight", "model.map_layer1.weight")
RECONSTRUCTION = "_reconstruct_persistent_obj"  # what its pickles call, with a module's source code
MOST_LOOKED_AT = 1 << 20  # bytes of a pickle: the call stands near its beginning
SIGMA_MIN, SIGMA_MAX = 0.002, 80.0  # of its sampler, within what the network itself allows
ALLOWED = ("data_range", "clip", "class_names", "guidance", "null_class")
FACTORY = (
    'write a function that makes it, loads the weights and returns (network, dtool.NetworkSpec(shape=(3, 64, 64), '
    'schedule="edm", prediction="x0", time="sigma")), and name it as package.module:function'
)  # fmt: skip


def recognises(source: Any) -> bool:
    """Whether it is a network with EDM's interface, a pickle of one, or its state dict."""
    if isinstance(source, str):
        return False
    if not isinstance(source, Path):
        return callable(source) and all(hasattr(source, part) for part in PARTS)
    if source.suffix.lower() in (".pkl", ".pickle"):
        return _holds_network(source)
    keys = list_keys(source)
    return any(all(prefix + sign in keys for sign in SIGNS) for prefix in ("", "ema.", "net."))


def _holds_network(path: Path) -> bool:
    names: set[str] = set()
    try:
        with bounded_reading.open_file(path) as file:
            start = file.read(MOST_LOOKED_AT)
        for code, value, _ in pickletools.genops(start):
            names |= {str(value)} if code.name in (*STRINGS, "GLOBAL") else set()
    except (OSError, ValueError):  # it goes on behind what is looked at, or is no pickle
        pass
    return any(RECONSTRUCTION in name for name in names)


@reader("edm", recognises=recognises, summary="a network of NVlabs' EDM, as an object; its pickles hold code")
def edm(source: Any, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    """D(x; σ) of a live network, which predicts the image.

    Raises DtoolError for its files, with what to do instead: the pickles run code, a state dict has no network.
    """
    if isinstance(source, Path):
        if source.suffix.lower() in (".pkl", ".pickle"):
            raise DtoolError(
                f"{source}: refused, because opening it runs code that comes with the file: EDM pickles its networks",
                "unpickle it with EDM's own code where you trust it, and give the object: "
                "dtool.load(pickle.load(file)['ema'])",
            )
        raise DtoolError(f"{source}: a state dict of EDM, which no installed package has the network for", FACTORY)
    said = read_words(source, description, ALLOWED)
    classes = int(source.label_dim)
    low, high = max(SIGMA_MIN, float(source.sigma_min)), min(SIGMA_MAX, float(source.sigma_max))
    if not low < high:
        raise UsageError(f"the network is of σ from {low:g} to {high:g}", "give it sigma_min below sigma_max")
    resolution = source.img_resolution
    size = (resolution, resolution) if isinstance(resolution, int) else tuple(resolution)
    fields: dict[str, Any] = {
        "shape": (source.img_channels, *size), "schedule": f"edm:sigma_min={low!r},sigma_max={high!r}",
        "prediction": "x0", "time": "sigma", "classes": classes, "null_class": None if classes else True,
    }  # fmt: skip
    spec = build_spec(source, **{**fields, **said})
    origin = Origin(
        reader="edm",
        what=f"a network of EDM, {f'for {classes} classes' if classes else 'unconditional'}",
        recipe="heun/karras",
        steps=18,
        differences=("where its makers add noise on the way, for ImageNet, theirs is edm-heun",),
        assumptions=("all zeros in the place of a class mean none: only some networks were trained so",)
        * bool(classes),
    )
    return open_module(source, _make_module(source, classes), spec, runtime, origin)


def _make_module(network: Any, classes: int) -> Any:
    """D as a module of (x, σ[, label]): the label one-hot, all zeros for no class."""
    import torch
    from torch import nn

    class Denoiser(nn.Module):
        """Computes in float32, as EDM's sampler asks for."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Any, sigma: Any, label: Any = None) -> Any:
            """x0, `(B, C, H, W)`."""
            if label is None:
                return self.network(x, sigma)
            table = torch.eye(classes + 1, classes, device=x.device)
            return self.network(x, sigma, table[label])

    return Denoiser()
