"""What a run needs before it begins: its task, its images, the network's configuration, and the file's description."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dtool.data.images import Images, load
from dtool.data.latents import LatentImages
from dtool.data.masks import load_masked
from dtool.data.textures import load_textures
from dtool.errors import UsageError
from dtool.models.spec import NetworkSpec, describe_schedule
from dtool.models.unet import UNetConfig
from dtool.schedulers.schedule import Schedule
from dtool.training.captions import CaptionVectors
from dtool.training.config import TrainConfig, option_error
from dtool.training.tasks import Segment, Task, Upscale, describe_conditions, parse_task
from dtool.training.upscaling import configure_upscaling


def choose_task(
    config: TrainConfig, masks: str | None, backgrounds: str | None, codec: Path | None = None
) -> Task | None:
    """The task that `config` names; raises UsageError for options of another one, and for one beside a codec."""
    if config.task is not None and codec is not None:
        raise UsageError(f"--task {config.task} is of pictures, and --codec of latents", "leave out one of them")
    if config.task is not None:
        task = parse_task(config.task, augment=config.augment, masks=masks is not None)
        if backgrounds is not None and not (isinstance(task, Segment) and task.cut_out):
            raise UsageError(
                "--backgrounds are of --task segment, for pictures that are cut out", "leave --backgrounds out"
            )
        return task
    for option, value in (("--augment", config.augment), ("--masks", masks), ("--backgrounds", backgrounds)):
        if value is not None:
            raise UsageError(
                f"{option} {value} is of a --task, and there is none", f"add --task, or leave {option} out"
            )
    return None


def load_data(
    data: str,
    task: Task | None,
    *,
    masks: str | None,
    backgrounds: str | None,
    size: tuple[int, int] | None,
    classes: bool | None,
) -> tuple[Images, Task | None]:
    """The images, with masks if the task needs them, and the task with its backgrounds."""
    if task is None or not task.needs_masks:
        return load(data, size=size, classes=classes), task
    images = load_masked(data, masks, size=size)
    if backgrounds is not None and isinstance(task, Segment):
        task = replace(task, textures=load_textures(backgrounds, (images.shape[1], images.shape[2])))
    return images, task


def describe_network(
    config: TrainConfig,
    images: Images,
    task: Task | None,
    schedule: Schedule,
    guidance: float,
    text: CaptionVectors | None = None,
) -> NetworkSpec:
    """What the file will say of the network."""
    conditions = describe_conditions(task, images.shape) if task else ()
    drawn = replace(images, pixels=images.pixels[:, -1:]) if task and task.needs_masks else images
    return NetworkSpec(
        shape=drawn.shape,
        **describe_schedule(schedule),
        prediction=config.prediction,
        conditions=conditions if text is None else (text.condition,),
        classes=len(images.class_names),
        class_names=images.class_names,
        null_class=config.label_dropout > 0,
        guidance=guidance,
        clip=not isinstance(images, LatentImages),  # latents have no ends
        statistics=drawn.statistics(),
    )


def configure_network(
    config: TrainConfig,
    images: Images,
    task: Task | None,
    schedule: Schedule,
    wishes: dict[str, Any],
    text: CaptionVectors | None = None,
) -> UNetConfig:
    """The U-Net's configuration: its defaults follow the images' size, `wishes` are fields that override them."""
    shape = task.choose_shape(images.shape) if task else images.shape
    default = UNetConfig.for_shape(shape, classes=len(images.class_names))
    if task:
        wishes = {**wishes, "pictures": task.list_pictures(images.shape), "numbers": tuple(task.list_numbers())}
    if text is not None:
        wishes = {**wishes, "text": text.input}
    if isinstance(task, Upscale) and config.consistent:
        wishes = {**wishes, "upscaling": configure_upscaling(config, task, images, schedule)}
    if "multipliers" in wishes and "attention" not in wishes:
        wishes = {**wishes, "attention": (len(wishes["multipliers"]) - 1,)}
    if config.replicas > 1 and wishes.get("dropout"):
        raise UsageError(
            f"--dropout {wishes['dropout']:g} and --replicas {config.replicas} do not go together: threads share "
            "PyTorch's one generator",
            "use --accumulate in the place of --replicas",
        )
    try:
        return UNetConfig.model_validate({**default.model_dump(), **wishes})
    except ValidationError as error:
        raise option_error(error) from error
