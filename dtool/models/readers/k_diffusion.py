"""Networks of k-diffusion: weights with the JSON configuration that its training took, beside them or inside.

The network F inside is opened, and EDM's preconditioning around it is the prediction:
x0 = c_skip·x + c_out·F(c_in·x, σ) (arXiv:2206.00364, table 1, which k-diffusion's `layers.Denoiser` is).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtool.errors import DtoolError
from dtool.models.description import Description
from dtool.models.network import Network
from dtool.models.origin import Origin
from dtool.models.reader import reader
from dtool.models.readers.opening import build_spec, find_settings, open_module, read_settings, read_words
from dtool.models.readers.package_parts import import_part
from dtool.models.readers.torch_weights import SUFFIXES, fit_weights, list_keys, read_content, select
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.models.weight_file import read_metadata
from dtool.util import bounded_reading
from dtool.util.options import describe_mistake

SIGNS = ("proj_in.weight", "timestep_embed.weight", "u_net.d_blocks.0.1.main.0.mapper.weight")
WRAPPERS = ("", "inner_model.", "inner_model.inner_model.")
AUGMENTATION = 9  # numbers that the wrapper for augmentation adds to the condition; zeros when sampling
TYPES = ("image_v1", "image_transformer_v1")
ALLOWED = ("data_range", "clip")
Count = Annotated[int, Field(ge=0, le=1 << 16)]


class ModelSettings(BaseModel):
    """`model` of a configuration, as far as the network follows from it; defaults are k-diffusion's own."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    type: Literal["image_v1"]
    input_channels: Annotated[int, Field(ge=1, le=1024)]
    input_size: tuple[Annotated[int, Field(ge=1, le=1 << 14)], Annotated[int, Field(ge=1, le=1 << 14)]]
    mapping_out: Annotated[int, Field(ge=2, le=1 << 16)]
    depths: Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=16)]
    channels: Annotated[tuple[Annotated[int, Field(ge=1, le=1 << 16)], ...], Field(min_length=1, max_length=16)]
    self_attn_depths: Annotated[tuple[bool, ...], Field(min_length=1, max_length=16)]
    patch_size: Annotated[int, Field(ge=1, le=64)] = 1
    augment_wrapper: bool = True
    mapping_cond_dim: Count = 0
    unet_cond_dim: Count = 0
    cross_cond_dim: Count = 0
    skip_stages: Annotated[int, Field(ge=0, le=16)] = 0
    has_variance: bool = False
    sigma_data: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    sigma_min: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    sigma_max: Annotated[float, Field(gt=0, allow_inf_nan=False)]


def recognises(source: Any) -> bool:
    """Whether a file holds such a network, or is the configuration of one with its weights beside it."""
    if isinstance(source, Path) and source.suffix.lower() == ".json":
        return _names_network(source) and _find_weights(source) is not None
    keys = list_keys(source)
    return any(all(wrapper + sign in keys for sign in SIGNS) for wrapper in WRAPPERS)


def _names_network(path: Path) -> bool:
    try:
        content = bounded_reading.read_json(path)
    except (OSError, ValueError, DtoolError):
        return False
    model = content.get("model") if isinstance(content, dict) else None
    return isinstance(model, dict) and model.get("type") in TYPES


def _find_weights(settings: Path) -> Path | None:
    stem = settings.name.removesuffix(".json")
    names = [stem, *(stem + suffix for suffix in SUFFIXES)]
    return next((each for name in names if (each := settings.with_name(name)) != settings and list_keys(each)), None)


@reader(
    "k-diffusion", recognises=recognises, summary="a network of k-diffusion: .pth or .safetensors, and its JSON config"
)
def k_diffusion(source: Any, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    """The averaged network, under σ from its sigma_min to its sigma_max.

    Raises DtoolError for a file that is damaged or unsafe, for a configuration that is missing, invalid or of another
    network than the weights, and for networks with conditions of their own.
    """
    path = Path(source)
    said = read_words(path, description, ALLOWED)
    given = path if path.suffix.lower() == ".json" else None
    weights_path = (_find_weights(path) or path) if given else path
    content = read_content(weights_path)
    settings, where = _read_settings(weights_path, content, given)
    weights, averaged = _find_network(content, weights_path)
    module = fit_weights(
        lambda: _make_network(settings),
        weights,
        weights_path,
        f"give the configuration that it was trained with, not {where}",
    )
    spec = build_spec(
        where,
        **{
            "shape": (settings.input_channels, *settings.input_size),
            "schedule": f"edm:sigma_min={settings.sigma_min!r},sigma_max={settings.sigma_max!r}",
            "prediction": f"edm:sigma_data={settings.sigma_data!r}",
            "time": "sigma",
            **said,
        },
    )
    origin = Origin(
        reader="k-diffusion",
        what=f"an {settings.type} network of k-diffusion, {'averaged weights' if averaged else 'one set of weights'}",
        recipe="euler/karras",
        differences=("its own script samples with LMS, its training shows DPM-Solver++(2M) SDE: both are here, too",),
    )
    return open_module(path, module, spec, runtime, origin)


def _read_settings(weights: Path, content: Mapping[str, Any], given: Path | None) -> tuple[ModelSettings, Path]:
    """The configuration that is given, lies in the file, or beside it, and where it was."""
    where = given or weights
    held: Any = read_settings(given) if given else content.get("config") or _read_embedded(weights)
    if held is None:
        beside = find_settings(weights)
        if beside is None:
            raise DtoolError(
                f"{weights}: a network of k-diffusion without its configuration",
                f"put the JSON that it was trained with beside it, as {weights.name}.json",
            )
        held, where = read_settings(beside), beside
    model = held.get("model") if isinstance(held, Mapping) else None
    if not isinstance(model, Mapping):
        raise DtoolError(f"{where} says nothing of a model", "give the JSON configuration of k-diffusion's train.py")
    return _parse_settings(model, where), where


def _read_embedded(weights: Path) -> Any:
    """The configuration in the metadata of a .safetensors, as convert_for_inference.py writes it."""
    text = read_metadata(weights).get("config")
    return None if text is None else bounded_reading.parse_json(text, str(weights))


def _parse_settings(model: Mapping[str, Any], where: Path) -> ModelSettings:
    if model.get("type") not in TYPES[:1]:
        raise DtoolError(
            f"{where}: networks of type {str(model.get('type'))[:60]!r} are not read, only image_v1",
            "open it by its own code: package.module:factory",
        )
    try:
        settings = ModelSettings.model_validate_json(json.dumps(dict(model)))
    except (ValidationError, TypeError, ValueError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        wrong = f"model.{'.'.join(map(str, first['loc']))}: {describe_mistake(first)}" if first else "no plain values"
        raise DtoolError(f"{where}: the configuration is not valid ({wrong})", "mend it") from error
    levels = {len(settings.depths), len(settings.channels), len(settings.self_attn_depths)}
    if len(levels) > 1 or settings.skip_stages >= len(settings.depths):
        raise DtoolError(f"{where}: depths, channels and self_attn_depths are not of one length", "mend it")
    if settings.sigma_min >= settings.sigma_max:
        raise DtoolError(f"{where}: sigma_min is not below sigma_max", "mend it")
    if settings.mapping_cond_dim or settings.unet_cond_dim or settings.cross_cond_dim:
        raise DtoolError(
            f"{where}: the network takes conditions of its own", "open it by its own code: package.module:factory"
        )
    return settings


def _find_network(content: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], bool]:
    for key in ("model_ema", "model", ""):
        held = content.get(key) if key else content
        if not isinstance(held, Mapping):
            continue
        wrapper = next((each for each in reversed(WRAPPERS) if each + SIGNS[0] in held), None)
        if wrapper is not None:
            return select(held, wrapper), key == "model_ema"
    raise DtoolError(f"{path} holds no network of k-diffusion", "give the .pth that its train.py saved")


def _make_network(settings: ModelSettings) -> Any:
    """The package's own network, without the wrapper for augmentation: it adds a bias-free map of zeros."""
    image_v1 = import_part("k_diffusion", "models.image_v1", "k-diffusion", "build the network of this checkpoint")
    return image_v1.ImageDenoiserModelV1(
        settings.input_channels, settings.mapping_out, settings.depths, settings.channels, settings.self_attn_depths,
        mapping_cond_dim=AUGMENTATION if settings.augment_wrapper else 0,
        patch_size=settings.patch_size, skip_stages=settings.skip_stages, has_variance=settings.has_variance,
    )  # fmt: skip
