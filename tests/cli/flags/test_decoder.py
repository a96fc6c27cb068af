"""The flags that name a decoder."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtool.cli.flags.decoder import DecoderWords
from dtool.errors import UsageError
from dtool.models.runtime import ANYWHERE
from tests.support.told_networks import PICTURE, text_network, write_decoder


def test_a_named_decoder_takes_the_place_of_the_networks_own(folder: Path) -> None:
    pytest.importorskip("onnx")
    write_decoder(folder / "decoder.onnx", channels=1)
    net = DecoderWords(path=folder / "decoder.onnx", scale=2.0).attach(text_network(), ANYWHERE)
    assert net.picture_shape == (1, *PICTURE[1:])


def test_without_one_the_network_is_as_it_was() -> None:
    net = text_network()
    assert DecoderWords().attach(net, ANYWHERE) is net
    assert net.picture_shape == PICTURE
    with pytest.raises(UsageError, match="are for a decoder"):
        DecoderWords(scale=2.0).attach(net, ANYWHERE)


def test_tiles_are_for_a_decoder_that_takes_them(folder: Path) -> None:
    pytest.importorskip("onnx")
    write_decoder(folder / "any.onnx", size=("height", "width"))
    net = DecoderWords(path=folder / "any.onnx", tile=8).attach(text_network(), ANYWHERE)
    assert net.codec is not None
    assert net.codec.tile == 8
    for path, tile, cause in ((None, 8, "no tiles of them"), (folder / "any.onnx", 3, "3 latent pixels is too small")):
        with pytest.raises(UsageError, match=cause):
            DecoderWords(path=path, tile=tile).attach(text_network(), ANYWHERE)
    net.codec = None
    with pytest.raises(UsageError, match="this model has none"):
        DecoderWords(tile=8).attach(net, ANYWHERE)
