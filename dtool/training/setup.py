"""What a run is made of: its task, its images, its network, and what the file will say of that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dtool.data.images import Images, load
from dtool.data.latents import LatentImages
from dtool.data.masks import load_masked
from dtool.errors import UsageError
from dtool.models.spec import NetworkSpec, describe_schedule
from dtool.models.unet import UNetConfig
from dtool.schedulers.schedule import Schedule
from dtool.training.config import TrainConfig, option_error
from dtool.training.tasks import Task, describe_conditions, parse_task


def choose_task(config: TrainConfig, masks: str | None, codec: Path | None) -> Task | None:
    """The task of a run, if it has one; raises UsageError for what has no meaning without one, or with one."""
    if config.task is not None and codec is not None:
        raise UsageError(f"--task {config.task} is of pictures, and --codec of latents", "leave out one of them")
    if config.task is not None:
        return parse_task(config.task, augment=config.augment, masks=masks is not None)
    for option, value in (("--augment", config.augment), ("--masks", masks)):
        if value is not None:
            raise UsageError(
                f"{option} {value} is of a --task, and there is none", f"add --task, or leave {option} out"
            )
    return None


def read_images(
    data: str, masks: str | None, task: Task | None, *, size: tuple[int, int] | None, classes: bool | None
) -> Images:
    """The images, with their masks as one more channel where the task needs them. Errors as of `dtool.data`."""
    if task and task.needs_masks:
        return load_masked(data, masks, size=size)
    return load(data, size=size, classes=classes)


def describe_network(
    config: TrainConfig, images: Images, task: Task | None, schedule: Schedule, guidance: float
) -> NetworkSpec:
    """What the file will say of the network."""
    drawn = replace(images, pixels=images.pixels[:, -1:]) if task and task.needs_masks else images
    return NetworkSpec(
        shape=drawn.shape,
        **describe_schedule(schedule),
        prediction=config.prediction,
        conditions=describe_conditions(task, images.shape) if task else (),
        classes=len(images.class_names),
        class_names=images.class_names,
        null_class=config.label_dropout > 0,
        guidance=guidance,
        clip=not isinstance(images, LatentImages),  # latents have no ends
        statistics=drawn.statistics(),
    )


def configure_network(images: Images, task: Task | None, wishes: dict[str, Any]) -> UNetConfig:
    """The U-Net for these images, with what is asked for in the place of its defaults; raises UsageError."""
    shape = task.choose_shape(images.shape) if task else images.shape
    default = UNetConfig.for_shape(shape, classes=len(images.class_names))
    if task:
        wishes = {**wishes, "pictures": task.list_pictures(images.shape), "numbers": tuple(task.list_numbers())}
    if "multipliers" in wishes and "attention" not in wishes:
        wishes = {**wishes, "attention": (len(wishes["multipliers"]) - 1,)}
    try:
        return UNetConfig.model_validate({**default.model_dump(), **wishes})
    except ValidationError as error:
        raise option_error(error) from error
