"""dtool: write a sampler as the paper's equation; it is compiled to a small table that runs anywhere.

The public names are loaded when they are first used, so that `import dtool` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dtool.version import __version__

if TYPE_CHECKING:
    from dtool import compare as compare
    from dtool import export as export
    from dtool import plan as plan
    from dtool.backends.load import default_network as default_network
    from dtool.backends.load import load as load
    from dtool.backends.load import network as network
    from dtool.backends.sampling import Samples as Samples
    from dtool.backends.sampling import sample as sample
    from dtool.errors import DtoolError as DtoolError
    from dtool.networks.measure import measure_variance as measure_variance
    from dtool.networks.network import Network as Network
    from dtool.networks.spec import NetworkSpec as NetworkSpec
    from dtool.plan import Plan as Plan
    from dtool.plan import Point as Point
    from dtool.plan import Recipe as Recipe
    from dtool.plugins.hookspecs import hookimpl as hookimpl
    from dtool.samplers import sampler as sampler
    from dtool.schedulers import schedule as schedule
    from dtool.schedulers import spacing as spacing
    from dtool.schedulers.schedule import Schedule as Schedule
    from dtool.testing.check import check as check

_MODULES = {"plan", "export", "compare"}  # packages that can be called

_HOME = {
    "DtoolError": "dtool.errors",
    "Network": "dtool.networks.network",
    "NetworkSpec": "dtool.networks.spec",
    "Plan": "dtool.plan",
    "Point": "dtool.plan",
    "Recipe": "dtool.plan",
    "Samples": "dtool.backends.sampling",
    "Schedule": "dtool.schedulers.schedule",
    "check": "dtool.testing",
    "default_network": "dtool.backends.load",
    "hookimpl": "dtool.plugins.hookspecs",
    "load": "dtool.backends.load",
    "measure_variance": "dtool.networks.measure",
    "network": "dtool.backends.load",
    "sample": "dtool.backends.sampling",
    "sampler": "dtool.samplers",
    "schedule": "dtool.schedulers",
    "spacing": "dtool.schedulers",
}

__all__ = ["__version__", *sorted(_HOME), *sorted(_MODULES)]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"dtool.{name}")
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'dtool' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
