"""Pictures in tiles: the whole one's where a pixel sees no further than the margin, and near it elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.models import tiles
from dtool.models.codec import Codec
from dtool.models.tiles import choose_tiles, find_picture_shape


class Blurring(Codec):
    """Each latent pixel becomes 2 × 2, after a mean over those within `radius`; encoding takes means of 2 × 2."""

    takes_any_size = True

    def __init__(self, height, width, radius):
        self.latent_shape, self.picture_shape, self.radius = (3, height, width), (3, 2 * height, 2 * width), radius
        self.sizes = set()

    def _decode(self, latents):
        self.sizes.add(latents.shape[2:])
        return self._blur(latents).repeat(2, axis=2).repeat(2, axis=3)

    def _encode(self, pictures):
        self.sizes.add(pictures.shape[2:])
        count, channels, height, width = pictures.shape
        blocks = pictures.reshape(count, channels, height // 2, 2, width // 2, 2)
        return self._blur(blocks.mean(axis=(3, 5))), self._blur(blocks.std(axis=(3, 5)))

    def _blur(self, values):
        width = 2 * self.radius + 1
        for axis in (2, 3):
            edges = [(self.radius, self.radius) if k == axis else (0, 0) for k in range(4)]
            windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, edges), width, axis)
            values = windows.mean(axis=-1)
        return values


def compare(codec, tile, seed=0):
    """The largest differences of decoding and encoding in tiles from doing so whole."""
    latents = np.random.default_rng(seed).uniform(-1, 1, (2, *codec.latent_shape)).astype(np.float32)
    pictures = np.random.default_rng(seed).uniform(-1, 1, (2, *codec.picture_shape)).astype(np.float32)
    noise = np.ones_like(latents)
    results = []
    for codec.tile in (0, tile):
        codec.sizes.clear()
        results.append((codec.decode(latents), codec.encode(pictures), codec.encode(pictures, noise)))
    return [float(np.abs(a - b).max()) for a, b in zip(*results, strict=True)]


@pytest.mark.parametrize(("height", "width"), [(64, 64), (33, 70), (20, 47), (65, 12)])
@pytest.mark.parametrize("tile", [32, 24, 16])
def test_it_is_the_whole_picture_where_the_margin_holds_what_a_pixel_sees(height, width, tile):
    radius = int(tiles.MARGIN * (tile // tiles.OVERLAP))
    codec = Blurring(height, width, radius)
    assert max(compare(codec, tile)) < 1e-5
    sides = tuple(min(tile, length) for length in (height, width))
    assert codec.sizes == {sides, tuple(2 * side for side in sides)}  # and no call sees more


def test_it_is_not_where_a_pixel_sees_further():
    assert min(compare(Blurring(64, 64, 9), 32)) > 1e-3


def test_what_depends_on_the_whole_picture_changes_without_a_seam():
    """A decoder that takes off a tile's own mean: between two tiles there is no step, only a slope."""

    class Centred(Blurring):
        def _decode(self, latents):
            return super()._decode(latents - latents.mean(axis=(2, 3), keepdims=True))

    codec = Centred(64, 64, 0)
    codec.tile = 32
    ramp = np.broadcast_to(np.linspace(-0.5, 0.5, 64, dtype=np.float32), (1, 3, 64, 64))
    row = codec.decode(ramp)[0, 0, 0]
    assert np.abs(np.diff(row)).max() < 0.15  # of a step of 0.37 from tile to tile
    assert np.abs(np.diff(row)).max() > 0.03


def test_tiles_by_the_size_of_the_picture_alone():
    choose = lambda side, asked=None: choose_tiles((4, side, side), (3, 8 * side, 8 * side), asked)  # noqa: E731
    assert choose(128) is None  # 1024²
    assert choose(256).size == 104
    assert (choose(256, 0), choose(256, 256), choose(64, 64)) == (None, None, None)
    assert choose(64, 48).size == 48
    codec = Blurring(64, 64, 0)
    assert codec.choose_tiles() is None
    codec.tile = 16
    assert codec.batch_size == 256  # tiles; of whole pictures it would be 16


def test_what_cannot_be_taken_apart():
    codec = Blurring(64, 64, 0)
    codec.tile = 5
    with pytest.raises(UsageError, match="a tile of 5 latent pixels is too small"):
        codec.decode(np.zeros((1, 3, 64, 64)))
    codec.takes_any_size, codec.tile = False, 16
    with pytest.raises(UsageError, match=r"takes latents of \(3, 64, 64\) alone, and no tiles"):
        codec.decode(np.zeros((1, 3, 64, 64)))
    with pytest.raises(UsageError, match="by one whole factor"):
        choose_tiles((3, 64, 64), (3, 128, 96), 16)
    assert choose_tiles((3, 2000, 2000), (3, 4000, 3000), None) is None  # nobody has asked


def test_the_shape_of_large_pictures_is_seen_from_a_small_one():
    seen = []

    def decode(latents):
        seen.append(latents.shape)
        return latents[:, :3].repeat(8, axis=2).repeat(8, axis=3)

    assert find_picture_shape(decode, (4, 256, 192), takes_any_size=True) == (1, 3, 2048, 1536)
    assert find_picture_shape(decode, (4, 16, 24), takes_any_size=True) == (1, 3, 128, 192)
    assert find_picture_shape(decode, (4, 130, 130), takes_any_size=False) == (1, 3, 1040, 1040)
    assert seen == [(1, 4, 16, 16), (1, 4, 16, 24), (1, 4, 130, 130)]
