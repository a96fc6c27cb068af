"""The configuration of EDM's networks: where it is looked for, and what it may not say."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import dtool
from dtool.models.readers.edm_settings import parse_settings, read_edm_settings


def test_defaults_are_those_of_the_classes() -> None:
    plain = parse_settings({}, "here")
    assert (plain.class_name, plain.model_type, plain.model_channels) == ("EDMPrecond", "DhariwalUNet", 192)
    assert plain.attn_resolutions == (32, 16, 8)
    assert plain.sigma_range == (0.0, inf)
    song = parse_settings({"class_name": "training.networks.VEPrecond"}, "here")
    assert (song.model_type, song.model_channels, song.channel_mult) == ("SongUNet", 128, (1, 2, 2, 2))
    assert song.sigma_range == (0.02, 100.0)


def test_what_its_training_writes_is_taken_too() -> None:
    written = {
        "dataset_kwargs": {"resolution": 32}, "batch_size": 512, "label_dim": 10,
        "network_kwargs": {
            "class_name": "training.networks.VPPrecond", "model_type": "SongUNet", "channel_mult": [2, 2, 2],
        },
    }  # fmt: skip
    settings = parse_settings(written, "here")
    assert (settings.class_name, settings.channel_mult, settings.label_dim) == ("VPPrecond", (2, 2, 2), 10)


def test_it_lies_beside_the_weights_or_within(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"config": json.dumps({"model_channels": 64})})
    settings, where = read_edm_settings(path)
    assert (settings.model_channels, where) == (64, f"{path}, its config")
    save_file({"a": torch.zeros(1)}, path)
    (tmp_path / "config.json").write_text('{"model_channels": 96}')
    assert read_edm_settings(path)[0].model_channels == 96
    (tmp_path / "net.safetensors.json").write_text('{"model_channels": 32}')
    assert read_edm_settings(path)[0].model_channels == 32


@pytest.mark.parametrize(
    ("held", "cause", "remedy"),
    [
        ({"chanel_mult": [1]}, "EDM has no argument 'chanel_mult'", "did you mean channel_mult"),
        ({"num_blocks": "4"}, r"not valid \(num_blocks:", "mend it"),
        ({"class_name": "EDM2Precond"}, r"not valid \(class_name:", "mend it"),
        ({"embedding_type": "fourier"}, "EDMPrecond around DhariwalUNet takes no embedding_type", "leave it out"),
        ({"class_name": "VPPrecond", "sigma_data": 1.0}, "VPPrecond around SongUNet takes no sigma_data", "leave it"),
        ({"model_type": "SongUNet", "resample_filter": [1, 2, 1]}, "an even number of taps", r"write \[1, 1\]"),
        ({"img_resolution": 28}, "28 is not halved 3 times", "configuration that the weights"),
        ({"sigma_min": 3.0, "sigma_max": 2.0}, "sigma_min=3 is not below sigma_max=2", "give sigma_min lower"),
    ],
)  # fmt: skip
def test_arguments_that_are_refused(held: dict[str, Any], cause: str, remedy: str) -> None:
    with pytest.raises(dtool.DtoolError, match=cause) as caught:
        parse_settings(held, "net.json")
    assert str(caught.value).startswith("net.json: ")
    assert __import__("re").search(remedy, caught.value.hint)


def test_what_is_no_object(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"config": "[1, 2]"})
    with pytest.raises(dtool.DtoolError, match="is no JSON object"):
        read_edm_settings(path)
