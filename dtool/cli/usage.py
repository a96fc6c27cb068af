"""What to say of a command line that cannot be read: which option it has instead, or who has the one that was given."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from dtool.errors import DtoolError, did_you_mean


def explain_error(error: Any) -> tuple[str, str]:
    """(cause, hint) of one of typer's errors, told by its attributes: the classes are private."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "dtool"
    option = getattr(error, "option_name", None)
    message = str(getattr(error, "message", "")).rstrip(".")
    if option is not None and context is not None and message.startswith("No such option"):
        return _explain_unknown_option(str(option), context)
    text = error.format_message().rstrip(".").replace("Value error, ", "")
    return text[:1].lower() + text[1:], f"see: {path} --help"


def _explain_unknown_option(option: str, context: Any) -> tuple[str, str]:
    command = context.command
    options = [name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)]
    options = [name for name in options if name.startswith("--")]
    rule = getattr(command, "rule", None)
    if rule is not None:
        owners = _find_samplers(option)
        if owners:
            return f"{rule.name} has no option {option}", f"{option} is an option of --sampler {' or '.join(owners)}"
    owner = _find_typed_owner(option, getattr(command, "typed", ()))
    if owner is not None:
        return f"{context.command_path} has no option {option}", f"it is an option of {owner}"
    hint = did_you_mean(option, options)
    return f"{context.command_path} has no option {option}", (
        hint if hint.startswith("did") else f"see: {context.command_path} --help"
    )


def _find_typed_owner(option: str, typed: Sequence[str]) -> str | None:
    """`--scheduler NAME:power=…`, if the schedule or the spacing that was typed has an option of this name."""
    from dtool.plugins.registry import get_registry

    registry, name = get_registry(), option.removeprefix("--").partition("=")[0].replace("-", "_")
    for flag, catalogue in (("--scheduler", registry.schedulers), ("--spacing", registry.spacings)):
        words = [following for word, following in pairwise(typed) if word == flag]
        words += [word.partition("=")[2] for word in typed if word.startswith(f"{flag}=")]
        for word in words[-1:]:
            try:
                fields = catalogue.get(word.partition(":")[0]).model.model_fields
            except DtoolError:
                continue
            if name in fields:
                value = _find_typed_value(option, typed)
                return f"the {catalogue.kind}: {flag} {word}{',' if ':' in word else ':'}{name}={value}"
    return None


def _find_typed_value(option: str, typed: Sequence[str]) -> str:
    following = [after for word, after in pairwise(typed) if word == option]
    joined = [word.partition("=")[2] for word in typed if word.startswith(f"{option}=")]
    return next(iter([*joined, *following]), "…")


def _find_samplers(option: str) -> list[str]:
    """The installed samplers that have this flag."""
    from dtool.cli.flags.sampler_options import format_flag
    from dtool.plugins.registry import get_registry

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this is for a hint alone
        return [
            entry.spelling
            for entry, rule in get_registry().samplers.iterate_loaded()
            if any(format_flag(name) == option for name in rule.model.model_fields)
        ]
