"""dtool: write a sampler as the paper's equation; it is compiled to a small table that runs anywhere.

The public names are loaded when they are first used, so that `import dtool` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dtool.version import __version__

if TYPE_CHECKING:
    from dtool import bench as bench
    from dtool import certify as certify
    from dtool import compare as compare
    from dtool import errors as errors
    from dtool import export as export
    from dtool import fit as fit
    from dtool import guidances as guidances
    from dtool import likelihood as likelihood
    from dtool import metrics as metrics
    from dtool import plan as plan
    from dtool import report as report
    from dtool import targets as targets
    from dtool.bridges.adopt import adopt as adopt
    from dtool.certify import check as check
    from dtool.compare.recommendation import recommend as recommend
    from dtool.errors import DtoolError as DtoolError
    from dtool.errors import UsageError as UsageError
    from dtool.guidances import get_guidance as get_guidance
    from dtool.guidances.guidance import guidance as guidance
    from dtool.metrics import metric as metric
    from dtool.models.conditioner import conditioner as conditioner
    from dtool.models.network import Network as Network
    from dtool.models.reader import reader as reader
    from dtool.models.runtime import Runtime as Runtime
    from dtool.models.spec import NetworkSpec as NetworkSpec
    from dtool.models.variance_measurement import measure_variance as measure_variance
    from dtool.plan import Plan as Plan
    from dtool.plan import Point as Point
    from dtool.plan import Recipe as Recipe
    from dtool.plugins.hookspecs import hookimpl as hookimpl
    from dtool.run.load import default_network as default_network
    from dtool.run.load import load as load
    from dtool.run.own_function import network as network
    from dtool.run.sampling import Samples as Samples
    from dtool.run.sampling import sample as sample
    from dtool.samplers import get_sampler as get_sampler
    from dtool.samplers.claims import Breaks as Breaks
    from dtool.samplers.claims import Same as Same
    from dtool.samplers.claims import Steps as Steps
    from dtool.samplers.rule import sampler as sampler
    from dtool.schedulers import get_scheduler as get_scheduler
    from dtool.schedulers.schedule import Schedule as Schedule
    from dtool.schedulers.schedule import from_alpha_bar as from_alpha_bar
    from dtool.schedulers.schedule import from_betas as from_betas
    from dtool.schedulers.schedule import from_lam as from_lam
    from dtool.schedulers.scheduler import scheduler as scheduler
    from dtool.spacings import get_spacing as get_spacing
    from dtool.spacings.spacing import spacing as spacing

# Rooms with a door of their own; `plan`, `compare`, `fit`, `export` and `bench` can also be called.
_ROOMS = {
    "bench", "certify", "compare", "errors", "export", "fit", "guidances", "likelihood", "metrics", "plan", "report",
    "targets",
}  # fmt: skip

_HOME = {
    "Breaks": "dtool.samplers.claims",
    "DtoolError": "dtool.errors",
    "Network": "dtool.models.network",
    "NetworkSpec": "dtool.models.spec",
    "Plan": "dtool.plan",
    "Point": "dtool.plan",
    "Recipe": "dtool.plan",
    "Runtime": "dtool.models.runtime",
    "Same": "dtool.samplers.claims",
    "Samples": "dtool.run.sampling",
    "Schedule": "dtool.schedulers.schedule",
    "Steps": "dtool.samplers.claims",
    "UsageError": "dtool.errors",
    "adopt": "dtool.bridges.adopt",
    "check": "dtool.certify",
    "conditioner": "dtool.models.conditioner",
    "default_network": "dtool.run.load",
    "from_alpha_bar": "dtool.schedulers.schedule",
    "from_betas": "dtool.schedulers.schedule",
    "from_lam": "dtool.schedulers.schedule",
    "get_guidance": "dtool.guidances",
    "get_sampler": "dtool.samplers",
    "get_scheduler": "dtool.schedulers",
    "get_spacing": "dtool.spacings",
    "guidance": "dtool.guidances.guidance",
    "hookimpl": "dtool.plugins.hookspecs",
    "load": "dtool.run.load",
    "measure_variance": "dtool.models.variance_measurement",
    "metric": "dtool.metrics",
    "network": "dtool.run.own_function",
    "reader": "dtool.models.reader",
    "recommend": "dtool.compare.recommendation",
    "sample": "dtool.run.sampling",
    "sampler": "dtool.samplers.rule",
    "scheduler": "dtool.schedulers.scheduler",
    "spacing": "dtool.spacings.spacing",
}

__all__ = ["__version__", *sorted(_HOME), *sorted(_ROOMS)]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"dtool.{name}")
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'dtool' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
