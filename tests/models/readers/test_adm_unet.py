"""What the shapes of the weights show of guided-diffusion's U-Net."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import dtool
from dtool.models.readers.adm_unet import UNetShape, make_unet, read_unet_shape
from tests.support.origin_packages import import_origin

PATH = Path("net.pt")
SHAPE = UNetShape(
    num_channels=32, in_channels=3, out_channels=6, num_res_blocks=2, channel_mult=(1.0, 3.0, 2.0), attention=(2, 4),
    classes=5, use_scale_shift_norm=True, resblock_updown=False,
)  # fmt: skip
HEADS = {"num_heads": 2}


def list_weights(shape: UNetShape) -> dict[str, Any]:
    """The weights of such a U-Net, without memory."""
    import_origin("azula.plugins.adm")
    import torch

    with torch.device("meta"):
        return dict(make_unet(shape, 16, HEADS).state_dict())


@pytest.mark.parametrize(
    "change",
    [
        {}, {"classes": 0}, {"resblock_updown": True}, {"use_scale_shift_norm": False}, {"attention": ()},
        {"out_channels": 3}, {"num_res_blocks": 1}, {"attention": (1, 4)}, {"channel_mult": (2.0, 1.0)},
    ],
)  # fmt: skip
def test_the_shape_is_read_back(change: dict[str, Any]) -> None:
    fields = {**vars(SHAPE), **change}
    if "channel_mult" in change:
        fields["attention"] = (2,)
    shape = UNetShape(**fields)
    assert read_unet_shape(list_weights(shape), PATH) == shape


def test_what_follows_from_it() -> None:
    assert (SHAPE.learned_variance, SHAPE.downsampling) == (True, 4)


@pytest.mark.parametrize(
    ("missing", "cause"),
    [
        ("time_embed.0.weight", "time_embed.0.weight is not there"),
        ("input_blocks.4.0.out_layers.3.weight", "input_blocks.4.0.out_layers.3.weight is not there"),
        ("output_blocks.2.2.conv.weight", "9 blocks down, 9 up and 2 levels do not make a U-Net"),
    ],
)
def test_weights_that_are_not_complete(missing: str, cause: str) -> None:
    weights = {name: value for name, value in list_weights(SHAPE).items() if name != missing}
    with pytest.raises(dtool.DtoolError, match=cause) as caught:
        read_unet_shape(weights, PATH)
    assert "save the whole state dict" in caught.value.hint
