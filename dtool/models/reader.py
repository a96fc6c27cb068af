"""A reader: whether it knows a file, a folder or an object, and the network that it makes of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dtool.models.codec import Codec
from dtool.models.description import Description
from dtool.models.network import Network
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.plugins.isolation import Origin

OpenSource = Callable[[Any, NetworkSpec | Description, Runtime], Network]
OpenCodec = Callable[[Path, tuple[int, ...], float | None, float | None, Runtime], Codec]


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Opens networks of one format. It runs no code from a file, and downloads nothing.

    recognises(source): whether a path that exists, or an object, is of this format; it looks at names and at a few
    bytes, and imports nothing heavy for what is not its own.
    open(source, description, runtime): the network, with its `origin`. `description` is what the user says of it, for
    formats that do not say everything themselves; UsageError names what is missing or contradicted, DtoolError a file
    that is broken or unsafe.
    open_codec(path, latent_shape, scale, shift, runtime): of a format that may hold a codec alone, what
    `dtool sample --decoder PATH` decodes by; scale and shift are None where the file is asked for them.
    """

    name: str
    recognises: Callable[[Any], bool] = field(repr=False)
    open: OpenSource = field(repr=False)
    summary: str = ""
    open_codec: OpenCodec | None = field(default=None, repr=False)
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @property
    def doc(self) -> str:
        """The docstring of the function."""
        return inspect.cleandoc(self.open.__doc__ or "")


def reader(
    name: str, *, recognises: Callable[[Any], bool], summary: str = "", open_codec: OpenCodec | None = None
) -> Callable[[OpenSource], Reader]:
    """Make a reader out of a function `(source, description, runtime) -> Network`. See `Reader`.

    >>> @dtool.reader("numbers", recognises=lambda source: source == 42, summary="the number 42")
    ... def numbers(source, description, runtime):
    ...     return dtool.network(lambda x, t: 0 * x, shape=(2,))
    >>> numbers.recognises(42), numbers.summary
    (True, 'the number 42')
    """

    def wrap(function: OpenSource) -> Reader:
        return Reader(name=name, recognises=recognises, open=function, summary=summary, open_codec=open_codec)

    return wrap
