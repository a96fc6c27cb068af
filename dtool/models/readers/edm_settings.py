"""The configuration of a network of EDM: the arguments of its constructors, as JSON beside the weights.

What the weights show may be left out, and where it is given it must agree with them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtool.errors import DtoolError, UsageError, did_you_mean
from dtool.models.readers.opening import find_settings, read_settings
from dtool.models.weight_file import read_metadata
from dtool.util import bounded_reading
from dtool.util.options import describe_mistake

Count = Annotated[int, Field(ge=1, le=1 << 16)]
Number = Annotated[int, Field(ge=0, le=1 << 20)]
Level = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Precond = Literal["EDMPrecond", "VPPrecond", "VEPrecond", "iDDPMPrecond"]
Unet = Literal["SongUNet", "DhariwalUNet"]
DEFAULT_UNET: dict[str, Unet] = {"EDMPrecond": "DhariwalUNet", "iDDPMPrecond": "DhariwalUNet"}  # of others SongUNet
OWN = {  # arguments that only one of the classes has
    "EDMPrecond": ("sigma_min", "sigma_max", "sigma_data"), "VEPrecond": ("sigma_min", "sigma_max"),
    "VPPrecond": ("beta_d", "beta_min", "M", "epsilon_t"), "iDDPMPrecond": ("C_1", "C_2", "M"),
    "SongUNet": (
        "embedding_type", "channel_mult_noise", "encoder_type", "decoder_type", "resample_filter",
    ),
    "DhariwalUNet": (),
}  # fmt: skip
UNET_DEFAULTS: dict[str, dict[str, Any]] = {
    "SongUNet": {
        "model_channels": 128, "channel_mult": (1, 2, 2, 2), "num_blocks": 4, "attn_resolutions": (16,),
    },
    "DhariwalUNet": {
        "model_channels": 192, "channel_mult": (1, 2, 3, 4), "num_blocks": 3, "attn_resolutions": (32, 16, 8),
    },
}  # fmt: skip
EXAMPLE = '{"class_name": "EDMPrecond", "model_type": "SongUNet", "channel_mult": [2, 2, 2], "augment_dim": 9}'


class Settings(BaseModel):
    """The arguments, with EDM's own defaults. None: the weights show it, or it depends on the kind of U-Net."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", protected_namespaces=())

    class_name: Precond = "EDMPrecond"
    model_type: Unet
    img_resolution: Count | None = None
    img_channels: Annotated[int, Field(ge=1, le=1024)] | None = None
    label_dim: Number | None = None
    use_fp16: bool = False
    sigma_min: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    sigma_max: Level | None = None
    sigma_data: Level = 0.5
    beta_d: Level = 19.9
    beta_min: Level = 0.1
    epsilon_t: Level = 1e-5
    C_1: Level = 0.001
    C_2: Level = 0.008
    M: Annotated[int, Field(ge=2, le=1 << 16)] = 1000
    model_channels: Annotated[int, Field(ge=4, le=1 << 14)]
    channel_mult: Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=12)]
    channel_mult_emb: Annotated[int, Field(ge=1, le=64)] = 4
    num_blocks: Annotated[int, Field(ge=1, le=64)]
    attn_resolutions: Annotated[tuple[Count, ...], Field(max_length=64)]
    dropout: Share = 0.1
    label_dropout: Share = 0.0
    augment_dim: Number = 0
    embedding_type: Literal["positional", "fourier"] = "positional"
    channel_mult_noise: Annotated[int, Field(ge=1, le=64)] = 1
    encoder_type: Literal["standard", "skip", "residual"] = "standard"
    decoder_type: Literal["standard", "skip"] = "standard"
    resample_filter: Annotated[
        tuple[Annotated[float, Field(ge=0, le=1e6)], ...], Field(min_length=2, max_length=32)
    ] = (1.0, 1.0)

    @property
    def sigma_range(self) -> tuple[float, float]:
        """EDM's own limits of σ where the class takes them as arguments."""
        low, high = (0.02, 100.0) if self.class_name == "VEPrecond" else (0.0, inf)
        return (low if self.sigma_min is None else self.sigma_min), (high if self.sigma_max is None else self.sigma_max)


def read_edm_settings(weights: Path) -> tuple[Settings, str]:
    """The configuration within a .safetensors, or beside the weights, and where it was.

    Raises UsageError where there is none, DtoolError for one that is not valid.
    """
    text = read_metadata(weights).get("config")
    held: Any = None if text is None else bounded_reading.parse_json(text, str(weights))
    where = f"{weights}, its config"
    if held is None:
        beside = find_settings(weights)
        if beside is None:
            raise UsageError(
                f"{weights}: weights of EDM, which do not say what they are of",
                f"write the arguments of its constructor to {weights.name}.json: {EXAMPLE}",
            )
        held, where = read_settings(beside), str(beside)
    if not isinstance(held, Mapping):
        raise DtoolError(f"{where} is no JSON object", 'write {"name": value, …}')
    return parse_settings(held, where), where


def parse_settings(held: Mapping[str, Any], where: str) -> Settings:
    """The settings of a document: the arguments, or what EDM's training writes, with them in `network_kwargs`.

    Raises DtoolError for an argument that is not known, not valid, or not of the classes that are named.
    """
    inner = held.get("network_kwargs")
    said = {**(inner if isinstance(inner, Mapping) else held)}
    if isinstance(inner, Mapping):
        said |= {name: held[name] for name in ("img_resolution", "img_channels", "label_dim") if name in held}
    said["class_name"] = str(said.get("class_name", "EDMPrecond")).rpartition(".")[2]
    said.setdefault("model_type", DEFAULT_UNET.get(said["class_name"], "SongUNet"))
    for name in said:
        if name not in Settings.model_fields:
            raise DtoolError(f"{where}: EDM has no argument {name!r}", did_you_mean(name, list(Settings.model_fields)))
    defaults = UNET_DEFAULTS.get(str(said["model_type"]), {})
    try:
        settings = Settings.model_validate_json(json.dumps({**defaults, **said}))
    except (ValidationError, TypeError, ValueError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        wrong = f"{'.'.join(map(str, first['loc']))}: {describe_mistake(first)}" if first else "no plain values"
        raise DtoolError(f"{where}: the configuration is not valid ({wrong})", "mend it") from error
    _require_own_arguments(settings, said, where)
    return settings


def _require_own_arguments(settings: Settings, said: Mapping[str, Any], where: str) -> None:
    """Raise DtoolError for what the classes do not take, and for what does not fit together."""
    taken = {*OWN[settings.class_name], *OWN[settings.model_type]}
    special = {name for names in OWN.values() for name in names}
    foreign = next((name for name in said if name in special - taken), None)
    if foreign is not None:
        raise DtoolError(
            f"{where}: {settings.class_name} around {settings.model_type} takes no {foreign}", "leave it out"
        )
    taps, levels = settings.resample_filter, len(settings.channel_mult)
    if len(taps) % 2 or not sum(taps):
        raise DtoolError(f"{where}: resample_filter has to have an even number of taps", "write [1, 1] or [1, 3, 3, 1]")
    if settings.img_resolution and settings.img_resolution % 2 ** (levels - 1):
        raise DtoolError(
            f"{where}: img_resolution {settings.img_resolution} is not halved {levels - 1} times, as channel_mult asks",
            "give the configuration that the weights were trained with",
        )
    low, high = settings.sigma_range
    if low >= high:
        raise DtoolError(f"{where}: sigma_min={low:g} is not below sigma_max={high:g}", "give sigma_min lower")
