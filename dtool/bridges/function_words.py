"""Words such as function:my_pack.samplers:sample_mine:eta=0.5: a function in k-diffusion's form, of any package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dtool.bridges.foreign_options import build_model
from dtool.bridges.installed import find_package_version
from dtool.bridges.k_diffusion_words import GIVEN
from dtool.bridges.sigma_driver import adopt_function, require_form
from dtool.errors import UsageError
from dtool.plan.foreign import AdoptionRequest, ForeignRule, refuse_interval
from dtool.util.file_references import OWN_FILES_HINT, get_containing_file
from dtool.util.options import parse_token
from dtool.util.text import format_exception

FORM = "function:PACKAGE.MODULE:NAME[:option=value,…]"


def read_rule(word: str) -> ForeignRule:
    """The rule of "package.module:name:key=value,…", which is imported; see `dtool.plan.foreign`."""
    module, _, rest = word.partition(":")
    if not module or not rest:
        raise UsageError(f"function:{word} names no function", f"write {FORM}")
    name, options = parse_token(rest)
    function = _import_function(module, name)
    token = f"function:{module}:{name}"
    require_form(function, token)
    model = build_model(name, [function], GIVEN)
    defaults = tuple((key, field.default) for key, field in model.model_fields.items() if not field.is_required())
    rule = ForeignRule(
        name=token, step=refuse_interval, order=1, startup_order=1, calls=1, basis="x0",
        cite=find_package_version(function), stochastic=False, model=model, family="adopted", options=defaults,
        own_grid=False, adopt=lambda rule, request: _adopt(function, rule, request),
    )  # fmt: skip
    return rule.bind(**options)  # type: ignore[return-value]


def _import_function(module: str, name: str) -> Callable[..., Any]:
    """The function; modules in the working directory are found too."""
    if source := get_containing_file():
        raise UsageError(f"{source} names code of yours, {module}", OWN_FILES_HINT)
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:
        raise UsageError(f"{module}:{name} cannot be imported ({format_exception(error)})", f"write {FORM}") from error
    if not callable(found):
        raise UsageError(f"{module}:{name} is no function", f"write {FORM}")
    function: Callable[..., Any] = found
    return function


def _adopt(function: Callable[..., Any], rule: ForeignRule, request: AdoptionRequest) -> Any:
    assert request.points is not None, "the function makes no grid"
    return adopt_function(function, request.points, dict(rule.options), (rule.token, rule.cite), request.schedule)
