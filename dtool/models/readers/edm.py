"""NVlabs' EDM (arXiv:2206.00364): its networks as live objects, and as weights with a configuration beside them.

Its own pickles hold code, and are refused.
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
from dtool.models.readers.edm_settings import Settings
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
CHURN = "where its makers add noise on the way, for ImageNet, theirs is edm-heun"
RECIPE, STEPS = "heun/karras", 18


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


@reader("edm", recognises=recognises, summary="a network of NVlabs' EDM: weights and their configuration, or an object")
def edm(source: Any, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    """The network of a state dict with its configuration, or D(x; σ) of a live object.

    Raises DtoolError for its pickles, which run code, and for weights and a configuration that are of different
    networks; UsageError for weights without a configuration.
    """
    if not isinstance(source, Path):
        return _open_object(source, description, runtime)
    if source.suffix.lower() in (".pkl", ".pickle"):
        raise DtoolError(
            f"{source}: refused, because opening it runs code that comes with the file: EDM pickles its networks",
            "unpickle it with EDM's own code where you trust it, and give the object: "
            "dtool.load(pickle.load(file)['ema']); or save its weights, torch.save(net.state_dict(), 'net.pt'), "
            "and its arguments in net.pt.json",
        )
    from dtool.models.readers.edm_weights import open_edm_weights

    said = read_words(source, description, ALLOWED)
    opened = open_edm_weights(source)
    classes = opened.fields["classes"]
    fields = {
        **opened.fields, "schedule": _name_schedule(*opened.sigmas),
        "null_class": bool(opened.settings.label_dropout) if classes else True,
    }  # fmt: skip
    spec = build_spec(source, **{**fields, **said})
    return open_module(source, opened.module, spec, runtime, _describe_weights(opened.settings, classes))


def _describe_weights(settings: Settings, classes: int) -> Origin:
    differences = [CHURN]
    if settings.use_fp16:
        differences.append("its makers run it in fp16 on a GPU, and here it runs in float32")
    if settings.class_name == "iDDPMPrecond":
        differences.append(f"its makers round each level of a run to one of the {settings.M} that it was trained at")
    assumptions = ("it was trained with a class for every image: label_dropout is 0",)
    kind = f"for {classes} classes" if classes else "unconditional"
    return Origin(
        reader="edm",
        what=f"a network of EDM, {settings.model_type} in {settings.class_name}, {kind}",
        recipe=RECIPE,
        steps=STEPS,
        differences=tuple(differences),
        assumptions=assumptions * bool(classes and not settings.label_dropout),
    )


def _name_schedule(low: float, high: float) -> str:
    """The levels between which it is sampled: those of EDM's sampler, within what the network allows."""
    low, high = max(SIGMA_MIN, low), min(SIGMA_MAX, high)
    if not low < high:
        raise UsageError(f"the network is of σ from {low:g} to {high:g}", "give it sigma_min below sigma_max")
    return f"edm:sigma_min={low!r},sigma_max={high!r}"


def _open_object(source: Any, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    """D(x; σ) of a live network, which predicts the image."""
    said = read_words(source, description, ALLOWED)
    classes, resolution = int(source.label_dim), source.img_resolution
    size = (resolution, resolution) if isinstance(resolution, int) else tuple(resolution)
    fields: dict[str, Any] = {
        "shape": (source.img_channels, *size),
        "schedule": _name_schedule(float(source.sigma_min), float(source.sigma_max)),
        "prediction": "x0", "time": "sigma", "classes": classes, "null_class": None if classes else True,
    }  # fmt: skip
    spec = build_spec(source, **{**fields, **said})
    origin = Origin(
        reader="edm",
        what=f"a network of EDM, {f'for {classes} classes' if classes else 'unconditional'}",
        recipe=RECIPE,
        steps=STEPS,
        differences=(CHURN,),
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
