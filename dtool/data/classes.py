"""Classes of images, of a network and of a classifier, matched by name: a place in a list means nothing elsewhere."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dtool.data.images import Images
from dtool.networks.labels import composed

SHOWN = 5  # names in a message


class ClassWarning(UserWarning):
    """The classes of images are not those of the network."""


def match_classes(images: Images, names: Sequence[str], source: str) -> NDArray[np.int64] | None:
    """The labels of `images` `(N,)` as places in `names`, the classes of a network; None if they have no such labels.

    Only classes that some image has count. Where one of them does not fit (see `places`) all labels are left out, with
    a ClassWarning that begins with `source`: none is guessed.
    """
    if images.labels is None or not names:
        return None
    used = np.unique(images.labels)
    found = places([images.class_names[label] for label in used], names, source, "the network's")
    if found is None:
        return None
    table = np.zeros(int(used[-1]) + 1, dtype=np.int64)
    table[used] = found
    return table[images.labels]


def places(wanted: Sequence[str], names: Sequence[str], source: str, whose: str) -> NDArray[np.int64] | None:
    """Where in `names` each wanted name stands; None, with a ClassWarning, unless each stands there exactly once."""
    known = [composed(name) for name in names]
    counts = Counter(known)
    strange = [name for name in wanted if counts[composed(name)] != 1]
    if not strange:
        return np.array([known.index(composed(name)) for name in wanted], dtype=np.int64)
    warnings.warn(
        f"{source}: its classes are left out, since {_listed(strange)} cannot be told among {whose}, {_listed(names)}",
        ClassWarning,
        stacklevel=3,
    )
    return None


def _listed(names: Sequence[str]) -> str:
    clear = [name if name == name.strip() and "," not in name else repr(name) for name in names[:SHOWN]]
    return ", ".join(clear) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
