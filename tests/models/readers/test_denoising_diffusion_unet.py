"""What the shapes of the weights show of denoising-diffusion-pytorch's U-Nets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import dtool
from dtool.models.readers.denoising_diffusion_unet import UNetShape, make_unet, read_unet_shape
from tests.support.origin_packages import import_origin

PATH = Path("net.pt")
PLAIN = UNetShape(
    dim=8, init_dim=12, dim_mults=(1, 2, 3), channels=3, attn_heads=(1, 2, 3), attn_dim_head=(4, 8, 16),
    full_attn=(False, True, True),
)  # fmt: skip
SEQUENCES = UNetShape(
    dim=8, init_dim=12, dim_mults=(1, 2), channels=3, axes=1, attn_heads=(4,), attn_dim_head=(8,),
)  # fmt: skip
GUIDED = UNetShape(dim=8, init_dim=8, dim_mults=(1, 2), channels=1, classes=5, attn_heads=(4,), attn_dim_head=(8,))


def list_weights(shape: UNetShape) -> dict[str, Any]:
    """The weights of such a U-Net, without memory."""
    import_origin("denoising_diffusion_pytorch")
    import torch

    with torch.device("meta"):
        return dict(make_unet(shape).state_dict())


@pytest.mark.parametrize(
    "shape",
    [
        PLAIN, GUIDED, UNetShape(**{**vars(PLAIN), "self_condition": True}),
        UNetShape(**{**vars(PLAIN), "learned_variance": True}), UNetShape(**{**vars(PLAIN), "sinusoidal_dim": 6}),
        UNetShape(**{**vars(GUIDED), "channels": 3, "dim_mults": (2, 1, 1)}),
        UNetShape(**{**vars(PLAIN), "weighted": True}), SEQUENCES,
        UNetShape(**{**vars(SEQUENCES), "self_condition": True, "sinusoidal_dim": 16}),
    ],
)  # fmt: skip
def test_the_shape_is_read_back(shape: UNetShape) -> None:
    assert read_unet_shape(list_weights(shape), PATH) == shape


def test_what_follows_from_it() -> None:
    assert PLAIN.downsampling == 4
    assert GUIDED.assumptions[0] == "attention has 4 heads, the package's default"
    assert SEQUENCES.assumptions[0] == GUIDED.assumptions[0]


@pytest.mark.parametrize(
    ("missing", "cause"),
    [
        ("init_conv.weight", "init_conv.weight is not there"),
        ("downs.2.3.weight", "downs.2.3.weight is not there"),
        ("downs.1.", "the levels of the U-Net are not complete"),
        ("downs.0.2.to_qkv.weight", "downs.0.2.to_qkv.weight is not there"),
    ],
)
def test_weights_that_are_not_complete(missing: str, cause: str) -> None:
    weights = {name: value for name, value in list_weights(PLAIN).items() if not name.startswith(missing)}
    with pytest.raises(dtool.DtoolError, match=cause) as caught:
        read_unet_shape(weights, PATH)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "shape", "cause"),
    [
        ("final_conv.weight", (4, 12, 1, 1), "the U-Net makes 4 channels of 3"),
        ("final_conv.weight", (4, 12), r"final_conv.weight has the shape \(4, 12\)"),
        ("downs.1.3.1.weight", (15, 32, 1, 1), r"its levels have \[8, 15, 24\] channels, no multiples of 8"),
    ],
)
def test_weights_of_no_such_unet(name: str, shape: tuple[int, ...], cause: str) -> None:
    import torch

    with pytest.raises(dtool.DtoolError, match=cause) as caught:
        read_unet_shape({**list_weights(PLAIN), name: torch.empty(shape, device="meta")}, PATH)
    assert caught.value.hint
