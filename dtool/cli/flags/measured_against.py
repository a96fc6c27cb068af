"""What `dtool compare` measures, and against what: real images, or a closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.drawing import ClassifierFile
from dtool.cli.flags.groups import FlagGroup
from dtool.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dtool.metrics import Classifier, Reference
    from dtool.models.network import Network
    from dtool.targets import Target


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What is measured of each recipe, and the real images that it is measured against."""

    data: Annotated[
        str | None,
        typer.Option(
            help="real images to measure quality against: a folder, IDX, .npz, or `digits` [default: the statistics of "
            "the training images]",
            show_default=False,
        ),
    ] = None
    metrics: Annotated[
        str | None,
        typer.Option(help="of `dtool metrics`, e.g. mmd,fd [default: all that can be had]", show_default=False),
    ] = None
    classifier: ClassifierFile = None
    solver: Annotated[bool, typer.Option("--solver/--no-solver", help="the distance to the solution of the ODE")] = True
    repeats: Annotated[int, typer.Option(min=1, help="timed rounds; their median counts")] = 3

    @property
    def names(self) -> list[str] | None:
        """The metrics that were asked for; None for all that can be had."""
        return self.metrics.split(",") if self.metrics else None


MEASURES = FlagGroup.of(Measures)


def choose_reference(
    data: str | None, classifier: Path | None, model: str | None, net: Network
) -> tuple[Reference | Target | None, str]:
    """The images in `data` with their name, else the closed form that `model` names, else None.

    Raises UsageError for images of another shape than the network's, or a classifier that has no images to judge by.
    """
    if data:
        return _load_real_images(data, classifier, net), data
    if classifier is not None:
        raise UsageError(f"--classifier {classifier} has no real images to compare with", "give them: --data FOLDER")
    return _resolve_target(model), ""


def _resolve_target(model: str | None) -> Target | None:
    """The closed form that `model` names, None if it is a network."""
    from dtool.targets import is_target, target

    return target(model) if model and is_target(model) else None


def _load_real_images(data: str, classifier: Path | None, net: Network) -> Reference:
    """The images in `data`, in the network's range; raises UsageError if they are of another shape."""
    from dtool.data.classes import match_classes
    from dtool.data.images import load_for
    from dtool.metrics import Classifier, Reference

    images = load_for(data, net.picture_shape)
    within = net.picture_range
    pixels = images.take_in_range(within)
    if classifier is None:
        return Reference(pixels, data_range=within)
    judge = Classifier(classifier)
    seen = _make_class_mapper(net.spec.names, judge, pixels) if net.classes else None
    labels = match_classes(images, net.spec.names, data) if seen is not None else None
    return Reference(pixels, labels=labels, features=judge.features, classifier=seen, data_range=within)


def _make_class_mapper(names: Sequence[str], judge: Classifier, images: NDArray[Any]) -> Callable[[Any], Any] | None:
    """What a classifier sees, as places `(n,)` in `names`, -1 for none of them; None if it lacks one of the names."""
    import numpy as np

    from dtool.data.classes import find_positions

    own = judge.class_names(images)
    order = find_positions(names, own, "the network", f"those of {judge.path}")
    if order is None:
        return None
    place = np.full(len(own), -1)
    place[order] = np.arange(len(order))
    return lambda samples: place[judge(samples).argmax(axis=1)]
