"""Going on with a run that was interrupted: only with the settings, the network and the images that it began with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dtool.data.latents import LatentImages
from dtool.errors import DtoolError, UsageError
from dtool.models import checkpoint
from dtool.training.config import TrainConfig
from dtool.training.loop import Trainer


def continue_from(path: Path, trainer: Trainer) -> None:
    """Continue the run whose checkpoint `path` is; raises `DtoolError` if this is not the same run."""
    saved = checkpoint.read(path)
    if saved.training is None:
        raise DtoolError(f"{path}: holds no state of training", "only a .pt that `dtool train` wrote can be continued")
    try:
        _restore_state(path, trainer, saved, saved.training)
    except DtoolError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise DtoolError(
            f"{path}: its state of training cannot be used ({type(error).__name__})",
            "begin a new run, with --force or another -o",
        ) from error


def _restore_state(path: Path, trainer: Trainer, saved: checkpoint.Checkpoint, state: dict[str, Any]) -> None:
    _require_same_codec(path, saved, trainer)
    settings = TrainConfig.model_validate({"consistent": False, **json.loads(state["config"])})
    require_same(settings.model_dump(), trainer.config.model_dump(), path)
    network = trainer.network.config.model_dump(mode="json")
    require_same(saved.config, network, path)
    if saved.spec.class_names != trainer.images.class_names:
        raise UsageError(f"{path}: was trained on other classes than these", "give the DATA that it was begun with")
    if state["data"] != trainer.compute_fingerprint():
        raise UsageError(
            f"{path}: was trained on other images, captions or --backgrounds than these",
            "give those that it was begun with",
        )
    before, now = saved.text, None if trainer.text is None else trainer.text.reference
    if before is not None and now is not None and before.sha256 != now.sha256:
        raise UsageError(f"{path}: was trained with another sentence encoder", "give the one that it was begun with")
    if state["step"] >= trainer.config.steps:
        raise UsageError(f"{path}: has all its {state['step']} steps", "ask for more with --steps")
    trainer.load(state, saved.state_dict)


def _require_same_codec(path: Path, saved: checkpoint.Checkpoint, trainer: Trainer) -> None:
    """Raise UsageError for a network of latents that would go on with other latents, or with pictures."""
    images = trainer.images
    now = images.codec_fingerprint if isinstance(images, LatentImages) else None
    before = None if saved.codec is None else saved.codec.compute_fingerprint()
    if now == before:
        return
    if before is None:
        raise UsageError(f"{path}: was trained on pictures, not on latents", "leave --codec out")
    what = "another codec's latents" if now is not None else "latents"
    raise UsageError(f"{path}: was trained on {what}", "resume with the --codec that it was begun with")


def require_same(before: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    """Raise UsageError, naming the option, for a setting of a run that is another now; `steps` may change."""
    for name in before:
        if name != "steps" and before[name] != now[name]:
            option = name.replace("_", "-")
            was = f"--{option} {before[name]}, not {now[name]}"
            if isinstance(before[name], bool):
                was = f"--{option}" if before[name] else f"--no-{option}" if name == "consistent" else f"no --{option}"
            raise UsageError(
                f"{path}: was trained with {was}",
                "resume with the options that it was begun with (only --steps may change)",
            )
