"""A plan as an exported sampler takes it: one float32 array of coefficients, one row per network call."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.plan.compiled_plan import Column, Plan
from dtool.plan.steps import Table, make_table

# The columns of `PackedPlan.table`: those of dtool.plan.steps.Table and the plan's rescale, then the table's b, one
# column per older entry, and its b_without, likewise.
COLUMNS = (
    "c_in", "c_skip", "c_out", "a", "f", "d", "a_saved", "c", "ratio", "m_x", "m_f", "m_d", "save", "guided",
    "rescale", "compares", "shift", "g", "m_g",
)  # fmt: skip
# Of a file that may begin at an image: the row's level, and the strengths, from ≤ strength < to, at which it is run.
EDIT_COLUMNS = ("alpha", "sigma", "from", "to")
ALWAYS = (1e-9, 2.0)  # from and to of a row that is run at every strength but 0, which takes no step


@dataclass(frozen=True)
class Room:
    """What a sampler's file has room for, of which plans need more or less.

    history: older predictions. gaps: of how many rows before what no conditions would change; None: of no row at all.
    rescales: whether guidance may be rescaled. edits: whether a run may begin at an image.
    """

    history: int
    gaps: int | None = None
    rescales: bool = False
    edits: bool = False

    @classmethod
    def for_plan(cls, plan: Plan) -> Room:
        """As much as this plan needs."""
        gaps = max(0, plan.b_without.shape[1] - 1) if plan.compares.any() else None
        return cls(plan.history - 1, gaps, plan.rescale > 0)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a table for it."""
        more = (f"b_without{k}" for k in range(self.gaps or 0))
        return (*COLUMNS, *(f"b{k}" for k in range(self.history)), *more, *(EDIT_COLUMNS if self.edits else ()))


@dataclass(frozen=True)
class PackedPlan:
    """The inputs of an exported sampler that make a plan of it.

    `table` `(rows, columns)` float32, as a `Room` says, `times` `(rows,)` float32: the network's times; `init`: the
    scale of the start.
    """

    table: NDArray[np.float32]
    times: NDArray[np.float32]
    init: np.float32

    def __post_init__(self) -> None:
        """All runs of a plan share it: nobody may write to it."""
        self.table.setflags(write=False)
        self.times.setflags(write=False)


def pack(plan: Plan, limited: bool, room: Room | None = None, *, times: Column | None = None) -> PackedPlan:
    """The plan's coefficients as float32.

    limited: whether predicted images are clipped or thresholded; the coefficients differ. room: by default as much as
    the plan needs. times: what the network is told at each row `(rows,)`, where that is not the plan's own time. Raises
    UsageError if the plan needs more, or if it leads from an image to noise: an exported sampler begins with noise that
    it draws itself.
    """
    if plan.inverse:
        raise UsageError(
            f"{plan.recipe} starts from an image of yours, and an exported sampler from noise",
            "use dtool.sample(network, plan, x=…)",
        )
    table, need = make_table(plan, limited), Room.for_plan(plan)
    place = need if room is None else room
    if need.history > place.history:
        raise UsageError(
            f"{plan.recipe} remembers {need.history} older predictions, and there is room for {place.history}",
            f"export the file with history={need.history} (--history {need.history})",
        )
    if (need.rescales and not place.rescales) or (
        need.gaps is not None and (place.gaps is None or need.gaps > place.gaps)
    ):
        raise UsageError(
            f"{plan.recipe} needs a prediction without conditions by itself, or rescales guidance, and the file has no "
            "room for it",
            f"export the file with this recipe (--recipe {plan.recipe})",
        )
    packed = plan.get_or_compute(("packed", limited, place), lambda: _pack_table(plan, table, place))
    return packed if times is None else replace(packed, times=times.astype(np.float32))


def _pack_table(plan: Plan, table: Table, room: Room) -> PackedPlan:
    values = np.zeros((plan.rows, len(room.columns)))
    for k, name in enumerate(COLUMNS):
        values[:, k] = plan.rescale if name == "rescale" else getattr(table, name)
    first = len(COLUMNS)
    values[:, first : first + table.history] = table.b
    first += room.history
    values[:, first : first + table.b_without.shape[1]] = table.b_without[:, : room.gaps or 0]
    if room.edits:
        values[:, -len(EDIT_COLUMNS) :] = np.column_stack([plan.alpha, plan.sigma, *np.tile(ALWAYS, (plan.rows, 1)).T])
    return PackedPlan(values.astype(np.float32), plan.time.astype(np.float32), np.float32(plan.init))
