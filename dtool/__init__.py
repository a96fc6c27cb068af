"""dtool: write a sampler as the paper's equation; it is compiled to a small table that runs anywhere.

The public names are loaded when they are first used, so that `import dtool` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dtool.version import __version__

if TYPE_CHECKING:
    from dtool.schedulers import schedule as schedule

_WHERE = {
    "schedule": "dtool.schedulers",
    "spacing": "dtool.schedulers",
    "sampler": "dtool.samplers",
    "scheduler_rule": "dtool.schedulers.schedule",
    "Point": "dtool.plan",
    "Plan": "dtool.plan",
    "Recipe": "dtool.plan",
    "Schedule": "dtool.schedulers",
    "plan": "dtool",
    "hookimpl": "dtool.plugins.hookspecs",
}


def __getattr__(name: str) -> Any:
    if name == "plan":
        return importlib.import_module("dtool.plan")
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'dtool' has no attribute {name!r}")
