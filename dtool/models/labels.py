"""Class labels as a network takes them: whole numbers from 0, and, if it was trained so, one that means no class."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.errors import UsageError, did_you_mean, format_value
from dtool.models.network import Network

Labels = NDArray[np.int64]
NO_CLASS = -1  # what users write for no class


def resolve_labels(network: Network, labels: ArrayLike | None, count: int) -> Labels | None:
    """Labels `(count,)` as the network takes them, from one for all or one each: numbers or names, -1 for no class.

    labels None: no class for any. None is returned for a network that is not conditional. Raises UsageError for labels
    that the network does not have, no class among them if it was not trained to know none.
    """
    if network.classes == 0:
        if labels is not None:
            raise _unconditional_error()
        return None
    numbers = to_class_numbers(network, NO_CLASS if labels is None else labels)
    values = np.full(count, numbers) if numbers.ndim == 0 else numbers
    if values.shape != (count,):
        raise UsageError(f"{values.size} classes for {count} images", "give one class, or one each")
    if (values < NO_CLASS).any() or (values >= network.classes).any():
        raise UsageError(
            f"classes are 0 … {network.classes - 1}; got {values.min()} … {values.max()}", f"{NO_CLASS} means no class"
        )
    if (values == NO_CLASS).any():
        network.require_null_class("no class was asked for")
    return np.where(values == NO_CLASS, network.spec.null_label, values)


def check_labels(network: Network, labels: ArrayLike | None, n: int | None) -> Labels | None:
    """Classes as an array `(k,)`; raises UsageError for what the network has not, or another number than n of them."""
    if labels is None:
        return None
    if network.classes == 0:
        raise _unconditional_error()
    values = np.atleast_1d(to_class_numbers(network, labels))
    if np.ndim(labels) and n is not None and len(values) != n:
        raise UsageError(f"{len(values)} classes for {n} images", "give one class, or one each")
    return values


def _unconditional_error() -> UsageError:
    return UsageError("this network is not conditional", "leave out the classes")


def assign_classes(network: Network, ids: Sequence[int] | NDArray[Any], labels: Labels | None = None) -> Labels | None:
    """The classes of the images with these ids: by id, `labels` `(k,)` in turn, or each class of the network in turn.

    None for a network that is not conditional.
    """
    if network.classes == 0:
        return None
    return np.asarray(ids).astype(np.int64) % network.classes if labels is None else take_in_turn(labels, ids)


def take_in_turn(labels: Labels, ids: Sequence[int] | NDArray[Any]) -> Labels:
    """For each id the label at that place of `labels` `(k,)`, which are repeated as often as it takes."""
    return np.asarray(labels[np.asarray(ids) % len(labels)])


def to_class_numbers(network: Network, labels: ArrayLike) -> Labels:
    """Labels as int64, from numbers or from names of the network's classes; raises UsageError for what are neither."""
    try:
        values = np.asarray(labels)
    except (TypeError, ValueError):
        values = np.asarray(None)
    names = network.spec.class_names
    if values.dtype.kind == "U" and values.size and names:
        numbers = [find_class(name, names) for name in values.ravel().tolist()]
        return np.array(numbers, dtype=np.int64).reshape(values.shape)
    if values.size and (values.dtype.kind not in "iu" or int(values.max()) >= 1 << 63):
        raise UsageError(
            f"labels={format_value(labels)} is neither whole numbers nor names",
            f"use 0, 1, 2 …; {NO_CLASS} means no class",
        )
    return values.astype(np.int64)


def find_class(name: str, names: Sequence[str], classes: int = 0) -> int:
    """A class by its name, NO_CLASS for "none"; by its number, below `classes`, where no class is called by a number.

    names: those of the network's classes, or () if they have none. classes: 0 if no number will do. Raises UsageError
    for an unknown or ambiguous name.
    """
    if name == "none" and "none" in names:
        raise UsageError(
            "'none' is one of the classes, and the word for no class", f"give a number; {NO_CLASS} is no class"
        )
    composed, wanted = [to_nfc(each) for each in names], to_nfc(name)
    if name in names and names.count(name) == 1:
        return names.index(name)
    if composed.count(wanted) > 1:
        raise UsageError(f"several classes are called {name!r}", "give its number, counted from 0")
    if wanted in composed:
        return composed.index(wanted)
    if name in ("none", str(NO_CLASS)):
        return NO_CLASS
    numbered = not any(each.isdecimal() for each in names)
    if numbered and re.fullmatch(r"[0-9]{1,18}", name) and int(name) < classes:
        return int(name)
    usable = [each for each in names if "," not in each and each == each.strip() != ""]  # others have a number only
    count = classes or len(names)
    outside = re.fullmatch(r"-?[0-9]+", name) is not None and count > 0
    hint = did_you_mean(name, usable) if usable and not outside else f"classes are 0 … {count - 1}, or none"
    raise UsageError(f"there is no class {format_value(name)}", hint)


def name_labels(names: Sequence[str], labels: Labels | None) -> list[str]:
    """The name of each label, of a network whose classes have these names: "none" for the label that means none.

    Where a class is called so itself, that is "no class".
    """
    none = "no class" if "none" in names else "none"
    return [names[label] if label < len(names) else none for label in ([] if labels is None else labels.tolist())]


def to_nfc(name: str) -> str:
    """A name with its accents composed (Unicode's NFC): some file systems and keyboards take them apart."""
    return unicodedata.normalize("NFC", name)
