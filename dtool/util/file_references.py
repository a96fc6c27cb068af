"""What a file says of itself may name no other file: while it is read, options that name files are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, get_args

from pydantic.fields import FieldInfo

OWN_FILES_HINT = "a file may name no other: get it from whom you trust, or name the other file yourself"
_source: ContextVar[str] = ContextVar("dtool_contained", default="")


@contextmanager
def contain_names(source: str) -> Iterator[None]:
    """Read names that come from the file `source`: within this context nothing that they name may be another file."""
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)


def get_containing_file() -> str:
    """The file whose own words are being read; empty if the words are the user's."""
    return _source.get()


@dataclass(frozen=True)
class FileNameMarker:
    """Marks the type of an option whose value is the name of a file to be read, unless it is one of `words`."""

    words: tuple[str, ...] = ()


FileName = Annotated[str, FileNameMarker()]
"""The type of an option that names a file to be read, in the place of `str`."""


def is_file_name(field: FieldInfo, value: object) -> bool:
    """Whether an option's value is the name of a file: it is marked as `FileName` is, or a `pathlib.Path`."""
    marks = [each for each in field.metadata if isinstance(each, FileNameMarker)]
    if marks:
        return value not in marks[0].words
    kinds = (field.annotation, *get_args(field.annotation))
    return any(isinstance(kind, type) and issubclass(kind, PurePath) for kind in kinds)
