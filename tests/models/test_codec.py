"""Codecs: latents to pictures and back, a few at a time, and what does not fit is refused."""

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.models import codec as codec_module
from dtool.models.codec import Codec


class Doubling(Codec):
    """Each latent number becomes 2 × 2 pixels; its mean over them is the way back, its spread the deviation."""

    latent_shape, picture_shape = (3, 2, 2), (3, 4, 4)

    def __init__(self):
        self.sizes = []

    def _decode(self, latents):
        self.sizes.append(len(latents))
        return latents.repeat(2, axis=2).repeat(2, axis=3)

    def _encode(self, pictures):
        self.sizes.append(len(pictures))
        blocks = pictures.reshape(-1, 3, 2, 2, 2, 2)
        return blocks.mean(axis=(3, 5)), blocks.std(axis=(3, 5))


LATENTS = np.random.default_rng(0).standard_normal((5, 3, 2, 2))


@pytest.mark.parametrize(("numbers", "sizes"), [(1 << 20, [5]), (2 * 48, [2, 2, 1]), (1, [1] * 5)])
def test_pictures_are_decoded_and_encoded_a_few_at_a_time(monkeypatch, numbers, sizes):
    monkeypatch.setattr(codec_module, "NUMBERS_AT_ONCE", numbers)
    codec = Doubling()
    pictures = codec.decode(LATENTS)
    assert codec.sizes == sizes
    assert (pictures.shape, pictures.dtype) == ((5, 3, 4, 4), np.float32)
    np.testing.assert_array_equal(pictures, codec._decode(LATENTS).clip(-1, 1).astype(np.float32))
    codec.sizes.clear()
    back = codec.encode(pictures)
    assert codec.sizes == sizes
    assert (back.shape, back.dtype) == ((5, 3, 2, 2), np.float32)
    np.testing.assert_allclose(back, LATENTS.clip(-1, 1), atol=1e-6)


def test_what_goes_beyond_the_range_is_cut_off():
    pictures = Doubling().decode(np.full((1, 3, 2, 2), -7.0))
    assert (pictures == -1).all()


def test_the_mode_without_noise_and_a_sample_with_it():
    codec, pictures = Doubling(), np.random.default_rng(1).uniform(-1, 1, (4, 3, 4, 4)).astype(np.float32)
    mean, deviation = codec._encode(pictures)
    noise = np.random.default_rng(2).standard_normal((4, 3, 2, 2)).astype(np.float32)
    np.testing.assert_array_equal(codec.encode(pictures), mean)
    np.testing.assert_allclose(codec.encode(pictures, noise), mean + deviation * noise, atol=1e-6)
    assert codec.encode(pictures, noise).dtype == np.float32


@pytest.mark.parametrize(("call", "cause"), [
    (lambda codec: codec.decode(LATENTS[:, :2]), "latents have shape (5, 2, 2, 2); the model's are (B, 3, 2, 2)"),
    (lambda codec: codec.decode(LATENTS[0]), "latents have shape (3, 2, 2); the model's are (B, 3, 2, 2)"),
    (lambda codec: codec.decode(LATENTS[:0]), "latents have shape (0, 3, 2, 2); the model's are (B, 3, 2, 2)"),
    (lambda codec: codec.encode(LATENTS), "pictures have shape (5, 3, 2, 2); the model's are (B, 3, 4, 4)"),
    (lambda codec: codec.encode(np.zeros((5, 3, 4, 4)), LATENTS[:, :1]),
     "noise have shape (5, 1, 2, 2); the model's are (B, 3, 2, 2)"),
    (lambda codec: codec.encode(np.zeros((5, 3, 4, 4)), LATENTS[:1]),
     "noise is for 1 pictures, and there are 5"),
])  # fmt: skip
def test_other_shapes_are_refused(call, cause):
    codec = Doubling()
    with pytest.raises(UsageError) as error:
        call(codec)
    assert (str(error.value), error.value.hint) == (cause, "give an array of one entry per image")


def test_a_model_that_decodes_only_says_so():
    class OnlyDecodes(Doubling):
        _encode = Codec._encode

    with pytest.raises(UsageError) as error:
        OnlyDecodes().encode(np.zeros((1, 3, 4, 4)))
    assert str(error.value) == "this model decodes only: it has no encoder"
    assert error.value.hint == "open the whole model, its encoder included"
