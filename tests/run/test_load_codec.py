"""A decoder in a file of its own: what it makes of latents, in which batches, and the files that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dtool.errors import DtoolError, UsageError
from dtool.run.load_codec import load_codec
from tests.support.told_networks import LATENT, PICTURE, Doubling, write_decoder

pytest.importorskip("onnx")


@pytest.fixture
def latents() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (7, *LATENT)).astype(np.float32)


@pytest.mark.parametrize("batch", ["batch", 1, 2])
def test_a_file_decodes_as_the_same_codec_in_python(folder: Path, latents: np.ndarray, batch: int | str) -> None:
    write_decoder(folder / "decoder.onnx", batch=batch)
    codec = load_codec(folder / "decoder.onnx", LATENT)
    assert (codec.latent_shape, codec.picture_shape) == (LATENT, PICTURE)
    np.testing.assert_array_equal(codec.decode(latents), Doubling().decode(latents))


def test_latents_are_divided_by_the_scale_and_then_shifted(folder: Path, latents: np.ndarray) -> None:
    write_decoder(folder / "decoder.onnx")
    codec = load_codec(folder / "decoder.onnx", LATENT, scale=2.0, shift=0.1)
    np.testing.assert_allclose(codec.decode(latents), Doubling().decode(latents / 2 + 0.1), atol=1e-6)


def test_what_is_beyond_the_range_is_cut_off(folder: Path, latents: np.ndarray) -> None:
    write_decoder(folder / "decoder.onnx")
    assert np.abs(load_codec(folder / "decoder.onnx", LATENT, scale=0.01).decode(latents)).max() == 1


def test_it_has_no_encoder(folder: Path) -> None:
    write_decoder(folder / "decoder.onnx")
    with pytest.raises(UsageError, match="it has no encoder"):
        load_codec(folder / "decoder.onnx", LATENT).encode(np.zeros((1, *PICTURE)))


def test_files_that_are_no_decoder_are_refused(folder: Path, host_file: Path) -> None:
    write_decoder(folder / "decoder.onnx")
    write_decoder(folder / "four.onnx", channels=4)
    (folder / "broken.onnx").write_bytes(b"no graph")
    (folder / "other.bin").write_bytes(b"")
    refused = [
        ("decoder.onnx", (4, 5, 5), UsageError, r"decodes latents of shape \(4, 3, 3\)"),
        ("decoder.onnx", (36,), UsageError, r"the network's are \(36,\)"),
        ("four.onnx", LATENT, UsageError, "no pictures"),
        ("broken.onnx", LATENT, DtoolError, "is not an ONNX file"),
        ("none.onnx", LATENT, DtoolError, "there is no file none.onnx"),
        ("other.bin", LATENT, UsageError, "is no decoder that is known here"),
        (host_file, LATENT, UsageError, "has the inputs x, t, label"),
    ]
    for path, shape, kind, message in refused:
        with pytest.raises(kind, match=message):
            load_codec(path, shape)
    with pytest.raises(UsageError, match="a scale of 0"):
        load_codec("decoder.onnx", LATENT, scale=0)


def test_a_file_of_any_height_and_width_decodes_in_tiles(folder: Path) -> None:
    write_decoder(folder / "any.onnx", size=("height", "width"))
    write_decoder(folder / "fixed.onnx")
    codec = load_codec(folder / "any.onnx", (4, 300, 260))
    assert codec.picture_shape == (3, 600, 520)
    latents = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 4, 300, 260)).astype(np.float32)
    whole = codec.decode(latents)
    codec.tile = 64
    np.testing.assert_allclose(codec.decode(latents), whole, atol=1e-6)
    fixed = load_codec(folder / "fixed.onnx", LATENT)
    fixed.tile = 8
    with pytest.raises(UsageError, match="no tiles of them"):
        fixed.decode(np.zeros((1, *LATENT), np.float32))
