"""What a rule may ask for inside an interval: so many network calls, each a guess and a point."""

from __future__ import annotations

from typing import Any

from dtool.errors import CompileError
from dtool.plan.point import Point
from dtool.samplers.rule import Rule

MOST = 256  # network calls in one interval, if the rule does not state more


def stages_of(rule: Rule) -> int:
    """The most stages that an interval of the rule may have, before it is taken for one that never ends."""
    return max(MOST, 2 * rule.calls, 2 * rule.startup_calls)


def stage_asked(asked: object) -> tuple[Any, Point]:
    """(guess, point) as the rule yielded them; raises CompileError for anything else."""
    if isinstance(asked, tuple) and len(asked) == 2 and isinstance(asked[1], Point):
        return asked
    inner = ", ".join(type(part).__name__ for part in asked[:4]) if isinstance(asked, tuple) else ""
    what = f"a tuple of ({inner})" if isinstance(asked, tuple) else f"a {type(asked).__name__}"
    raise CompileError(f"it yielded {what}, not a guess of x and a point", "write: mid = yield guess, point")


def endless(rule: Rule) -> CompileError:
    """What to say of a rule that goes on asking."""
    return CompileError(
        f"{rule.token} asks for more than {stages_of(rule)} network calls in one interval: it never returns"
        + ("" if rule.origin is None or rule.origin.ours else f" ({rule.origin})"),
        "end the loop with return x; a rule that needs more states them as calls=",
    )
