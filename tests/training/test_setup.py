"""What a run is made of: what has no meaning together, and what the file says of pictures and of latents."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.data.images import Images
from dtool.data.latents import LatentImages
from dtool.errors import UsageError
from dtool.schedulers import get_scheduler
from dtool.training.config import TrainConfig
from dtool.training.setup import choose_task, configure_network, describe_network


def test_a_task_is_of_pictures() -> None:
    config = TrainConfig(steps=1, task="fill")
    assert choose_task(config, None, None) is not None
    assert choose_task(TrainConfig(steps=1), None, Path("codec")) is None
    with pytest.raises(UsageError, match="--task fill is of pictures, and --codec of latents"):
        choose_task(config, None, Path("codec"))
    with pytest.raises(UsageError, match="--masks m is of a --task, and there is none"):
        choose_task(TrainConfig(steps=1), "m", None)


def test_latents_have_no_ends_and_the_pictures_statistics() -> None:
    pictures = Images(np.random.default_rng(0).integers(0, 256, (5, 3, 8, 8)).astype(np.uint8))
    latents = LatentImages(np.zeros((5, 4, 4, 4), np.float32), pictures=pictures)
    specs = [describe_network(TrainConfig(steps=1), each, None, get_scheduler("linear"), 1.0)
             for each in (pictures, latents)]  # fmt: skip
    assert [spec.clip for spec in specs] == [True, False]
    assert [spec.shape for spec in specs] == [(3, 8, 8), (4, 4, 4)]
    assert specs[0].statistics == specs[1].statistics


def test_attention_follows_the_levels() -> None:
    images = Images(np.zeros((5, 3, 8, 8), np.uint8))
    config = configure_network(images, None, {"width": 8, "multipliers": (1, 2, 2)})
    assert (config.channels, config.attention) == (3, (2,))
    with pytest.raises(UsageError, match="--width"):
        configure_network(images, None, {"width": 12})
