"""What the configs of diffusers' networks say of their specs: shape, conditions, classes, learned variance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from dtool.errors import DtoolError, format_value
from dtool.models.conditions import Condition
from dtool.models.readers.diffusers_networks import Flux, StableDiffusion3, TextUNet, Unconditional
from dtool.models.readers.time_ids import COUNT, REFINER_COUNT

FLUX_SIZE = 128  # of the latents of Flux's usual picture, 1024 pixels: its config does not say


@dataclass(frozen=True, kw_only=True)
class Fields:
    """What a network's config says of its spec. `shape` is None where it does not say the size.

    classes: rows of its class table, without a null row where the network is known to have one (null_class).
    images: the conditions that are part of its input, and have x's height and width.
    """

    module: nn.Module
    shape: tuple[int, ...] | None
    channels: int
    conditions: tuple[Condition, ...] = ()
    classes: int = 0
    null_class: bool = True
    learned_variance: bool = False
    images: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    def fit_conditions(self, shape: tuple[int, ...]) -> tuple[Condition, ...]:
        """The conditions of a network that samples this shape."""
        return tuple(
            one.model_copy(update={"shape": (one.shape[0], *shape[1:])}) if one.name in self.images else one
            for one in self.conditions
        )


def _read_size(size: Any) -> tuple[int, int] | None:
    pair = (size, size) if isinstance(size, int) else size
    if pair is None:
        return None
    if not (isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(n, int) and n > 0 for n in pair)):
        raise DtoolError(f"the network's config: sample_size is {format_value(size)}", "write a whole number there")
    return pair[0], pair[1]


def _describe_base(inner: Any, wrapper: nn.Module, **others: Any) -> Fields:
    """Shape and outputs from in_channels, out_channels and sample_size."""
    config = inner.config
    taken, given = config["in_channels"], config.get("out_channels") or config["in_channels"]
    if others.get("images"):
        taken = given
    if given not in (taken, 2 * taken):
        raise DtoolError(
            f"the network takes {taken} channels and predicts {given}: part of its input is another image",
            "dtool does not open such networks: wrap it in a module that fixes that image",
        )
    size = _read_size(config.get("sample_size"))
    return Fields(
        module=wrapper, shape=None if size is None else (taken, *size), channels=taken,
        learned_variance=given == 2 * taken, **others,
    )  # fmt: skip


def _count_classes(config: Any) -> int:
    if config.get("class_embed_type") is not None:
        raise DtoolError(
            f"the network's class embedding is a {format_value(config['class_embed_type'])}, and not a table",
            "wrap it in a module that makes the embedding",
        )
    return config.get("num_class_embeds") or 0


def describe_unet(inner: Any) -> Fields:
    """UNet2DModel. Whether the last row of its class table means no class, the config does not say."""
    classes = _count_classes(inner.config)
    assumed = ("every row of the class table is a class: say classes= one less if the last means none",)
    return _describe_base(
        inner, Unconditional(inner), classes=classes, null_class=not classes, assumptions=assumed if classes else ()
    )


def _list_images(config: Any) -> tuple[Condition, ...]:
    """The images that a network's input holds after x, by how many channels are left for them; of any size.

    Of 4 that are predicted: 5 more are a mask and a masked picture's latents, 4 a picture's latents, 1 a depth.
    """
    given = config["out_channels"]
    more = config["in_channels"] - given
    if more <= 0:
        return ()
    if more == given + 1:
        return Condition(name="mask", shape=(1, None, None)), Condition(name="masked", shape=(given, None, None))
    return (Condition(name="depth" if more == 1 else "image", shape=(more, None, None)),)


def describe_text_unet(inner: Any, time_ids: int = COUNT) -> Fields:
    """UNet2DConditionModel of Stable Diffusion, Stable Diffusion XL or a latent consistency model, or of their kind for
    inpainting, editing, depths and enlarging. time_ids: how many numbers a network of XL's kind is told beside a text.
    """
    config = inner.config
    width = config["cross_attention_dim"]
    added = config.get("addition_embed_type")
    if config.get("encoder_hid_dim_type") is not None or added not in (None, "text_time") or not isinstance(width, int):
        raise DtoolError(
            f"the network is told more than a text (addition_embed_type={added!r})",
            "wrap it in a module that fixes the rest",
        )
    conditions = [Condition(name="text", shape=(None, width))]
    if added == "text_time":
        taken, each = inner.add_embedding.linear_1.in_features, config["addition_time_embed_dim"]
        pooled = taken - time_ids * each
        if pooled < 1:
            raise DtoolError(
                f"the network's config: {taken} numbers cannot be {time_ids} sizes of {each} each and a pooled text",
                "write the addition_time_embed_dim that it was trained with",
            )
        conditions += [Condition(name="pooled", shape=(pooled,)), Condition(name="time_ids", shape=(time_ids,))]
    if config.get("time_cond_proj_dim") is not None:
        conditions.append(Condition(name="guidance_scale"))
    classes, images = _count_classes(config), _list_images(config)
    names = tuple(one.name for one in images)
    return _describe_base(
        inner, TextUNet(inner, names), conditions=(*conditions, *images), classes=classes, null_class=not classes,
        images=names,
    )  # fmt: skip


def is_refiner_alone(inner: Any) -> bool:
    """Whether a text network is of a refiner's sizes: with five numbers beside a pooled text as wide as the text is."""
    width, each = inner.config["cross_attention_dim"], inner.config.get("addition_time_embed_dim")
    if inner.config.get("addition_embed_type") != "text_time" or not isinstance(each, int):
        return False
    return bool(inner.add_embedding.linear_1.in_features - REFINER_COUNT * each == width)


def describe_dit(inner: Any) -> Fields:
    """DiTTransformer2DModel: its class table has one row more than classes, which means none."""
    return _describe_base(inner, Unconditional(inner), classes=inner.config["num_embeds_ada_norm"])


def describe_sd3(inner: Any) -> Fields:
    """SD3Transformer2DModel: text and pooled text."""
    config = inner.config
    conditions = (
        Condition(name="text", shape=(None, config["joint_attention_dim"])),
        Condition(name="pooled", shape=(config["pooled_projection_dim"],)),
    )
    return _describe_base(inner, StableDiffusion3(inner), conditions=conditions)


def describe_flux(inner: Any) -> Fields:
    """FluxTransformer2DModel: a quarter of its channels are the latents'."""
    config = inner.config
    channels = config["in_channels"] // 4
    if (config.get("out_channels") or config["in_channels"]) != config["in_channels"]:
        raise DtoolError("the network's input holds another image", "wrap it in a module that fixes that image")
    conditions = [
        Condition(name="text", shape=(None, config["joint_attention_dim"])),
        Condition(name="pooled", shape=(config["pooled_projection_dim"],)),
    ]
    if config.get("guidance_embeds"):
        conditions.append(Condition(name="guidance_scale"))
    return Fields(
        module=Flux(inner), shape=(channels, FLUX_SIZE, FLUX_SIZE), channels=channels, conditions=tuple(conditions),
        assumptions=("pictures have 1024 × 1024 pixels: say another shape if they do not",),
    )  # fmt: skip


DESCRIPTIONS: dict[str, Callable[[Any], Fields]] = {
    "UNet2DModel": describe_unet,
    "UNet2DConditionModel": describe_text_unet,
    "DiTTransformer2DModel": describe_dit,
    "SD3Transformer2DModel": describe_sd3,
    "FluxTransformer2DModel": describe_flux,
}
