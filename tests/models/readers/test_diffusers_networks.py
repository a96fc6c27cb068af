"""Patches, their numbers and the embedding of a guidance scale, against diffusers' own functions."""

import pytest

torch = pytest.importorskip("torch")
from dtool.models.readers.diffusers_networks import (  # noqa: E402
    embed_guidance_scale,
    number_patches,
    pack_patches,
    unpack_patches,
)


@pytest.mark.parametrize("shape", [(2, 4, 6, 8), (1, 3, 2, 2)])
def test_unpacking_undoes_packing(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    patches = pack_patches(x)
    assert patches.shape == (shape[0], shape[2] * shape[3] // 4, 4 * shape[1])
    assert torch.equal(unpack_patches(patches, *shape[2:]), x)


def test_patches_are_those_of_diffusers():
    pipeline = pytest.importorskip("diffusers").FluxPipeline
    x = torch.randn((2, 4, 6, 8), generator=torch.Generator().manual_seed(0))
    assert torch.equal(pack_patches(x), pipeline._pack_latents(x, *x.shape))
    ids = pipeline._prepare_latent_image_ids(1, 3, 4, "cpu", torch.float32)
    assert torch.equal(number_patches(3, 4), ids)


@pytest.mark.parametrize("width", [32, 7])
def test_embedded_guidance_scales_are_those_of_diffusers(width):
    pipeline = pytest.importorskip("diffusers").LatentConsistencyModelPipeline
    w = torch.tensor([0.0, 7.5])
    expected = pipeline.get_guidance_scale_embedding(None, w, embedding_dim=width)
    assert torch.allclose(embed_guidance_scale(w, width), expected, atol=1e-6)
    assert embed_guidance_scale(w, width).shape == (2, width)
