"""The levels of EDM's U-Nets: the names of their layers in the files, and the sizes of their images."""

from __future__ import annotations

import pytest
import torch

from dtool.models.readers.edm_levels import Architecture
from dtool.models.readers.edm_unet import SongUNet
from tests.support.edm_cases import CASES, CHANNELS, SIZE, make_inputs
from tests.support.edm_files import make_network

TINY = Architecture(
    resolution=8, in_channels=1, out_channels=1, label_dim=0, augment_dim=0, channels=8, multiples=(1, 2),
    embedding_multiple=4, blocks=1, attention=(4,), encoder="residual", decoder="skip",
)  # fmt: skip
LAYERS = {
    "map_layer0", "map_layer1",
    "enc.8x8_conv", "enc.8x8_block0", "enc.4x4_down", "enc.4x4_aux_residual", "enc.4x4_block0",
    "dec.4x4_in0", "dec.4x4_in1", "dec.4x4_block0", "dec.4x4_block1", "dec.4x4_aux_norm", "dec.4x4_aux_conv",
    "dec.8x8_up", "dec.8x8_block0", "dec.8x8_block1", "dec.8x8_aux_up", "dec.8x8_aux_norm", "dec.8x8_aux_conv",
}  # fmt: skip
BLOCK = {
    "norm0.weight", "norm0.bias", "conv0.weight", "conv0.bias", "affine.weight", "affine.bias", "norm1.weight",
    "norm1.bias", "conv1.weight", "conv1.bias",
}  # fmt: skip
ATTENTION = {"norm2.weight", "norm2.bias", "qkv.weight", "qkv.bias", "proj.weight", "proj.bias"}


def test_layers_have_the_names_of_the_files() -> None:
    names = SongUNet(TINY).state_dict().keys()
    assert {".".join(name.split(".")[: 1 if name.startswith("map") else 2]) for name in names} == LAYERS

    def get_parts(layer: str) -> set[str]:
        return {name.removeprefix(f"{layer}.") for name in names if name.startswith(f"{layer}.")}

    assert get_parts("enc.8x8_block0") == BLOCK
    assert get_parts("dec.4x4_in0") == BLOCK | ATTENTION
    filters = {"conv0.resample_filter", "skip.resample_filter"}
    assert get_parts("enc.4x4_down") == BLOCK | filters | {"skip.weight", "skip.bias"}
    assert get_parts("dec.8x8_aux_up") == {"resample_filter"}


def test_sizes_and_names_of_levels() -> None:
    assert TINY.sizes == (8, 4)
    assert TINY.names == ("8x8", "4x4")


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_of_the_images_size_and_depends_on_all_that_is_told(name: str) -> None:
    network = make_network(CASES[name].arguments)
    x, noise, classes = make_inputs(CASES[name].arguments.get("label_dim", 0))
    with torch.no_grad():
        answer = network(x, noise, classes)
        others = [network(x, noise + 0.5, classes), network(x.flip(0), noise, classes)]
        if classes is not None:
            others.append(network(x, noise, classes.flip(0)))
    assert answer.shape == (2, CHANNELS, SIZE, SIZE)
    assert all((answer - other).abs().amax(dim=(1, 2, 3)).min() > 1e-3 for other in others)
