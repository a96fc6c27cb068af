"""State dicts of OpenAI's guided-diffusion (arXiv:2105.05233), with the flags of its scripts as JSON beside them.

What the shapes of the weights show is read from them. The number of attention heads, the schedule and what the output
means they do not show: those are flags, and flags that are given and contradict the weights are an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtool.errors import DtoolError, UsageError
from dtool.models.description import Description
from dtool.models.network import Network
from dtool.models.origin import Origin
from dtool.models.reader import reader
from dtool.models.readers.adm_unet import UNetShape, make_unet, read_unet_shape
from dtool.models.readers.opening import build_spec, open_module, read_settings, read_words
from dtool.models.readers.torch_weights import fit_weights, list_keys, read_content
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.util.options import describe_mistake

SIGNS = ("time_embed.0.weight", "input_blocks.0.0.weight", "middle_block.1.qkv.weight", "out.2.weight")
ALLOWED = ("shape", "data_range", "clip", "class_names")
Count = Annotated[int, Field(ge=1, le=1 << 16)]
# What the scripts take by default for each size of image where channel_mult is not given.
LEVELS: dict[int, tuple[float, ...]] = {
    512: (0.5, 1, 1, 2, 2, 4, 4), 256: (1, 1, 2, 2, 4, 4), 128: (1, 1, 2, 3, 4), 64: (1, 2, 3, 4),
}  # fmt: skip


class Flags(BaseModel):
    """The flags of guided-diffusion's scripts that matter here, with the scripts' defaults; others are not looked at.

    None is a flag that the weights show: where it is given, it must agree with them.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    image_size: Count = 64
    num_heads: Count = 4
    num_head_channels: Annotated[int, Field(ge=-1, le=1 << 16)] = -1
    num_heads_upsample: Annotated[int, Field(ge=-1, le=1 << 16)] = -1
    use_new_attention_order: bool = False
    diffusion_steps: Annotated[int, Field(ge=1, le=10**6)] = 1000
    noise_schedule: Literal["linear", "cosine"] = "linear"
    predict_xstart: bool = False
    rescale_timesteps: bool = False
    num_channels: int | None = None
    num_res_blocks: int | None = None
    attention_resolutions: str | None = None
    channel_mult: str | None = None
    learn_sigma: bool | None = None
    class_cond: bool | None = None
    resblock_updown: bool | None = None
    use_scale_shift_norm: bool | None = None


def recognises(source: Any) -> bool:
    """Whether a file holds the weights of such a U-Net, and of nothing around it."""
    return list_keys(source).issuperset(SIGNS)


@reader("adm", recognises=recognises, summary="a state dict of OpenAI's guided-diffusion, its scripts' flags beside it")
def adm(source: Any, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    """The network of a state dict, in the coordinates of its linear or cosine schedule.

    Raises DtoolError for a file that is damaged or unsafe, and where flags and weights are of different networks;
    UsageError where there are no flags.
    """
    path = Path(source)
    said = read_words(path, description, ALLOWED)
    weights = read_content(path)
    shape = read_unet_shape(weights, path)
    flags, beside = _read_flags(path)
    _require_agreement(flags, shape, beside)
    heads = _choose_heads(flags, shape, beside)
    fields = {
        "shape": _check_image_shape(said.get("shape"), flags, shape, path),
        "schedule": _name_schedule(flags), "prediction": "x0" if flags.predict_xstart else "eps",
        "classes": shape.classes, "null_class": not shape.classes,
        "learned_variance": shape.learned_variance, "clip": True,
    }  # fmt: skip
    spec = build_spec(path, **{**said, **fields, "clip": said.get("clip", True)})
    remedy = f"give the flags that it was trained with, in {beside.name}"
    module = fit_weights(lambda: make_unet(shape, flags.image_size, heads), weights, path, remedy)
    scale = 1000 / flags.diffusion_steps if flags.rescale_timesteps else 1.0
    module = module if scale == 1 else _scale_times(module, scale)
    return open_module(path, module, spec, runtime, _describe(flags, shape, beside))


def _read_flags(path: Path) -> tuple[Flags, Path]:
    candidates = (path.with_name(path.name + ".json"), path.with_suffix(".json"))
    beside = next((each for each in candidates if each.is_file()), None)
    if beside is None:
        raise UsageError(
            f"{path}: its weights do not show image_size, num_heads or num_head_channels, and noise_schedule",
            f"write the flags that it was trained with to {candidates[0].name}: "
            '{"image_size": 64, "num_head_channels": 64, "noise_schedule": "cosine"}',
        )
    held = read_settings(beside)
    if isinstance(held.get("channel_mult"), list) or isinstance(held.get("attention_resolutions"), list):
        held = {name: ",".join(map(str, v)) if isinstance(v, list) else v for name, v in held.items()}
    try:
        return Flags.model_validate(held), beside
    except ValidationError as error:
        first = error.errors()[0]
        raise DtoolError(f"{beside}: {first['loc'][0]}: {describe_mistake(first)}", "mend the flag") from error


def _require_agreement(flags: Flags, shape: UNetShape, beside: Path) -> None:
    """Raise DtoolError for the first flag that the weights contradict."""
    shown: dict[str, Any] = {
        "num_channels": shape.num_channels, "num_res_blocks": shape.num_res_blocks,
        "learn_sigma": shape.learned_variance, "class_cond": bool(shape.classes),
        "use_scale_shift_norm": shape.use_scale_shift_norm,
        "attention_resolutions": {flags.image_size // each for each in shape.attention},
        "channel_mult": tuple(shape.channel_mult),
    }  # fmt: skip
    if shape.downsampling > 1:  # of one level nothing is resampled
        shown["resblock_updown"] = shape.resblock_updown
    for name, own in shown.items():
        given = getattr(flags, name)
        if given is None or (name == "channel_mult" and not given and flags.image_size not in LEVELS):
            continue
        try:
            if name == "attention_resolutions":
                given = {int(each) for each in given.split(",") if each} & _list_sizes(flags, shape)
            if name == "channel_mult":
                given = tuple(map(float, given.split(","))) if given else tuple(map(float, LEVELS[flags.image_size]))
        except ValueError as error:
            raise DtoolError(f"{beside}: {name} is no list of numbers", "write it as 32,16,8") from error
        if given != own:
            raise DtoolError(
                f"{beside}: {name} is {_format(given)}, and the weights are of a network with {_format(own)}",
                "give the flags that it was trained with, or leave out what the weights show",
            )


def _choose_heads(flags: Flags, shape: UNetShape, beside: Path) -> dict[str, Any]:
    """The flags of attention; raises DtoolError for a number that does not divide the channels where it is used."""
    own = "num_head_channels" if flags.num_head_channels > 0 else "num_heads"
    levels = {len(shape.channel_mult) - 1, *(each.bit_length() - 1 for each in shape.attention)}
    if any(shape.num_channels * shape.channel_mult[level] % getattr(flags, own) for level in levels):
        raise DtoolError(f"{beside}: {own}={getattr(flags, own)} does not divide the channels", "mend the flags")
    names = ("num_heads", "num_head_channels", "num_heads_upsample", "use_new_attention_order")
    return {name: getattr(flags, name) for name in names}


def _list_sizes(flags: Flags, shape: UNetShape) -> set[int]:
    return {flags.image_size // 2**level for level in range(len(shape.channel_mult))}


def _format(value: Any) -> str:
    values = sorted(value) if isinstance(value, (set, tuple)) else None
    return str(value) if values is None else ",".join(f"{each:g}" for each in values) or "none"


def _check_image_shape(said: Any, flags: Flags, shape: UNetShape, path: Path) -> tuple[int, ...]:
    own = said or (shape.in_channels, flags.image_size, flags.image_size)
    if len(own) != 3 or own[0] != shape.in_channels or any(size % shape.downsampling for size in own[1:]):
        raise UsageError(
            f"{path}: the network takes {shape.in_channels} channels and sizes that {shape.downsampling} divides; "
            f"got shape={tuple(own)}",
            f"say --shape {shape.in_channels},{flags.image_size},{flags.image_size}",
        )
    return tuple(own)


def _name_schedule(flags: Flags) -> str:
    """The schedule as dtool names it: their β are scaled for other numbers of steps, and capped at 0.999, just so."""
    steps = f"T={flags.diffusion_steps}"
    return f"linear:{steps}" if flags.noise_schedule == "linear" else f"cosine:{steps}"


def _scale_times(module: Any, scale: float) -> Any:
    """The network under rescale_timesteps, which is told 1000·t/T: F(x, scale·t[, label])."""
    from torch import nn

    class ScaledTimes(nn.Module):
        """The U-Net, moved and set as any module."""

        def __init__(self) -> None:
            super().__init__()
            self.unet = module

        def forward(self, x: Any, t: Any, label: Any = None) -> Any:
            """One call, `(B, C, H, W)`."""
            return self.unet(x, scale * t) if label is None else self.unet(x, scale * t, label)

    return ScaledTimes()


def _describe(flags: Flags, shape: UNetShape, beside: Path) -> Origin:
    asked = ("num_heads", "noise_schedule", "diffusion_steps", "use_new_attention_order", "predict_xstart")
    absent = [name for name in asked if name not in flags.model_fields_set]
    if flags.num_head_channels > 0 and "num_heads" in absent:
        absent.remove("num_heads")
    kind = f"for {shape.classes} classes" if shape.classes else "unconditional"
    return Origin(
        reader="adm",
        what=f"a U-Net of OpenAI's guided-diffusion, {kind}" + (", learned variance" if shape.learned_variance else ""),
        recipe="ddpm:sigma=learned/sections" if shape.learned_variance else "ddpm:sigma=beta/sections",
        steps=min(250, flags.diffusion_steps),
        differences=("it is guided by a classifier's gradient where its makers say so; that is not here",),
        assumptions=tuple(
            f"{name} is not in {beside.name}: {getattr(flags, name)}, the script's default" for name in absent
        ),
    )
