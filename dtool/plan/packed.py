"""A plan as an exported sampler takes it: one float32 array of coefficients, a row a network call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.plan.plan import Plan
from dtool.plan.table import Table, table

# The columns of `Packed.table`, in order: those of dtool.plan.table.Table; after them its b, one column an older entry.
COLUMNS = ("c_in", "c_skip", "c_out", "a", "f", "d", "a_saved", "c", "ratio", "m_x", "m_f", "m_d", "save")


@dataclass(frozen=True)
class Packed:
    """The inputs of an exported sampler that make a plan of it.

    `table` `(rows, len(COLUMNS) + history)` float32, `times` `(rows,)` float32: what the network is told; `init`: the
    scale of the start.
    """

    table: NDArray[np.float32]
    times: NDArray[np.float32]
    init: np.float32

    def __post_init__(self) -> None:
        """All runs of a plan share it: nobody may write to it."""
        self.table.setflags(write=False)
        self.times.setflags(write=False)


def pack(plan: Plan, limited: bool, history: int | None = None) -> Packed:
    """The plan's coefficients as float32.

    limited: whether predicted images are clipped or thresholded; the coefficients differ. history: for how many older
    predictions there is room, by default as many as the plan needs. Raises UsageError if the plan needs more, or leads
    from an image to noise, which a file that makes its own start cannot.
    """
    if plan.inverse:
        raise UsageError(
            f"{plan.recipe} starts from an image of yours, and an exported sampler from noise",
            "use dtool.sample(network, plan, x=…)",
        )
    made = table(plan, limited)
    room = made.history if history is None else history
    if made.history > room:
        raise UsageError(
            f"{plan.recipe} remembers {made.history} older predictions, and there is room for {room}",
            f"export the file with history={made.history} (--history {made.history})",
        )
    return plan.derived(("packed", limited, room), lambda: _packed(plan, made, room))


def _packed(plan: Plan, made: Table, room: int) -> Packed:
    older = np.zeros((plan.rows, room))
    older[:, : made.history] = made.b
    columns = [np.asarray(getattr(made, name), dtype=np.float64)[:, None] for name in COLUMNS]
    values = np.concatenate([*columns, older], axis=1).astype(np.float32)
    return Packed(values, plan.time.astype(np.float32), np.float32(plan.init))
