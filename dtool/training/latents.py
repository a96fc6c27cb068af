"""The codec that a network of latents is trained with: what encodes the pictures, and what its checkpoint holds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from dtool.data.images import Images
from dtool.data.latents import LatentImages, encode_images
from dtool.errors import DtoolError, UsageError
from dtool.models.autoencoder import Autoencoder, require_diffusers
from dtool.models.diffusers_codec import DiffusersCodec
from dtool.models.readers.diffusers_folder import is_diffusers
from dtool.models.readers.diffusers_index import read_index

MOST_DEVIATION = 2.0  # of latents, and its reciprocal: beyond it the noise levels are not what they are meant to be


@dataclass(frozen=True, kw_only=True)
class TrainingCodec:
    """An autoencoder for pictures of one size: as a checkpoint holds it, and as it is called."""

    autoencoder: Autoencoder
    codec: DiffusersCodec
    source: str

    def encode(self, images: Images, *, mirrored: bool) -> LatentImages:
        """The latents of all pictures; warns if their deviation is far from the 1 that networks are trained on."""
        latents = encode_images(images, self.codec, self.autoencoder.compute_fingerprint(), mirrored=mirrored)
        deviation = float(latents.pixels.std())
        if not 1 / MOST_DEVIATION <= deviation <= MOST_DEVIATION:
            warnings.warn(
                f"{self.source}: the latents have a deviation of {deviation:.3g}, and networks are trained on about 1: "
                "another scaling_factor in its config.json changes that",
                stacklevel=2,
            )
        return latents


def open_training_codec(path: Path, picture_shape: tuple[int, ...], device: str = "cpu") -> TrainingCodec:
    """The autoencoder in a folder of diffusers, for pictures `(C, H, W)`.

    Raises UsageError for what holds none, and, with what would fit, for one that does not take such pictures;
    DtoolError for a folder that is missing, broken or unsafe.
    """
    if not path.exists():
        raise DtoolError(f"--codec: there is no folder {path}", "dtool train-codec DATA -o FOLDER makes one")
    if not is_diffusers(path):
        raise UsageError(
            f"--codec {path}: no folder of an autoencoder that is known here",
            "give what dtool train-codec wrote, or a folder of diffusers' AutoencoderKL or AutoencoderTiny",
        )
    index = read_index(path)
    require_diffusers(f"open {path}")
    from dtool.models.readers.diffusers_parts import load_autoencoder

    module = load_autoencoder(index)
    autoencoder = Autoencoder.of(module)
    shape = autoencoder.choose_latent_shape(picture_shape, str(path))
    codec = DiffusersCodec(module, shape)
    codec.move(device)
    return TrainingCodec(autoencoder=autoencoder, codec=codec, source=str(path))
