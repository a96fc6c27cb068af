"""What `dtool compare` measures samples against: real images, or a closed form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dtool.errors import UsageError

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
    from dtool.data.images import load
    from dtool.metrics import Classifier, Reference

    images = load(data)
    if images.shape != net.shape:
        raise UsageError(f"{data} holds images of shape {images.shape}, the network draws {net.shape}", "give others")
    low, high = net.spec.data_range
    judge = None if classifier is None else Classifier(classifier)
    known = images.labels if judge is not None and images.labels is not None else None
    values = (images.take() + 1) / 2 * (high - low) + low
    return Reference(values, labels=known, classifier=judge, data_range=(low, high)), data
