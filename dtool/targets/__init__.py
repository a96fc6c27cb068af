"""Laws of data in closed form, with exact networks: to measure a sampler's errors without training."""

from dtool.targets.catalogue import TargetMaker, is_target, list_targets, target
from dtool.targets.closed_form import Target
from dtool.targets.wasserstein import Distance

__all__ = ["Distance", "Target", "TargetMaker", "is_target", "list_targets", "target"]
