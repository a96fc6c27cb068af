"""EDM's state dicts: where they lie in a file, and a configuration that they contradict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import dtool
from dtool.cli import main
from dtool.models.readers.edm import edm
from dtool.models.readers.edm_weights import open_edm_weights
from tests.support.edm_cases import CASES, make_inputs
from tests.support.edm_files import make_network, save

SMALL = CASES["ddpmpp"].arguments
FIRST = "model.enc.16x16_conv.weight"


def run(path: Path) -> torch.Tensor:
    with torch.no_grad():
        return open_edm_weights(path).module(*make_inputs(0)[:2])


@pytest.mark.parametrize("place", ["ema", "net"])
def test_it_may_lie_within_what_a_file_holds(tmp_path: Path, place: str) -> None:
    path = save(tmp_path / "net.pt", SMALL)
    plain, state = run(path), torch.load(path, weights_only=True)
    torch.save({place: state, "step": 3}, path)
    assert edm.recognises(path)
    assert torch.equal(run(path), plain)
    torch.save({f"{place}.{name}": value for name, value in state.items()}, path)
    assert edm.recognises(path)
    assert torch.equal(run(path), plain)


def test_what_the_weights_show_need_not_be_said(tmp_path: Path) -> None:
    arguments = {**CASES["ddpmpp-classes"].arguments}
    path = save(tmp_path / "net.pt", arguments)
    for name in ("img_resolution", "img_channels", "label_dim"):
        del arguments[name]
    path.with_name("net.pt.json").write_text(json.dumps(arguments))
    assert open_edm_weights(path).fields["shape"] == (3, 16, 16)
    assert open_edm_weights(path).fields["classes"] == 5


def test_augmentation_is_told_as_zeros(tmp_path: Path) -> None:
    plain = run(save(tmp_path / "net.pt", SMALL))
    other = run(save(tmp_path / "net.pt", SMALL, **{"model.map_augment.weight": torch.ones(16, 9)}))
    assert torch.equal(plain, other)


def test_weights_in_half_precision_run_in_float32(tmp_path: Path) -> None:
    path = save(tmp_path / "net.pt", SMALL)
    state = torch.load(path, weights_only=True)
    torch.save({name: value.half() for name, value in state.items()}, path)
    answer = run(path)
    assert answer.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(answer, make_network(SMALL)(*make_inputs(0)[:2]), atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"img_channels": 1}, "img_channels is 1, and the weights are of a network with 3"),
        ({"img_resolution": 32}, "img_resolution is 32, and the weights are of a network with 16"),
        ({"label_dim": 10}, "label_dim is 10, and the weights are of a network with 0"),
        ({"num_blocks": 2}, "lacks dec.16x16_block2.affine.bias and "),
        ({"model_channels": 32}, r"has dec.16x16_aux_conv.weight of shape \(3, 16, 3, 3\), not \(3, 32, 3, 3\), and"),
        ({"attn_resolutions": [16]}, "lacks dec.16x16_block1.norm2.bias and "),
        ({"augment_dim": 0}, "has an unknown map_augment.weight: it is of another network"),
        ({"resample_filter": [1, 3]}, r"enc.8x8_down.conv0.resample_filter is not resample_filter=\[1.0, 3.0\]"),
        ({"resample_filter": [1, 3, 3, 1]}, r"conv0.resample_filter of shape \(1, 1, 2, 2\), not \(1, 1, 4, 4\)"),
        ({"channel_mult": [1] * 6, "img_resolution": None}, "32 does not divide 16, the size of its images"),
    ],
)  # fmt: skip
def test_a_configuration_of_another_network(tmp_path: Path, changes: dict[str, Any], cause: str) -> None:
    path = save(tmp_path / "net.pt", SMALL)
    path.with_name("net.pt.json").write_text(json.dumps({**SMALL, **changes}))
    with pytest.raises(dtool.DtoolError, match=cause) as caught:
        open_edm_weights(path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"model.map_layer0.bias": None}, "lacks map_layer0.bias: it is of another network"),
        ({FIRST: None}, "enc.…_conv.weight is not there"),
        ({FIRST: torch.zeros(16)}, r"enc.16x16_conv.weight has the shape \(16,\)"),
        ({"model.map_layer0.bias": torch.full((64,), float("nan"))}, "hold NaN or infinity"),
    ],
)  # fmt: skip
def test_weights_that_are_damaged(tmp_path: Path, changes: dict[str, Any], cause: str) -> None:
    with pytest.raises(dtool.DtoolError, match=cause) as caught:
        open_edm_weights(save(tmp_path / "net.pt", SMALL, **changes))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("levels", "cause"),
    [
        ([3.0, 2.0, 0.0], r"u has 3 levels, not M \+ 1 = 4"), ([3.0, 2.0, 1.0, 0.5], "that fall to 0"),
        ([1.0, 2.0, 0.5, 0.0], "that fall to 0"), ([float("nan"), 2.0, 1.0, 0.0], "that fall to 0"),
    ],
)  # fmt: skip
def test_levels_that_are_none(tmp_path: Path, levels: list[float], cause: str) -> None:
    arguments = {**CASES["adm"].arguments, "class_name": "iDDPMPrecond", "M": 3}
    with pytest.raises(dtool.DtoolError, match=cause):
        open_edm_weights(save(tmp_path / "net.pt", arguments, u=torch.tensor(levels)))


def test_a_file_of_something_else(tmp_path: Path) -> None:
    path = save(tmp_path / "net.pt", SMALL)
    torch.save({"model.map_layer0.weight": torch.zeros(1), "model.map_layer1.weight": torch.zeros(1)}, path)
    with pytest.raises(dtool.DtoolError, match="holds no network of EDM") as caught:
        dtool.load(path)
    assert "torch.save(net.state_dict(), 'net.pt')" in caught.value.hint


def test_as_it_is_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "net.safetensors", SMALL)
    pictures, other = tmp_path / "pictures.png", tmp_path / "other.png"
    assert main(["sample", str(path), "--steps", "3", "-n", "2", "-o", str(pictures)]) == 0
    assert pictures.exists()
    path.with_name("net.safetensors.json").write_text('{"model_type": "SongUNet", "num_blocks": 3}')
    assert main(["sample", str(path), "-n", "1", "-o", str(other)]) == 1
    assert "it is of another network" in capsys.readouterr().err
    assert not other.exists()
