"""Classes of images, of a network and of a classifier, matched by name: a place in a list means nothing elsewhere."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dtool.data.images import Images
from dtool.models.labels import to_nfc

SHOWN = 5  # names in a message


class ClassWarning(UserWarning):
    """The classes of images are not those of the network."""


def match_classes(images: Images, names: Sequence[str], source: str) -> NDArray[np.int64] | None:
    """The labels of `images` `(N,)` as places in `names`, the classes of a network; None if they have no such labels.

    Only classes that some image has count. Where one of them does not fit (see `find_positions`) all labels are left
    out, with a ClassWarning that begins with `source`: none is guessed.
    """
    if images.labels is None or not names:
        return None
    occurring = np.unique(images.labels)
    positions = find_positions([images.class_names[label] for label in occurring], names, source, "the network's")
    if positions is None:
        return None
    table = np.zeros(int(occurring[-1]) + 1, dtype=np.int64)
    table[occurring] = positions
    return table[images.labels]


def find_positions(wanted: Sequence[str], names: Sequence[str], source: str, whose: str) -> NDArray[np.int64] | None:
    """Where in `names` each wanted name stands; None, with a ClassWarning, unless each stands there exactly once."""
    composed = [to_nfc(name) for name in names]
    counts = Counter(composed)
    strange = [name for name in wanted if counts[to_nfc(name)] != 1]
    if not strange:
        return np.array([composed.index(to_nfc(name)) for name in wanted], dtype=np.int64)
    warnings.warn(
        f"{source}: its classes are left out, since {_list_names(strange)} cannot be told among {whose}, "
        f"{_list_names(names)}",
        ClassWarning,
        stacklevel=3,
    )
    return None


def _list_names(names: Sequence[str]) -> str:
    clear = [name if name == name.strip() and "," not in name else repr(name) for name in names[:SHOWN]]
    return ", ".join(clear) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
