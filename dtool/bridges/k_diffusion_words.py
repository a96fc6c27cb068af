"""Words such as k-diffusion:sample_dpmpp_2m: a function of k_diffusion.sampling, on a grid of dtool's."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from dtool.bridges.adoption import Adoption
from dtool.bridges.foreign_options import build_model
from dtool.bridges.installed import get_version
from dtool.bridges.sigma_driver import adopt_function
from dtool.errors import UsageError, did_you_mean, format_value
from dtool.plan.foreign import AdoptionRequest, ForeignRule, refuse_interval, require_installed
from dtool.util.options import parse_token

GIVEN = (
    "model", "x", "sigmas", "extra_args", "callback", "disable", "noise_sampler", "sigma_min", "sigma_max", "n",
    "return_info",
)  # fmt: skip
_ALONE = "_dtool_k_diffusion"


def read_rule(word: str) -> ForeignRule:
    """The rule of "sample_…:key=value,…"; see `dtool.plan.foreign`."""
    name, options = parse_token(word)
    names = [one for one in vars(import_sampling()) if one.startswith("sample_")]
    if name not in names:
        raise UsageError(f"k-diffusion has no sampler {format_value(name)}", did_you_mean(name, names))
    function = getattr(import_sampling(), name)
    model = build_model(name, [function], GIVEN)
    defaults = tuple((key, field.default) for key, field in model.model_fields.items())
    rule = ForeignRule(
        name=f"k-diffusion:{name}", step=refuse_interval, order=1, startup_order=1, calls=1, basis="x0",
        cite=f"k-diffusion {get_version('k-diffusion')}", stochastic=False, model=model, family="adopted",
        options=defaults, own_grid=False, adopt=lambda rule, request: _adopt(function, rule, request),
    )  # fmt: skip
    return rule.bind(**options)  # type: ignore[return-value]


def _adopt(function: Callable[..., Any], rule: ForeignRule, request: AdoptionRequest) -> Adoption:
    assert request.points is not None, "the function makes no grid"
    return adopt_function(function, request.points, dict(rule.options), (rule.token, rule.cite), request.schedule)


@functools.cache
def import_sampling() -> ModuleType:
    """k_diffusion/sampling.py by itself: the package imports much more than its samplers need.

    Raises UsageError if it, or what it needs, is not installed.
    """
    loaded = sys.modules.get("k_diffusion.sampling")
    if loaded is not None:
        return loaded
    require_installed("k-diffusion")
    found = importlib.util.find_spec("k_diffusion")
    places = [] if found is None else list(found.submodule_search_locations or [])
    path = Path(places[0]) / "sampling.py" if places else Path()
    package, name = ModuleType(_ALONE), f"{_ALONE}.sampling"
    package.utils = SimpleNamespace(append_dims=lambda x, n: x[(...,) + (None,) * (n - x.ndim)])  # type: ignore[attr-defined]
    sys.modules[_ALONE] = package
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError("k-diffusion has no samplers", "mend its installation: pip install -U k-diffusion")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
