"""What a run is trained on is read by its options, which all may be left out."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.training.config import TrainConfig
from dtool.training.sources import Sources, list_files, read_training_data


def test_images_some_held_out_and_what_a_preview_is_told(data: Path, tmp_path: Path) -> None:
    config = TrainConfig(steps=1, validation=0.25, task="fill")
    own = read_training_data(str(data), config, "cpu", tmp_path, {})
    assert own.held_out is not None
    assert (len(own.images), len(own.held_out)) == (48, 16)
    assert own.images.shape == (1, 8, 6)
    examples = own.make_examples(seed=0)
    assert examples is not None
    assert {name: array.shape for name, array in examples.items()} == {"known": (16, 1, 8, 6), "mask": (16, 1, 8, 6)}
    assert (own.autoencoder, own.decoder, own.vectors) == (None, None, None)


def test_without_options_there_are_classes_and_nothing_else(data: Path, tmp_path: Path) -> None:
    own = read_training_data(str(data), TrainConfig(steps=1), "cpu", tmp_path, {})
    assert own.images.class_names == ("0", "1")
    assert (own.held_out, own.task, own.make_examples(seed=0)) == (None, None, None)
    assert (
        read_training_data(str(data), TrainConfig(steps=1), "cpu", tmp_path, {"classes": False}).images.labels is None
    )


def test_what_is_read_is_listed() -> None:
    sources: Sources = {"masks": "m", "codec": Path("c"), "captions": "w.csv", "backgrounds": None}
    assert [one for one in list_files(sources) if one] == ["m", Path("c"), "w.csv"]
