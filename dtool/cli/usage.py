"""What to say of a command line that cannot be read: which option it has instead, or who has the one that was given."""

from __future__ import annotations

import warnings
from typing import Any

from dtool.errors import did_you_mean


def explained(error: Any) -> tuple[str, str]:
    """(cause, hint) of one of typer's errors, told by its attributes: the classes are private."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "dtool"
    option = getattr(error, "option_name", None)
    message = str(getattr(error, "message", "")).rstrip(".")
    if option is not None and context is not None and message.startswith("No such option"):
        return _unknown_option(str(option), context)
    text = error.format_message().rstrip(".").replace("Value error, ", "")
    return text[:1].lower() + text[1:], f"see: {path} --help"


def _unknown_option(option: str, context: Any) -> tuple[str, str]:
    command = context.command
    known = [name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)]
    known = [name for name in known if name.startswith("--")]
    rule = getattr(command, "rule", None)
    if rule is not None:
        owners = _samplers_with(option)
        if owners:
            return f"{rule.name} has no option {option}", f"{option} is an option of --sampler {' or '.join(owners)}"
    hint = did_you_mean(option, known)
    return f"{context.command_path} has no option {option}", (
        hint if hint.startswith("did") else f"see: {context.command_path} --help"
    )


def _samplers_with(option: str) -> list[str]:
    """The installed samplers that have this flag."""
    from dtool.cli.options import flag
    from dtool.plugins.registry import registry

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this is for a hint alone
        return [
            entry.spelling
            for entry, rule in registry().samplers.loaded()
            if any(flag(name) == option for name in rule.model.model_fields)
        ]
