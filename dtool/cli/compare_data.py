"""What `dtool compare` measures samples against: real images, or a closed form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.metrics import Reference
    from dtool.networks.network import Network
    from dtool.targets import Target


def measured_against(
    data: str | None, classifier: Path | None, model: str | None, net: Network
) -> tuple[Reference | Target | None, str]:
    """The images in `data` with their name, else the closed form that `model` names, else None.

    Raises UsageError for images of another shape than the network's, or a classifier that has no images to judge by.
    """
    if data:
        return _real_images(data, classifier, net), data
    if classifier is not None:
        raise UsageError(f"--classifier {classifier} has no real images to compare with", "give them: --data FOLDER")
    return _closed_form(model), ""


def _closed_form(model: str | None) -> Target | None:
    """The closed form that `model` names, None if it is a network."""
    from dtool.targets import is_target, target

    return target(model) if model and is_target(model) else None


def _real_images(data: str, classifier: Path | None, net: Network) -> Reference:
    """The images in `data`, in the network's range; raises UsageError if they are of another shape."""
    from dtool.data.images import load_for
    from dtool.metrics import Classifier, Reference

    images = load_for(data, net.shape)
    judge = None if classifier is None else Classifier(classifier)
    known = images.labels if judge is not None and images.labels is not None else None
    within = net.spec.data_range
    return Reference(images.within(within), labels=known, classifier=judge, data_range=within)
