"""What was said of a model that does not say it itself, remembered in a small JSON file beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model

from dtool.errors import DtoolError
from dtool.models.description import Description
from dtool.models.spec import NetworkSpec
from dtool.schedulers.schedule import Schedule
from dtool.util import bounded_reading
from dtool.util.files import write_atomically
from dtool.util.options import describe_mistake

SUFFIX = ".dtool.json"
NOT_REMEMBERED = ("betas", "levels", "statistics")  # tables of numbers
_KINDS: dict[str, Any] = {
    name: (kind, None) for name, kind in get_type_hints(Description).items() if name not in NOT_REMEMBERED
}
_Remembered = create_model(
    "_Remembered", __config__=ConfigDict(extra="forbid"), **_KINDS | {"schedule": (str | None, None)}
)


def locate_sidecar(path: Path) -> Path:
    """Where what is said of `path` is remembered: beside a file, within a folder."""
    return path / f"model{SUFFIX}" if path.is_dir() else path.with_name(path.name + SUFFIX)


def add_remembered(path: Path, description: NetworkSpec | Description) -> NetworkSpec | Description:
    """`description`, and of what it does not say what is remembered of `path`; raises DtoolError for a broken file."""
    file = locate_sidecar(path)
    if isinstance(description, NetworkSpec) or not file.is_file():
        return description
    remembered = _read(file)
    return replace(description, **{**remembered.to_fields(), **description.to_fields()})


def remember(path: Path, description: Description) -> Path:
    """Write down what is said of `path`, added to what is remembered already; returns the file's path.

    Raises DtoolError if it cannot be written.
    """
    whole = add_remembered(path, description)
    assert isinstance(whole, Description), "a description and what is added to it"
    fields = {name: value for name, value in whole.to_fields().items() if name not in NOT_REMEMBERED}
    if isinstance(schedule := fields.get("schedule"), Schedule):
        del fields["schedule"]
        if schedule.portable:  # a name that gives it anywhere
            fields["schedule"] = schedule.token
    file = locate_sidecar(path)
    text = TypeAdapter(dict[str, object]).dump_json(fields, indent=2) + b"\n"
    write_atomically(file, lambda temporary: temporary.write_bytes(text))
    return file


def _read(file: Path) -> Description:
    """What a file remembers; raises DtoolError, with its name, for one that dtool did not write so."""
    try:
        document = bounded_reading.read_json(file)
    except bounded_reading.UnreadableError as error:
        raise _make_error(file, str(error)) from error
    except ValueError as error:
        raise _make_error(file, f"it is no JSON ({error})") from error
    except OSError as error:
        raise _make_error(file, error.strerror or str(error)) from error
    if not isinstance(document, dict) or set(document) & set(NOT_REMEMBERED):
        raise _make_error(file, "it is not what dtool model wrote")
    try:
        fields = _Remembered.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _make_error(file, f"{where}: {describe_mistake(first)}") from error
    return Description(**{name: getattr(fields, name) for name in document})


def _make_error(file: Path, why: str) -> DtoolError:
    return DtoolError(f"{file}: {why}", "mend it, or take it away")
