"""Class labels as a network takes them: whole numbers from 0, and, if it was trained so, one that means no class."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.errors import UsageError, did_you_mean, shown
from dtool.networks.network import Network

Labels = NDArray[np.int64]
NONE = -1  # what users write for no class


def resolve_labels(network: Network, labels: ArrayLike | None, count: int) -> Labels | None:
    """Labels `(count,)` as the network takes them, from one for all or one each: numbers or names, -1 for no class.

    labels None: no class for any. None is returned for a network that is not conditional. Raises UsageError for labels
    that the network does not have, no class among them if it was not trained to know none.
    """
    if network.classes == 0:
        if labels is not None:
            raise UsageError("this network is not conditional", "leave out the classes")
        return None
    given = class_numbers(network, NONE if labels is None else labels)
    values = np.full(count, given) if given.ndim == 0 else given
    if values.shape != (count,):
        raise UsageError(f"{values.size} classes for {count} images", "give one class, or one each")
    if (values < NONE).any() or (values >= network.classes).any():
        raise UsageError(
            f"classes are 0 … {network.classes - 1}; got {values.min()} … {values.max()}", f"{NONE} means no class"
        )
    if (values == NONE).any():
        network.require_null_class("no class was asked for")
    return np.where(values == NONE, network.classes, values)


def class_numbers(network: Network, labels: ArrayLike) -> Labels:
    """Labels as int64, from numbers or from names of the network's classes; raises UsageError for what are neither."""
    try:
        given = np.asarray(labels)
    except (TypeError, ValueError):
        given = np.asarray(None)
    names = network.spec.class_names
    if given.dtype.kind == "U" and given.size and names:
        numbers = [class_number(name, names) for name in given.ravel().tolist()]
        return np.array(numbers, dtype=np.int64).reshape(given.shape)
    if given.size and (given.dtype.kind not in "iu" or int(given.max()) >= 1 << 63):
        raise UsageError(
            f"labels={shown(labels)} is neither whole numbers nor names", f"use 0, 1, 2 …; {NONE} means no class"
        )
    return given.astype(np.int64)


def class_number(name: str, names: Sequence[str], classes: int = 0) -> int:
    """A class by its name, NONE for "none"; by its number, below `classes`, where no class is called by a number.

    names: those of the network's classes, or () if they have none. classes: 0 if no number will do. Raises UsageError
    for an unknown or ambiguous name.
    """
    if name == "none" and "none" in names:
        raise UsageError(
            "'none' is one of the classes, and the word for no class", f"give a number; {NONE} is no class"
        )
    known, typed = [composed(each) for each in names], composed(name)
    if name in names and names.count(name) == 1:
        return names.index(name)
    if known.count(typed) > 1:
        raise UsageError(f"several classes are called {name!r}", "give its number, counted from 0")
    if typed in known:
        return known.index(typed)
    if name in ("none", str(NONE)):
        return NONE
    numbered = not any(each.isdecimal() for each in names)
    if numbered and re.fullmatch(r"[0-9]{1,18}", name) and int(name) < classes:
        return int(name)
    usable = [each for each in names if "," not in each and each == each.strip() != ""]  # others have a number only
    hint = did_you_mean(name, usable) if usable else f"classes are 0 … {classes - 1}, or none"
    raise UsageError(f"there is no class {shown(name)}", hint)


def label_names(names: Sequence[str], labels: Labels | None) -> list[str]:
    """The name of each label, of a network whose classes have these names: "none" for the label that means none.

    Where a class is called so itself, that is "no class".
    """
    none = "no class" if "none" in names else "none"
    return [names[label] if label < len(names) else none for label in ([] if labels is None else labels.tolist())]


def composed(name: str) -> str:
    """A name with its accents composed (Unicode's NFC): some file systems and keyboards take them apart."""
    return unicodedata.normalize("NFC", name)
