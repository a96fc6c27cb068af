"""Latents of unit deviation by the weights: the pictures stay as they were."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
from dtool.training.codec_loop import make_autoencoder, reconstruct  # noqa: E402
from dtool.training.latent_normalization import normalize_latents  # noqa: E402
from tests.support.codec_training import SHAPE, make_config, make_pictures  # noqa: E402


@pytest.fixture
def network() -> object:
    torch.manual_seed(0)
    made = make_autoencoder(make_config(), SHAPE).eval().requires_grad_(False)
    made.quant_conv.bias[:2] += torch.tensor([3.0, -7.0])  # means that are not 0
    made.quant_conv.weight[0] *= 20
    return made


def test_every_channel_has_mean_0_and_deviation_1_and_pictures_are_the_same(network: object) -> None:
    images = make_pictures()
    pixels = torch.from_numpy(images.take())
    before, law = reconstruct(network, pixels), network.encode(pixels).latent_dist
    normalize_latents(network, images, most=100)
    after = network.encode(pixels).latent_dist
    torch.testing.assert_close(after.mean.mean((0, 2, 3)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(after.mean.std((0, 2, 3), correction=0), torch.ones(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(reconstruct(network, pixels), before, atol=1e-4, rtol=0)
    ratio = law.mean.std((0, 2, 3), correction=0)[None, :, None, None]
    torch.testing.assert_close(after.std * ratio, law.std, rtol=1e-3, atol=1e-6)
    assert network.config.scaling_factor == 1


def test_a_channel_that_says_nothing_is_not_blown_up(network: object) -> None:
    network.quant_conv.weight[1] = 0
    images = make_pictures()
    pixels = torch.from_numpy(images.take())
    before = reconstruct(network, pixels)
    normalize_latents(network, images, most=10)
    assert float(network.encode(pixels).latent_dist.mean[:, 1].abs().max()) < 1e-2
    torch.testing.assert_close(reconstruct(network, pixels), before, atol=1e-4, rtol=0)
