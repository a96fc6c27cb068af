"""The plan compiler: points, symbolic linear forms, compile(rule, points) → Plan, and its static checks. numpy only.

The package itself can be called: `dtool.plan("ddim", steps=20)` is `dtool.plan.plan("ddim", steps=20)`.
"""

from dtool.plan.api import DEFAULT_STEPS, plan
from dtool.plan.compiled_plan import Plan
from dtool.plan.compiler import compile  # noqa: A004 - the word for it
from dtool.plan.eager import run_eager
from dtool.plan.guiding import count_evaluations, guide
from dtool.plan.point import CLEAN, Node, Point, grid, points_on
from dtool.plan.prediction import ClampWarning, adapt_to_network
from dtool.plan.recipe import Recipe
from dtool.util.callable_package import make_callable

__all__ = [
    "CLEAN",
    "DEFAULT_STEPS",
    "ClampWarning",
    "Node",
    "Plan",
    "Point",
    "Recipe",
    "adapt_to_network",
    "compile",
    "count_evaluations",
    "grid",
    "guide",
    "plan",
    "points_on",
    "run_eager",
]  # fmt: skip

make_callable(__name__, plan)
