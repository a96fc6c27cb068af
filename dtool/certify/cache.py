"""Measurements that are kept: one JSON file for each, named by the hash of all that it depends on.

Nothing is kept unless a folder is given. What a damaged file holds is measured again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from dtool.certify.conformance import Check
from dtool.certify.convergence import Curve, curve
from dtool.certify.dependencies import hash_dependencies
from dtool.certify.result import CheckResult
from dtool.samplers.rule import Rule
from dtool.util.files import WriteError, write_atomically

VARIABLE = "DTOOL_CERTIFICATE_CACHE"
T = TypeVar("T")


def choose_folder(default: Path) -> Path | None:
    """Where to keep measurements: `default`, or what $DTOOL_CERTIFICATE_CACHE says; None if it is set to nothing."""
    chosen = os.environ.get(VARIABLE)
    return default if chosen is None else Path(chosen) if chosen else None


def keep_result(one: Check, rule: Rule, folder: Path | None) -> Check:
    """The same certificate of a registered rule, measured only if the folder does not hold its result.

    What the rule raises is raised, and not kept.
    """

    @wraps(one)
    def examine() -> CheckResult:
        return _recall(folder, rule, one.__name__, lambda: asdict(one()), lambda value: CheckResult(**value))

    return examine


def keep_curve(rule: Rule, measure: str, folder: Path | None) -> Curve:
    """`curve(rule, measure)`, measured only if the folder does not hold it."""
    return _recall(folder, rule, f"curve: {measure}", lambda: asdict(curve(rule, measure)), _read_curve)


def _read_curve(value: dict[str, Any]) -> Curve:
    counts, errors = (tuple(value[name]) for name in ("counts", "errors"))
    return Curve(value["name"], value["order"], counts, errors)


def _recall(
    folder: Path | None, rule: Rule, question: str, measure: Callable[[], dict[str, Any]], read: Callable[[Any], T]
) -> T:
    """What the folder holds as the answer, or else what is measured, which it then holds.

    Several processes may do this at once: each file is whole at all times, and all would write the same.
    """
    if folder is None:
        return read(measure())
    key = [question, rule.token, hash_dependencies(rule)]
    path = folder / f"{sha256(json.dumps(key).encode()).hexdigest()[:32]}.json"
    try:
        entry = json.loads(path.read_bytes())
        if entry["key"] == key:
            return read(entry["value"])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        pass  # there is no such file, or it is damaged
    value = measure()
    _write_entry(path, {"key": key, "value": value})
    return read(value)


def _write_entry(path: Path, entry: dict[str, Any]) -> None:
    text = json.dumps(entry, indent=1) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda scratch: scratch.write_text(text, encoding="utf-8"))
    except (OSError, WriteError):
        return  # what cannot be kept is measured again next time
