"""The spec of an ONNX file: from its metadata, or from what the user says of it and its inputs show."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from dtool.backends.onnx_interface import Interface, named_apart, shown
from dtool.backends.onnx_walk import OnnxFile
from dtool.errors import DtoolError, UsageError
from dtool.networks.spec import NetworkSpec, warn_of_scaling
from dtool.options import complaint
from dtool.schedulers import schedule
from dtool.schedulers.schedule import Schedule

KEY = "dtool"


def own_spec(found: OnnxFile, said: NetworkSpec | Mapping[str, Any] | None, source: str) -> NetworkSpec | None:
    """What the file says of itself, or a whole spec that is said instead; None if neither is there.

    Raises UsageError if single fields are said of a file that says them itself.
    """
    if isinstance(said, NetworkSpec):
        return said
    if KEY not in found.metadata:
        return None
    spec = _read(found.metadata[KEY], source)
    if said:
        raise UsageError(
            f"{source} says itself what it was trained for: {spec.schedule}, {spec.prediction}",
            "leave out --schedule, --prediction and the like; another schedule to sample with is --scheduler",
        )
    return spec


def spec_of(
    found: OnnxFile, called: Interface, said: NetworkSpec | Mapping[str, Any] | None, source: str
) -> NetworkSpec:
    """The spec of a file that is called so. `said`: all of it, or of a file without metadata the fields that are known.

    Raises UsageError for what is said wrongly, or not at all; DtoolError if the file contradicts the spec.
    """
    spec = own_spec(found, said, source)
    if spec is None and said is None:
        raise DtoolError(
            f"{source} does not say what network it is: it has no dtool metadata",
            _how_to_say(called, source),
        )
    if spec is None:
        fields = dict(cast("Mapping[str, Any]", said))
        spec = _completed(fields.copy(), called, source)
        _say_guesses(found, called, spec, fields, source)
    _require_fitting(spec, called, source)
    return spec


def _read(text: str, source: str) -> NetworkSpec:
    """The spec in the metadata."""
    try:
        described = json.dumps(json.loads(text)["spec"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DtoolError(f"{source}: its dtool metadata cannot be read", "export it again") from error
    return NetworkSpec.read(described, source)


def _how_to_say(called: Interface, source: str) -> str:
    """What to type for a file like this one, with values to replace."""
    flags, fields = "--schedule linear --prediction eps", "schedule='linear', prediction='eps'"
    if _sample(called) is None:
        flags, fields = f"{flags} --shape 3,32,32", f"{fields}, shape=(3, 32, 32)"
    if called.label is not None:
        flags, fields = f"{flags} --num-classes 10", f"{fields}, classes=10"
    return f"say what it was trained for, as in: dtool sample {source} {flags}; in Python: spec=dict({fields})"


def _sample(called: Interface) -> tuple[int, ...] | None:
    """The shape of a sample, if the file fixes it."""
    dims = (called.x.dims or ())[1:]
    sizes = tuple(d for d in dims if isinstance(d, int))
    return sizes if sizes and len(sizes) == len(dims) else None


def _completed(said: dict[str, Any], called: Interface, source: str) -> NetworkSpec:
    """A spec from the fields that are said, and those that the file shows."""
    for name, example in (("schedule", "linear"), ("prediction", "eps")):
        if name not in said:
            raise UsageError(
                f"{source} has no dtool metadata, and of what it was trained for the {name} is not said",
                f"add --{name}, e.g. --{name} {example}",
            )
    if said.get("shape") is None and (found := _sample(called)) is not None:
        said["shape"] = found
    if said.get("shape") is None:
        raise UsageError(f"{source} takes samples of any shape ({shown(called.x)})", "say which, e.g. --shape 3,32,32")
    if called.label is not None and not said.get("classes"):
        raise UsageError(
            f"{source} takes a class label ({shown(called.label)}), and how many classes there are is not said",
            "add --num-classes, e.g. --num-classes 10, the label that means no class not counted if there is one",
        )
    said.setdefault("null_class", None)
    try:
        said.setdefault("learned_variance", _has_variance(called, tuple(said["shape"])))
        if not isinstance(said["schedule"], Schedule):  # what is unknown is told by itself, before the rest
            warn_of_scaling(schedule(said["schedule"]))
    except (TypeError, AttributeError) as error:
        raise UsageError(f"{source}: {_first(error)}", "a schedule is a name, a shape a tuple of numbers") from error
    try:
        return NetworkSpec(**said)
    except (ValidationError, TypeError) as error:
        raise UsageError(f"{source}: {_first(error)}", "see dtool sample --help") from error


def _first(error: Exception) -> str:
    """The first of the mistakes that were found, in a line."""
    if not isinstance(error, ValidationError):
        return str(error)
    mistake = error.errors()[0]
    return f"{'.'.join(map(str, mistake['loc']))}: {complaint(mistake)}"


def _has_variance(called: Interface, shape: tuple[int, ...]) -> bool:
    """Whether the file's output has twice the channels of a sample."""
    return (called.output.dims or ())[1:2] == (2 * shape[0],)


def _say_guesses(found: OnnxFile, called: Interface, spec: NetworkSpec, said: Mapping[str, Any], source: str) -> None:
    """Warn of what was taken from the look of a file, and could be otherwise."""
    guesses = []
    label = called.label
    if label is not None and label.kind == called.t.kind and not named_apart(called.t, label):
        guesses.append(f"{called.t.name} is taken for the time and {label.name} for the class, by their order")
    alike = [v.name for v in found.outputs if v.kind == called.output.kind and v.dims == called.output.dims]
    if len(alike) > 1:
        guesses.append(f"of its outputs {', '.join(alike)} the first is taken")
    if spec.learned_variance and "learned_variance" not in said:
        guesses.append("the second half of its output is taken for the variance of the noise")
    for guess in guesses:
        warnings.warn(f"{source}: {guess}", stacklevel=5)


def _require_fitting(spec: NetworkSpec, called: Interface, source: str) -> None:
    """Refuse a spec that the file's inputs contradict."""
    names = ", ".join(v.name for v in (called.x, called.t, called.label) if v is not None)
    if spec.classes and called.label is None:
        raise DtoolError(f"{source} has the inputs {names}; expected x, t, label", "leave out the classes")
    if called.label is not None and not spec.classes:
        raise DtoolError(f"{source} has the inputs {names}; expected x, t", "say how many classes there are")
    dims = called.x.dims
    if dims is not None and (
        len(dims) != 1 + len(spec.shape)
        or any(isinstance(d, int) and d != n for d, n in zip(dims[1:], spec.shape, strict=True))
    ):
        raise DtoolError(
            f"{source} takes samples as {shown(called.x)}, which are not of shape {spec.shape}",
            "leave out the shape, or give the one that it was exported for",
        )
