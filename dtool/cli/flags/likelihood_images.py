"""The images of `dtool likelihood`: which of the data, on how many levels, with which labels."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.cli.flags.values import parse_classes, parse_whole
from dtool.data.classes import match_classes
from dtool.data.images import load_for
from dtool.errors import UsageError
from dtool.models.network import Network

MEASURED = 64  # images, at most, on which the analytic variance is measured


class ImageSelection:
    """The images that were asked for: `ids` are their places in the data, which also name their noise."""

    def __init__(self, net: Network, source: str, n: int, seed: int, levels: str | None, classes: str | None) -> None:
        self.net, self.source, self.seed = net, source, seed
        self._data = load_for(source, net.shape)
        total = len(self._data)
        if n > total:
            raise UsageError(f"-n {n}, but {source} holds {total} images", f"ask for {total} or fewer")
        order = np.random.default_rng(seed).permutation(total)
        self.ids, rest = order[:n], order[n:][::-1]
        self.others = rest[:MEASURED]
        self.levels = _parse_levels(levels, source)
        labels = parse_classes(classes, net.spec.class_names, net.classes, total)
        own = match_classes(self._data, net.spec.names, source) if labels is None else None
        self._labels = own if labels is None else np.asarray(labels)
        if net.classes and labels is None and self._data.labels is None:
            warnings.warn(f"{source}: the images have no classes, and the network is told none", stacklevel=2)
        self.summary = {"data": source, "ids": self.ids.tolist(), "conditional": self._labels is not None}

    def images(self, ids: NDArray[Any]) -> NDArray[np.float64]:
        """Those images in the network's range, (n, *shape)."""
        return self._data.take_in_range(self.net.spec.data_range, ids)

    def labels(self, ids: NDArray[Any]) -> Any:
        """Their labels, or None."""
        return None if self._labels is None else self._labels[ids]


def _parse_levels(text: str | None, source: str) -> int | None:
    if text is None:
        return 17 if source == "digits" and not Path(source).exists() else 256
    if text == "none":
        return None
    number = parse_whole(text)
    if number is None or number < 2:
        raise UsageError(f"--levels {text}: not a number of levels", "write it as 256, or none")
    return number
