"""A plan's JSON, read: bounded, typed, and nothing in it that `Plan.to_json` would not write."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, create_model

from dtool.errors import DtoolError
from dtool.options import complaint
from dtool.plan.plan import COLUMNS, FLAGS, FORMAT, HEADER

LONGEST = 1 << 27  # characters: a hundred times what the largest plan of the catalogue takes
MOST = 10_000  # characters of a name in it
HINT = "write one with: dtool plan RECIPE --json"
_Text = Annotated[str, BeforeValidator(lambda value: _clean(value))]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_KINDS: dict[str, Any] = dict.fromkeys(HEADER, _Text) | {"init": _Number, "inverse": bool}
_KINDS |= dict.fromkeys(COLUMNS, list[_Number]) | dict.fromkeys(FLAGS, list[bool])
_KINDS |= {"b": list[list[_Number]], "t": list[_Number | None]}
_ADDED: dict[str, Any] = {"b_raw": [], "c_low": [], "inverse": False}  # since format 1
_FIELDS: dict[str, Any] = {name: (kind, ...) for name, kind in _KINDS.items()}
_MODEL = create_model("Plan", __config__=ConfigDict(extra="forbid", strict=True), **_FIELDS)


def columns_of(text: str | bytes) -> dict[str, Any]:
    """The fields of a plan as `Plan` takes them; raises DtoolError for JSON of anything else."""
    data = _parsed(text)
    number = data.pop("format", None)
    if type(number) is not int:
        raise _no_plan("it has no format")
    if number == 1:
        data = _ADDED | data
    elif number != FORMAT:
        raise DtoolError("this plan is of another format", "write it again with this version of dtool")
    try:
        found = _MODEL.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:80]
        raise _no_plan(f"{where}: {complaint(first)}") from error
    fields = {name: getattr(found, name) for name in _KINDS}
    fields["t"] = [float("nan") if value is None else value for value in fields["t"]]
    return fields


def _parsed(text: str | bytes) -> dict[str, Any]:
    """The object in `text`; raises DtoolError for text that is too long, too deep, no JSON, or no object."""
    if not isinstance(text, (str, bytes)):
        raise _no_plan(f"a {type(text).__name__} is no text")
    if len(text) > LONGEST:
        raise _no_plan(f"it has {len(text)} characters, and a plan has at most {LONGEST}")
    try:
        data = json.loads(text, object_pairs_hook=_once)
    except RecursionError as error:
        raise _no_plan("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise _no_plan("it is no text in UTF-8") from error
    except ValueError as error:
        raise _no_plan(f"it is no JSON that can be used: {str(error)[:120]}") from error
    if not isinstance(data, dict):
        raise _no_plan(f"it is a {type(data).__name__}")
    return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are each there once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _clean(value: Any) -> Any:
    """A text that can be written again; anything else as it is."""
    if isinstance(value, str) and len(value) > MOST:
        raise ValueError("the text is too long")
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("the text holds half a character")
    return value


def _no_plan(why: str) -> DtoolError:
    return DtoolError(f"this is not a plan ({' '.join(why.split())})", HINT)
