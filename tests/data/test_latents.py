"""Pictures encoded once: each by itself, mirrored ones anew, and with what belongs to the pictures."""

import numpy as np
import pytest

from dtool.data.images import Images
from dtool.data.latents import encode_images
from dtool.models.codec import Codec


class Skewed(Codec):
    """Latents of half the sides, of the left pixel of each square: a mirrored picture has other ones."""

    latent_shape, picture_shape = (1, 2, 3), (1, 4, 6)

    def _decode(self, latents):
        return np.repeat(np.repeat(latents, 2, 2), 2, 3)

    def _encode(self, pictures):
        latents = 3 * pictures[:, :, ::2, ::2]
        return latents, np.zeros_like(latents)


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (70, 1, 4, 6)).astype(np.uint8)
    return Images(pixels, np.arange(70) % 2, ("a", "b"))


def test_latents_are_the_codec_s_and_mirrored_ones_are_of_mirrored_pictures(images):
    latents = encode_images(images, Skewed(), 7, mirrored=True)
    assert latents.shape == (1, 2, 3)
    np.testing.assert_array_equal(latents.take(), 3 * images.take()[:, :, ::2, ::2])
    index = np.array([3, 69, 3])
    np.testing.assert_array_equal(latents.take_mirrored(index), 3 * images.take(index)[..., ::-1][:, :, ::2, ::2])
    assert not np.array_equal(latents.take_mirrored(index), latents.take(index)[..., ::-1])


def test_labels_statistics_and_fingerprint(images):
    latents, other = (encode_images(images, Skewed(), number) for number in (7, 8))
    np.testing.assert_array_equal(latents.labels, images.labels)
    assert (latents.class_names, latents.statistics()) == (("a", "b"), images.statistics())
    assert latents.fingerprint() == encode_images(images, Skewed(), 7, mirrored=True).fingerprint()
    others = Images(images.pixels[::-1], images.labels, images.class_names)
    assert len({latents.fingerprint(), other.fingerprint(), encode_images(others, Skewed(), 7).fingerprint()}) == 3
