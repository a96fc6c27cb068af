"""Reading a plan's JSON: bounded, typed, and nothing in it that `Plan.to_json` would not write."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from dtool.errors import DtoolError
from dtool.plan.compiled_plan import COLUMNS, FITTED_FORMAT, FLAGS, FORMAT, GUIDANCE, GUIDED_FORMAT, HEADER
from dtool.plan.fit_record import FitRecord
from dtool.util.options import describe_mistake

MAX_LENGTH = 1 << 27  # characters: a hundred times what the largest plan of the catalogue takes
MAX_NAME_LENGTH = 10_000  # characters of a name in it
HINT = "write one with: dtool plan RECIPE --json"
_Text = Annotated[str, BeforeValidator(lambda value: _clean(value))]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_KINDS: dict[str, Any] = dict.fromkeys(HEADER, _Text) | {"init": _Number, "inverse": bool}
_KINDS |= dict.fromkeys(COLUMNS, list[_Number]) | dict.fromkeys(FLAGS, list[bool])
_KINDS |= {"b": list[list[_Number]], "t": list[_Number | None]}
_KINDS |= {"scale": _Number | None, "rescale": _Number, "b_without": list[list[_Number]]}
_ADDED: dict[str, Any] = {"b_raw": [], "c_low": [], "inverse": False}  # since format 1
_UNGUIDED: dict[str, Any] = {"guidance": "", "scale": None, "rescale": 0.0} | {name: [] for name in GUIDANCE[3:]}
_FIELDS: dict[str, Any] = {name: (kind, ...) for name, kind in _KINDS.items()}
_MODEL = create_model("Plan", __config__=ConfigDict(extra="forbid", strict=True), **_FIELDS)


def parse_fields(text: str | bytes) -> dict[str, Any]:
    """The fields of a plan as `Plan` takes them; raises DtoolError for JSON of anything else."""
    data = _parse_object(text)
    number = data.pop("format", None)
    if type(number) is not int:
        raise _make_error("it has no format")
    record = None
    if number == 1:
        data = _UNGUIDED | _ADDED | data
    elif number == FORMAT:
        data = _UNGUIDED | data
    elif number == FITTED_FORMAT:
        record = _parse_record(data.pop("fit", None))
    elif number != GUIDED_FORMAT:
        raise DtoolError("this plan is of another format", "write it again with this version of dtool")
    try:
        document = _MODEL.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:80]
        raise _make_error(f"{where}: {describe_mistake(first)}") from error
    fields = {name: getattr(document, name) for name in _KINDS}
    fields["t"] = [float("nan") if value is None else value for value in fields["t"]]
    return fields | {"fit": record}


def _parse_record(value: Any) -> FitRecord:
    """What a fitted plan says of its making."""
    try:
        return TypeAdapter(FitRecord).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("fit", *first["loc"]))[:80]
        raise _make_error(f"{where}: {describe_mistake(first)}") from error


def _parse_object(text: str | bytes) -> dict[str, Any]:
    """The object in `text`; raises DtoolError for text that is too long, too deep, no JSON, or no object."""
    if not isinstance(text, (str, bytes)):
        raise _make_error(f"a {type(text).__name__} is no text")
    if len(text) > MAX_LENGTH:
        raise _make_error(f"it has {len(text)} characters, and a plan has at most {MAX_LENGTH}")
    try:
        data = json.loads(text, object_pairs_hook=_reject_duplicates)
    except RecursionError as error:
        raise _make_error("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise _make_error("it is no text in UTF-8") from error
    except ValueError as error:
        raise _make_error(f"it is no JSON that can be used: {str(error)[:120]}") from error
    if not isinstance(data, dict):
        raise _make_error(f"it is a {type(data).__name__}")
    return data


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are each there once."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a key is there twice")
    return entries


def _clean(value: Any) -> Any:
    """A text that can be written again; anything else as it is."""
    if isinstance(value, str) and len(value) > MAX_NAME_LENGTH:
        raise ValueError("the text is too long")
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("the text holds half a character")
    return value


def _make_error(why: str) -> DtoolError:
    return DtoolError(f"this is not a plan ({' '.join(why.split())})", HINT)
