"""What an upscaler whose results are consistent with its input must know of the data."""

from __future__ import annotations

import torch

from dtool.data.images import Images
from dtool.models.consistent_upscaling import UpscalingConfig, guess_picture, shrink
from dtool.schedulers.schedule import Schedule
from dtool.training.config import TrainConfig
from dtool.training.tasks import Upscale

LOOKED_AT = 512  # images
SMALLEST = 0.01  # a deviation: of pictures that are all flat


def configure_upscaling(config: TrainConfig, task: Upscale, images: Images, schedule: Schedule) -> UpscalingConfig:
    """How far the first images are from their guess, and what the run's settings say."""
    return UpscalingConfig(
        low="low", level="level" if task.augment else None, factor=task.factor, prediction=config.prediction,
        coordinates=schedule.coordinates, times=schedule.T, deviation=measure_deviation(images, task.factor),
    )  # fmt: skip


def measure_deviation(images: Images, factor: int) -> float:
    """The root mean square of what is to be drawn: the images less their guesses, to four digits on any machine."""
    pixels = torch.from_numpy(images.take(slice(0, LOOKED_AT)))
    rest = pixels - guess_picture(shrink(pixels, factor), factor)
    return max(SMALLEST, round(float(rest.double().square().mean().sqrt()), 4))
