"""How the pipelines of diffusers sample unless they are told otherwise, and in what a recipe alone is not the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.models.diffusers_codec import DiffusersCodec
from dtool.models.picture_conditions import PictureConditions
from dtool.models.spec import NetworkSpec

BEGINS_AT_A_PICTURE = "its pipeline begins at a picture with some noise on it, the recipe at noise alone"
MEAN = "its pipeline draws the picture's latents from the autoencoder's distribution, here they are its mean"
PICTURE_GUIDANCE = "its pipeline can weigh the picture too (image_guidance_scale); guidance keeps it here, as with 1"


@dataclass(frozen=True)
class Usual:
    """How a pipeline samples unless it is told otherwise: steps, guidance, and the scale that its network is told.

    differences: sentences that say in what it does more than a recipe.
    """

    steps: int | None = None
    guidance: float = 1.0
    told_scale: float = 1.0
    differences: tuple[str, ...] = ()


USUAL = {
    "ConsistencyModelPipeline": Usual(1),
    "DDPMPipeline": Usual(1000),
    "DDIMPipeline": Usual(50),
    "DiTPipeline": Usual(50, 4.0),
    "StableDiffusionPipeline": Usual(50, 7.5),
    "StableDiffusionXLPipeline": Usual(50, 5.0),
    "StableDiffusion3Pipeline": Usual(28, 7.0),
    "FluxPipeline": Usual(28, told_scale=3.5),
    "LatentConsistencyModelPipeline": Usual(4, told_scale=8.5),
    "StableDiffusionInpaintPipeline": Usual(50, 7.5, differences=(MEAN,)),
    "StableDiffusionXLInpaintPipeline": Usual(50, 7.5, differences=(MEAN,)),
    "StableDiffusionXLImg2ImgPipeline": Usual(50, 5.0, differences=(BEGINS_AT_A_PICTURE,)),
    "StableDiffusionInstructPix2PixPipeline": Usual(100, 7.5, differences=(PICTURE_GUIDANCE,)),
    "StableDiffusionDepth2ImgPipeline": Usual(50, 7.5, differences=(BEGINS_AT_A_PICTURE,)),
    "StableDiffusionUpscalePipeline": Usual(
        75, 9.0, differences=("its pipeline adds noise to the small picture, at the level that the class says",)
    ),
}
UNSCALED = ("StableDiffusionInstructPix2PixPipeline",)  # whose picture's latents are not scaled


def make_pictures(
    pipeline: str | None, images: tuple[str, ...], spec: NetworkSpec, codec: DiffusersCodec
) -> PictureConditions | None:
    """From pictures to the conditions called `images`; None if none of them holds latents."""
    shapes = {one.name: one.shape for one in spec.conditions if one.name in images}
    latents = next((name for name, shape in shapes.items() if shape == codec.latent_shape), None)
    if latents is None:
        return None

    def unscale(values: NDArray[Any]) -> NDArray[Any]:
        latents: NDArray[Any] = values / codec.scale + codec.shift
        return latents

    return PictureConditions(
        codec=codec, latents=latents, mask="mask" if "mask" in shapes else None,
        from_codec=unscale if pipeline in UNSCALED else np.asarray,
    )  # fmt: skip
