"""Pictures and masks become what a network takes; arrays that are that already stay; what does not fit is refused."""

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.models.codec import Codec
from dtool.models.picture_conditions import PictureConditions

RANDOM = np.random.default_rng(0)


class Halving(Codec):
    """A latent is the mean of four pixels, of the colours 0, 1, 2 and their sum."""

    latent_shape, picture_shape = (4, 3, 5), (3, 6, 10)

    def _decode(self, latents):
        return latents[:, :3].repeat(2, axis=2).repeat(2, axis=3)

    def _encode(self, pictures):
        small = pictures.reshape(-1, 3, 3, 2, 5, 2).mean((3, 5))
        latents = np.concatenate([small, small.sum(1, keepdims=True)], axis=1)
        return latents, np.ones_like(latents)


PICTURES = PictureConditions(codec=Halving(), latents="masked", mask="mask")


def draw(*shape):
    return RANDOM.uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("count", [(), (2,)])
def test_a_picture_is_encoded_where_the_mask_keeps_it(count):
    picture, mask = draw(*count, 3, 6, 10), draw(*count, 1, 6, 10)
    made = PICTURES.prepare({"masked": picture, "mask": mask, "size": 3})
    kept = np.where(mask > 0, 0, picture)
    want = Halving().encode(kept.reshape(-1, 3, 6, 10)).reshape(*count, 4, 3, 5)
    np.testing.assert_allclose(made["masked"], want, atol=1e-6)
    np.testing.assert_array_equal(made["mask"], mask[..., ::2, ::2] > 0)
    assert made["size"] == 3


def test_one_picture_under_several_masks():
    picture, masks = draw(3, 6, 10), draw(3, 1, 6, 10)
    made = PICTURES.prepare({"masked": picture, "mask": masks})
    for k, mask in enumerate(masks):
        np.testing.assert_array_equal(made["masked"][k], PICTURES.prepare({"masked": picture, "mask": mask})["masked"])


def test_a_mask_of_the_latents_size():
    picture, small = draw(3, 6, 10), (draw(1, 3, 5) > 0).astype(np.float32)
    whole = small.repeat(2, axis=1).repeat(2, axis=2)
    one, other = (PICTURES.prepare({"masked": picture, "mask": mask}) for mask in (small, whole))
    np.testing.assert_array_equal(one["masked"], other["masked"])
    np.testing.assert_array_equal(one["mask"], other["mask"])


def test_latents_stay_as_they_are():
    latents, mask = draw(4, 3, 5), draw(1, 3, 5)
    made = PICTURES.prepare({"masked": latents, "mask": mask})
    assert made["masked"] is latents
    assert made["mask"] is mask
    assert PICTURES.prepare({}) == {}


def test_what_the_network_takes_of_the_codecs_latents():
    plain = PictureConditions(codec=Halving(), latents="image", from_codec=lambda latents: latents / 2 + 1)
    picture = draw(3, 6, 10)
    want = Halving().encode(picture[None])[0] / 2 + 1
    np.testing.assert_allclose(plain.prepare({"image": picture})["image"], want, atol=1e-6)
    assert plain.shapes == {"image": (3, 6, 10)}


def test_pictures_and_masks_of_different_numbers():
    with pytest.raises(UsageError, match="mask has shape") as caught:
        PICTURES.prepare({"masked": draw(2, 3, 6, 10), "mask": draw(3, 1, 6, 10)})
    assert caught.value.hint == "give a mask for each picture"
