"""What a rule may ask for inside an interval: so many network calls, each a guess and a point; or nothing at all."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from dtool.errors import CompileError
from dtool.plan.draft import Draft
from dtool.plan.linear_form import LinearForm
from dtool.plan.point import Node, Point
from dtool.samplers.rule import Rule

MAX_STAGES = 256  # network calls in one interval, if the rule does not state more


def get_max_stages(rule: Rule) -> int:
    """The most stages that an interval of the rule may have, before it is taken for one that never ends."""
    return max(MAX_STAGES, 2 * rule.calls, 2 * rule.startup_calls)


def is_idle(rule: Rule, now: Point, to: Point) -> bool:
    """Whether a step leaves x where it is: it has no length, and the rule does not correct x by the call there."""
    return now.lam == to.lam and not rule.has_corrector


def parse_stage(asked: object) -> tuple[Any, Point]:
    """(guess, point) as the rule yielded them; raises CompileError for anything else."""
    if isinstance(asked, tuple) and len(asked) == 2 and isinstance(asked[1], Point):
        return asked
    inner = ", ".join(type(part).__name__ for part in asked[:4]) if isinstance(asked, tuple) else ""
    what = f"a tuple of ({inner})" if isinstance(asked, tuple) else f"a {type(asked).__name__}"
    raise CompileError(f"it yielded {what}, not a guess of x and a point", "write: mid = yield guess, point")


def make_endless_error(rule: Rule) -> CompileError:
    """The error of a rule that never stops asking for network calls."""
    return CompileError(
        f"{rule.token} asks for more than {get_max_stages(rule)} network calls in one interval: it never returns"
        + ("" if rule.origin is None or rule.origin.is_builtin else f" ({rule.origin})"),
        "end the loop with return x; a rule that needs more states them as calls=",
    )


def run_stages(
    draft: Draft, rule: Rule, stages: Generator[object, Node | None, LinearForm], start: int, to: Point,
    stage: Node | None = None,
) -> None:  # fmt: skip
    """The rows of an interval that began at row `start`, from the answer `stage` to the last request on."""
    try:
        for _ in range(get_max_stages(rule)):
            guess, point = parse_stage(stages.send(stage))
            draft.end_row(guess, start, point, step_end=False)
            stage = draft.node(point)
    except StopIteration as stop:
        draft.end_row(stop.value, start, to, step_end=True)
        return
    raise make_endless_error(rule)
