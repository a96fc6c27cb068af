"""Autoencoders: the factors of their configs, and that encoding is what decoding undoes in scale."""

import numpy as np
import pytest

from dtool.errors import DtoolError

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
from dtool.models.diffusers_codec import DiffusersCodec  # noqa: E402
from tests.support import tiny_pipelines as tiny  # noqa: E402

SHAPE = (4, 8, 8)
FACTORS = [
    {"scaling_factor": 0.5},
    {"scaling_factor": 1.5305, "shift_factor": 0.0609},
    {"scaling_factor": 0.5, "latents_mean": (0.1, 0.2, 0.3, 0.4), "latents_std": (1.0, 2.0, 3.0, 4.0)},
]


def draw(*shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("factors", FACTORS, ids=["scale", "shift", "channels"])
def test_factors(factors):
    """z of the autoencoder is latent·deviation/scaling + mean, as in Stable Diffusion 3 and in XL's pipeline."""
    tiny.seed()
    autoencoder = tiny.autoencoder(**factors)
    codec = DiffusersCodec(autoencoder, SHAPE)
    assert codec.picture_shape == (3, 16, 16)
    latents, pictures = draw(3, *SHAPE), draw(3, *codec.picture_shape).clip(-1, 1)
    deviation = np.reshape(factors.get("latents_std", [1.0]), (-1, 1, 1))
    mean = np.reshape(factors.get("latents_mean", [factors.get("shift_factor", 0.0)]), (-1, 1, 1))
    with torch.no_grad():
        z = torch.from_numpy((latents * deviation / factors["scaling_factor"] + mean).astype(np.float32))
        expected = autoencoder.decode(z).sample.numpy().clip(-1, 1)
        law = autoencoder.encode(torch.from_numpy(pictures)).latent_dist
    np.testing.assert_allclose(codec.decode(latents), expected, atol=1e-5)
    back = codec.encode(pictures) * deviation / factors["scaling_factor"] + mean
    np.testing.assert_allclose(back, law.mode().numpy(), atol=1e-5)
    noise = draw(3, *SHAPE)
    sample = codec.encode(pictures, noise) * deviation / factors["scaling_factor"] + mean
    np.testing.assert_allclose(sample, (law.mean + law.std * torch.from_numpy(noise)).numpy(), atol=1e-5)


def test_a_tiny_autoencoder_has_no_posterior():
    codec = DiffusersCodec(tiny.tiny_autoencoder(), SHAPE)
    pictures = draw(2, *codec.picture_shape).clip(-1, 1)
    np.testing.assert_array_equal(codec.encode(pictures), codec.encode(pictures, draw(2, *SHAPE)))
    assert codec.decode(draw(2, *SHAPE)).shape == (2, 3, 16, 16)


@pytest.mark.parametrize(
    ("factors", "shape", "cause"),
    [
        ({}, (8, 8, 8), "the autoencoder's latents have 4 channels, and the network's 8"),
        ({"latents_mean": (1.0,), "latents_std": (1.0,)}, SHAPE, "latents_mean is (1.0,)"),
        ({"scaling_factor": 0.0}, SHAPE, "a scale is 0"),
    ],
)
def test_refused(factors, shape, cause):
    with pytest.raises(DtoolError) as caught:
        DiffusersCodec(tiny.autoencoder(**factors), shape)
    assert cause in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(("make", "most"), [(tiny.autoencoder, 0.1), (tiny.tiny_autoencoder, 1e-5)], ids=["KL", "Tiny"])
def test_tiles_of_a_large_latent(make, most):
    """Near the whole picture with group norm and attention, which see all of a tile; the same without them."""
    tiny.seed()
    codec = DiffusersCodec(make(), (4, 96, 96))
    latents, pictures = draw(1, 4, 96, 96), draw(1, 3, 192, 192).clip(-1, 1)
    results = []
    for codec.tile in (0, 80):
        results.append((codec.decode(latents), codec.encode(pictures)))
    for whole, tiled in zip(*results, strict=True):
        difference = np.abs(tiled - whole).max() / np.abs(whole).max()
        assert difference < most
        assert (difference > 1e-5) == (most > 1e-5), "the limit says what it is for"
