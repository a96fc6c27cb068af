"""What a run is trained on: images, those held out, its task, captions and latents, read once and before it begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from dtool.data.images import Images
from dtool.models.autoencoder import Autoencoder
from dtool.models.codec import Codec
from dtool.training.captions import CaptionVectors, open_captions
from dtool.training.config import TrainConfig
from dtool.training.latents import TrainingCodec, open_training_codec
from dtool.training.preparation import choose_task, load_data
from dtool.training.tasks import EXAMPLES, Task, make_example_conditions
from dtool.training.validation import hold_out


class Sources(TypedDict, total=False):
    """What is said of the data beside its place, none of which need be.

    size: pictures are cut and resized to (H, W). classes: whether sub-folders are classes. masks, backgrounds: folders,
    for a task. codec: a folder of an autoencoder, on whose latents the network is trained. captions: see
    `read_captions`. text_encoder: the folder or the installed package of a sentence encoder, which reads them.
    """

    size: tuple[int, int] | None
    classes: bool | None
    masks: str | None
    backgrounds: str | None
    codec: Path | None
    captions: str | None
    text_encoder: str | None


def list_files(sources: Sources) -> list[Any]:
    """What is read beside the data: none of it may be written."""
    return [sources.get("masks"), sources.get("backgrounds"), sources.get("codec"), sources.get("captions")]


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a run is trained on; `held_out` is not, `vectors` are the captions', `codec` made latents of the images."""

    images: Images
    held_out: Images | None
    task: Task | None
    vectors: CaptionVectors | None
    codec: TrainingCodec | None

    @property
    def autoencoder(self) -> Autoencoder | None:
        """What the file decodes latents by."""
        return None if self.codec is None else self.codec.autoencoder

    @property
    def decoder(self) -> Codec | None:
        """What a preview decodes latents by."""
        return None if self.codec is None else self.codec.codec

    def make_examples(self, seed: int) -> dict[str, Any] | None:
        """What the pictures of a preview are told, besides their classes."""
        images = self.images if self.held_out is None else self.held_out
        if self.vectors is not None and images.captions is not None:
            return self.vectors.make_examples(images.captions, EXAMPLES)
        return make_example_conditions(self.task, images, seed) if self.task else None


def read_training_data(data: str, config: TrainConfig, device: str, beside: Path, sources: Sources) -> TrainingData:
    """Read the data as the run's settings want it; beside: the folder of its checkpoint. Raises `DtoolError`."""
    masks, backgrounds, path = sources.get("masks"), sources.get("backgrounds"), sources.get("codec")
    size, classes = sources.get("size"), sources.get("classes")
    task = choose_task(config, masks, backgrounds, path)
    text = open_captions(data, sources.get("captions"), sources.get("text_encoder"), config, beside, classes=classes)
    classes = classes if text is None else False
    images, task = load_data(data, task, masks=masks, backgrounds=backgrounds, size=size, classes=classes)
    images = images if text is None else replace(images, captions=text.captions)
    codec = None if path is None else open_training_codec(path, images.shape, device)
    vectors = None if text is None else text.encode()
    images, held_out = hold_out(images, config.validation, config.seed)
    if codec is not None:
        images = codec.encode(images, mirrored=config.flip)
        held_out = None if held_out is None else codec.encode(held_out, mirrored=False)
    return TrainingData(images=images, held_out=held_out, task=task, vectors=vectors, codec=codec)
