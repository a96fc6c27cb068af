"""What `dtool compare` measures samples against: real images, or a closed form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dtool.metrics import Reference
    from dtool.networks.network import Network
    from dtool.targets import Target


def closed_form(model: str | None) -> Target | None:
    """The closed form that `model` names, None if it is a network."""
    from dtool.targets import is_target, target

    return target(model) if model and is_target(model) else None


def real_images(data: str, classifier: Path | None, net: Network) -> tuple[Reference, str]:
    """The images in `data`, in the network's range, and their name; raises UsageError if they are of another shape."""
    from dtool.data.images import load_for
    from dtool.metrics import Classifier, Reference

    images = load_for(data, net.shape)
    judge = None if classifier is None else Classifier(classifier)
    known = images.labels if judge is not None and images.labels is not None else None
    within = net.spec.data_range
    return Reference(images.within(within), labels=known, classifier=judge, data_range=within), data
