"""What `dtool compare` measures samples against: real images, or a closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dtool.metrics import Classifier, Reference
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
    from dtool.data.classes import match_classes
    from dtool.data.images import load_for
    from dtool.metrics import Classifier, Reference

    images = load_for(data, net.shape)
    within = net.spec.data_range
    pixels = images.within(within)
    if classifier is None:
        return Reference(pixels, data_range=within)
    judge = Classifier(classifier)
    seen = _told_as(net.spec.names, judge, pixels) if net.classes else None
    labels = match_classes(images, net.spec.names, data) if seen is not None else None
    return Reference(pixels, labels=labels, features=judge.features, classifier=seen, data_range=within)


def _told_as(names: Sequence[str], judge: Classifier, images: NDArray[Any]) -> Callable[[Any], Any] | None:
    """What a classifier sees, as places `(n,)` in `names`, -1 for none of them; None if it lacks one of the names."""
    import numpy as np

    from dtool.data.classes import places

    own = judge.class_names(images)
    order = places(names, own, "the network", f"those of {judge.path}")
    if order is None:
        return None
    place = np.full(len(own), -1)
    place[order] = np.arange(len(order))
    return lambda given: place[judge(given).argmax(axis=1)]
