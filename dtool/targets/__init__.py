"""Laws of data in closed form, with exact networks: what a sampler's errors are measured on without training."""

from dtool.targets.catalogue import TargetMaker, is_target, target, targets
from dtool.targets.target import Target
from dtool.targets.wasserstein import Distance

__all__ = ["Distance", "Target", "TargetMaker", "is_target", "target", "targets"]
