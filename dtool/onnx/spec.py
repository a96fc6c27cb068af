"""The spec of an ONNX file: from its metadata, or from what the user says of it and its inputs show."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from dtool.errors import DtoolError, UsageError
from dtool.models.conditions import Condition
from dtool.models.description import Description
from dtool.models.spec import NetworkSpec, warn_of_scaling
from dtool.onnx.interface import Interface, are_time_and_label, describe_value, make_condition
from dtool.onnx.walk import OnnxFile
from dtool.schedulers import get_scheduler
from dtool.schedulers.schedule import Schedule
from dtool.util.options import describe_mistake

KEY = "dtool"


def read_own_spec(file: OnnxFile, description: NetworkSpec | Description, source: str) -> NetworkSpec | None:
    """The spec in the file's metadata, or a whole spec that is given in its place; None if there is neither.

    Raises UsageError if single fields are given for a file that has a spec of its own.
    """
    if isinstance(description, NetworkSpec):
        return description
    if KEY not in file.metadata:
        return None
    spec = _parse_spec(file.metadata[KEY], source)
    if not description.is_empty:
        raise UsageError(
            f"{source} says itself what it was trained for: {spec.schedule}, {spec.prediction}",
            "leave out --schedule, --prediction and the like; another schedule to sample with is --scheduler",
        )
    return spec


def list_known_conditions(file: OnnxFile, description: NetworkSpec | Description) -> tuple[str, ...]:
    """The names of the conditions that the user or the file's own metadata describe."""
    known: Any = description.conditions or ()
    if not isinstance(description, NetworkSpec) and KEY in file.metadata:
        try:
            known = json.loads(file.metadata[KEY])["spec"]["conditions"]
        except (ValueError, KeyError, TypeError, RecursionError):
            known = ()
    each = known if isinstance(known, list | tuple) else ()
    names = (one.get("name") if isinstance(one, dict) else getattr(one, "name", None) for one in each)
    return tuple(name for name in names if isinstance(name, str))


def determine_spec(
    file: OnnxFile, interface: Interface, description: NetworkSpec | Description, source: str
) -> NetworkSpec:
    """The spec of a file with this interface. `description`: all of it, or the known fields of a file without metadata.

    Raises UsageError for a field that is wrong or missing; DtoolError if the file contradicts the spec.
    """
    spec = read_own_spec(file, description, source)
    if isinstance(description, Description) and spec is None:
        if description.is_empty:
            raise DtoolError(
                f"{source} does not say what network it is: it has no dtool metadata",
                _suggest_options(interface, source),
            )
        spec = _complete_spec(description.to_fields(), interface, source)
        _warn_of_guesses(file, interface, spec, description, source)
    assert spec is not None
    _require_fitting(spec, interface, source)
    return spec


def _parse_spec(text: str, source: str) -> NetworkSpec:
    """The spec in the metadata."""
    try:
        document = json.dumps(json.loads(text)["spec"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DtoolError(f"{source}: its dtool metadata cannot be read", "export it again") from error
    return NetworkSpec.read(document, source)


def _suggest_options(interface: Interface, source: str) -> str:
    """What to type for a file like this one, with values to replace."""
    flags, fields = "--schedule linear --prediction eps", "schedule='linear', prediction='eps'"
    if _find_sample_shape(interface) is None:
        flags, fields = f"{flags} --shape 3,32,32", f"{fields}, shape=(3, 32, 32)"
    if interface.label is not None:
        flags, fields = f"{flags} --num-classes 10", f"{fields}, classes=10"
    return f"say what it was trained for, as in: dtool sample {source} {flags}; in Python: spec=dict({fields})"


def _find_sample_shape(interface: Interface) -> tuple[int, ...] | None:
    """The shape of a sample, if the file fixes it."""
    dims = (interface.x.dims or ())[1:]
    sizes = tuple(d for d in dims if isinstance(d, int))
    return sizes if sizes and len(sizes) == len(dims) else None


def _complete_spec(fields: dict[str, Any], interface: Interface, source: str) -> NetworkSpec:
    """A spec from the fields that are given, and from what the file's inputs and outputs show."""
    for name, example in (("schedule", "linear"), ("prediction", "eps")):
        if name not in fields:
            raise UsageError(
                f"{source} has no dtool metadata: say which {name} it was trained with",
                f"add --{name}, e.g. --{name} {example}",
            )
    if fields.get("shape") is None and (shape := _find_sample_shape(interface)) is not None:
        fields["shape"] = shape
    if fields.get("shape") is None:
        raise UsageError(
            f"{source} takes samples of any shape ({describe_value(interface.x)})", "say which, e.g. --shape 3,32,32"
        )
    if interface.label is not None and not fields.get("classes"):
        raise UsageError(
            f"{source} takes a class label ({describe_value(interface.label)}), and the number of classes is unknown",
            "add --num-classes, e.g. --num-classes 10; a label that means no class is not counted",
        )
    fields.setdefault("null_class", None)
    fields["conditions"] = _merge_conditions(fields.get("conditions") or (), interface)
    try:
        fields.setdefault("learned_variance", _has_variance(interface, tuple(fields["shape"])))
        if not isinstance(fields["schedule"], Schedule):  # an unknown name is reported on its own, before the rest
            warn_of_scaling(get_scheduler(fields["schedule"]))
    except (TypeError, AttributeError) as error:
        raise UsageError(
            f"{source}: {_describe_first_error(error)}", "a schedule is a name, a shape a tuple of numbers"
        ) from error
    try:
        return NetworkSpec(**fields)
    except (ValidationError, TypeError) as error:
        raise UsageError(f"{source}: {_describe_first_error(error)}", "see dtool sample --help") from error


def _describe_first_error(error: Exception) -> str:
    """The first mistake, in one line."""
    if not isinstance(error, ValidationError):
        return str(error)
    mistake = error.errors()[0]
    return f"{'.'.join(map(str, mistake['loc']))}: {describe_mistake(mistake)}"


def _merge_conditions(known: Sequence[Any], interface: Interface) -> tuple[Any, ...]:
    """The conditions that the file shows; of those that the user describes, as described."""
    described = {one.name if isinstance(one, Condition) else one.get("name"): one for one in known}
    shown = tuple(described.pop(one.name, one) for one in map(make_condition, interface.others))
    return (*shown, *described.values())


def _has_variance(interface: Interface, shape: tuple[int, ...]) -> bool:
    """Whether the file's output has twice the channels of a sample."""
    return (interface.output.dims or ())[1:2] == (2 * shape[0],)


def _warn_of_guesses(
    file: OnnxFile, interface: Interface, spec: NetworkSpec, description: Description, source: str
) -> None:
    """Warn of what was inferred from the file's inputs and outputs, and may be wrong."""
    guesses = []
    label = interface.label
    if label is not None and label.kind == interface.t.kind and not are_time_and_label(interface.t, label):
        guesses.append(f"{interface.t.name} is taken for the time and {label.name} for the class, by their order")
    alike = [v.name for v in file.outputs if v.kind == interface.output.kind and v.dims == interface.output.dims]
    if len(alike) > 1:
        guesses.append(f"the first of its outputs {', '.join(alike)} is taken")
    if spec.learned_variance and description.learned_variance is None:
        guesses.append("the second half of its output is taken for the variance of the noise")
    for guess in guesses:
        warnings.warn(f"{source}: {guess}", stacklevel=5)


def _require_fitting(spec: NetworkSpec, interface: Interface, source: str) -> None:
    """Refuse a spec that the file's inputs contradict."""
    names = ", ".join(v.name for v in (interface.x, interface.t, interface.label) if v is not None)
    if spec.classes and interface.label is None:
        raise DtoolError(f"{source} has the inputs {names}; expected x, t, label", "leave out the classes")
    if interface.label is not None and not spec.classes:
        raise DtoolError(f"{source} has the inputs {names}; expected x, t", "say how many classes there are")
    _require_conditions(spec, interface, source)
    dims = interface.x.dims
    if dims is not None and (
        len(dims) != 1 + len(spec.shape)
        or any(isinstance(d, int) and d != n for d, n in zip(dims[1:], spec.shape, strict=True))
    ):
        raise DtoolError(
            f"{source} takes samples as {describe_value(interface.x)}, which are not of shape {spec.shape}",
            "leave out the shape, or give the one that it was exported for",
        )


def _require_conditions(spec: NetworkSpec, interface: Interface, source: str) -> None:
    """Refuse conditions that the file does not take, or takes otherwise, or that are not described."""
    described = {one.name: one for one in spec.conditions}
    shown = {one.name: one for one in map(make_condition, interface.others)}
    if described.keys() != shown.keys():
        names = (", ".join(each) or "none" for each in (shown, described))
        raise DtoolError(
            "{} takes the conditions {}; described are {}".format(source, *names),
            "describe those that it takes, or none: they are read from the file",
        )
    for name, one in described.items():
        own = shown[name]
        if one.dtype != own.dtype or not _agree(one.shape, own.shape):
            raise DtoolError(
                f"{source} takes {own.describe()}, which is described as {one.describe()}", "describe it as it is"
            )


def _agree(one: tuple[int | None, ...], own: tuple[int | None, ...]) -> bool:
    return len(one) == len(own) and all(a == b or b is None for a, b in zip(one, own, strict=True))
