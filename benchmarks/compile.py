"""How long does it take to compile a plan of 1,000 rows? The target is 50 ms.

It is work for one core, so the time that the processor spent on it is given too: that is the same on a busy machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import dtool
from dtool.measure.machine import format_header
from dtool.measure.timing import format_spread, quartiles, time_in_turns
from dtool.plan import Plan, Recipe, grid
from dtool.plan import compile as compile_plan

RECIPES = ("ddpm:sigma=beta", "ddpm", "ddim", "euler", "dpmpp-2m", "dpmpp-2m@cosine/karras", "heun")
ROUNDS = 15
TARGET = 0.050


def main() -> None:
    """Print, for each recipe, the time of compile() alone and of dtool.plan(), which also parses and spaces."""
    print(format_header(["dtool-diffusion", "numpy"]))
    print(f"1,000 rows, {ROUNDS} rounds, median (quartiles); target {TARGET * 1e3:.0f} ms for compile()\n")
    for name in RECIPES:
        recipe = Recipe.parse(name)
        levels = recipe.scheduler or dtool.get_scheduler("linear")
        steps = 1000 // recipe.rule.calls
        points = grid(levels, recipe.spacing or dtool.get_spacing("trailing"), steps)
        alone, whole = time_in_turns(
            [
                lambda recipe=recipe, points=points, levels=levels: compile_plan(recipe.rule, points, schedule=levels),
                lambda name=name, steps=steps: dtool.plan(name, steps=steps),
            ],
            ROUNDS,
        )
        made, processor = _processor_times(lambda recipe=recipe, points=points: compile_plan(recipe.rule, points))
        mark = "" if quartiles(processor)[1] < TARGET else "   ABOVE THE TARGET"
        print(
            f"{name} ({made.rows} rows)\n  compile {format_spread(alone)}; "
            f"on the processor {format_spread(processor)}{mark}"
        )
        print(f"  dtool.plan {format_spread(whole)}")


def _processor_times(function: Callable[[], Plan]) -> tuple[Plan, list[float]]:
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        made = function()
        times.append(time.process_time() - started)
    return made, times


if __name__ == "__main__":
    main()
