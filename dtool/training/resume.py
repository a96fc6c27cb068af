"""Going on with a run that was interrupted: only with the settings, the network and the images that it began with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    _require_same(TrainConfig.model_validate_json(state["config"]).model_dump(), trainer.config.model_dump(), path)
    network = trainer.network.config.model_dump(mode="json")
    _require_same(saved.config, network, path)
    if saved.spec.class_names != trainer.images.class_names:
        raise UsageError(f"{path}: was trained on other classes than these", "give the DATA that it was begun with")
    if state["data"] != trainer.images.fingerprint():
        raise UsageError(
            f"{path}: was trained on other images than these, or captions", "give the DATA that it was begun with"
        )
    before, now = saved.text, None if trainer.text is None else trainer.text.reference
    if before is not None and now is not None and before.sha256 != now.sha256:
        raise UsageError(f"{path}: was trained with another sentence encoder", "give the one that it was begun with")
    if state["step"] >= trainer.config.steps:
        raise UsageError(f"{path}: has all its {state['step']} steps", "ask for more with --steps")
    trainer.load(state, saved.state_dict)


def _require_same(before: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    for name in before:
        if name != "steps" and before[name] != now[name]:
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"{path}: was trained with {option} {before[name]}, not {now[name]}",
                "resume with the options that it was begun with (only --steps may change)",
            )
