"""A plan's run that another loop drives: it asks for times and scaled inputs, and hands in what the network answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.bridges.trained_network import TrainedNetwork
from dtool.errors import UsageError
from dtool.plan.api import plan as make_plan
from dtool.plan.compiled_plan import Plan
from dtool.run.loop import Walk
from dtool.run.path_noise import draw_path

IN_ORDER = "give the steps in the order of scheduler.timesteps, and call set_timesteps before each run"


class LentRun:
    """One run of a recipe: row by row, from the first or from where a step begins.

    `plan`: the whole plan. `times` `(rows,)`: what the network is told in each row.
    """

    def __init__(self, recipe: str, steps: int, network: TrainedNetwork) -> None:
        """Compile the plan; raises what `dtool.plan` raises, UsageError for a plan whose guidance is its own."""
        self._recipe, self._steps, self._network = recipe, steps, network
        self.plan: Plan = make_plan(recipe, steps=steps, network=network)
        if self.plan.says_guidance:
            raise UsageError(
                f"{self.plan.recipe} guides by itself, and the pipeline does too", "leave out what is after ~"
            )
        if self.plan.inverse:
            raise UsageError(f"{self.plan.recipe} runs from images to noise", "run it with dtool.sample")
        self.times: NDArray[np.float64] = network.tell(self.plan.time)
        self.first = 0
        self._own = self.plan  # the plan of the steps that are taken
        self._walk = Walk(self.plan, network.limit)
        self._path: Iterator[Any] | None = None  # the z of the rows with noise that are left, once one was asked for

    @property
    def row(self) -> int:
        """The row of the whole plan that comes next."""
        return self.first + self._walk.at

    @property
    def rows_per_step(self) -> int:
        """How many network calls each step but the last has; 1 where that differs from step to step."""
        counts = set(self.plan.calls_per_step[:-1].tolist()) or {1}
        return counts.pop() if len(counts) == 1 else 1

    def begin(self, row: int) -> None:
        """Begin at this row instead: at the start of a step. Raises UsageError where a run cannot begin."""
        if row == 0:
            return
        starts = self.plan.step_starts.tolist()
        if row not in starts or len(set(self.plan.calls_per_step[:-1].tolist())) > 1:
            raise UsageError(
                f"{self.plan.recipe} cannot begin at call {row} of {self.plan.rows}: its steps take several calls each",
                "use a recipe whose steps take equally many calls, such as dpmpp-2m or heun",
            )
        left = len(starts) - starts.index(row)
        own = make_plan(self._recipe, steps=self._steps, network=self._network, strength=left / self.plan.steps)
        if not np.allclose(own.time, self.plan.time[row:], rtol=0, atol=1e-6):
            raise UsageError(f"{self.plan.recipe} has other times when it begins late", "use another recipe")
        self.first, self._own, self._walk, self._path = row, own, Walk(own, self._network.limit), None

    def find_row(self, time: float) -> int:
        """The row, from the next one on, at which the network is told this; raises UsageError if there is none."""
        for row in chain(range(self.row, self.plan.rows), range(self.row)):
            if np.float32(self.times[row]) == np.float32(time):
                return row
        raise UsageError(f"time {time:g} is none of this run's", IN_ORDER)

    def require_next(self, time: float) -> None:
        """Raise UsageError unless the next row is one at which the network is told this."""
        if self.row >= self.plan.rows:
            raise UsageError(f"a step at {time:g} after the last one", IN_ORDER)
        if np.float32(self.times[self.row]) != np.float32(time):
            raise UsageError(f"a step at {time:g}, where {self.times[self.row]:g} comes next", IN_ORDER)

    def scale(self, x: Any) -> Any:
        """What the network is given in the next row for x `(B, *)`."""
        return self._walk.scale(x)

    @property
    def needs_scaling(self) -> bool:
        """Whether that is not x itself."""
        return self._walk.row.c_in != 1

    @property
    def draw(self) -> int:
        """The number of the draw that the next row adds, as `dtool.sample` counts them."""
        return self._walk.at + 1

    @property
    def is_noisy(self) -> bool:
        """Whether the next row adds noise."""
        return self._walk.row.c != 0

    def draw_path(self, draw: Callable[[int], Any]) -> Any:
        """The z of the next row, which `is_noisy`, as an increment of one path; draw(k): the k-th draw `(B, *)`.

        To be asked for once a row.
        """
        if self._path is None:
            self._path = draw_path(self._own, lambda k: draw(k)[None])
        return next(self._path)

    def advance(self, x: Any, output: Any, z: Any = None) -> Any:
        """x `(B, *)` after the next row, of the network's output; z: standard Gaussian noise, where `is_noisy`.

        An output with twice the channels says something of the noise's variance in its second half (arXiv:2102.09672,
        eq. 15), which counts where the recipe leaves it to the network.
        """
        at, plan = self._walk.at, self._own
        noise: Iterator[Any] = repeat(None)
        if z is not None:
            scale: Any = float(plan.c[at])
            if plan.c_low[at] != plan.c[at]:
                if output.shape[1] != 2 * x.shape[1]:
                    raise UsageError(f"{plan.recipe} leaves its noise to the network, which says nothing of it",
                                     "use a recipe that names its variance: ddpm:sigma=beta")  # fmt: skip
                share = (1 - output[:, x.shape[1] :]) / 2
                scale = scale * float(plan.c_low[at] / plan.c[at]) ** share
            noise = repeat(scale * z)
        if output.shape[1] == 2 * x.shape[1]:
            output = output[:, : x.shape[1]]
        return self._walk.advance(x, output, noise)

    @property
    def image(self) -> Any:
        """The image that was predicted in the last row, None where none was needed."""
        return self._walk.image
