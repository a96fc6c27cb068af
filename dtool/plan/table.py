"""What a step is made of: a plan as the loops compute it, on the host and inside an exported graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dtool.plan.plan import Column, Plan


@dataclass(frozen=True)
class Table:
    """A plan's coefficients for one way of treating the predicted image, float64, one entry a row.

    With F = network(c_in·x, time), older entries H of the history, newest first, and s the x that was kept last:

        s  = x, if save
        D  = c_skip·x + c_out·F, limited if `limited`
        x' = a·x + f·F + d·D + a_saved·s + Σ_k b[k]·H[k] + c·z
        H  = [m_x·x + m_f·F + m_d·D, *H], the newest `history` of them

    If D is limited (clipped, thresholded), whatever a rule says of ε is said of the ε that follows from D; if not, D
    is not needed, and F is used without the division by a small α. ratio: c_low/c of a noise whose size the network
    chooses, else 1.
    """

    limited: bool
    c_in: Column
    c_skip: Column
    c_out: Column
    a: Column
    f: Column
    d: Column
    a_saved: Column
    c: Column
    m_x: Column
    m_f: Column
    m_d: Column
    ratio: Column
    save: NDArray[np.bool_]
    step_end: NDArray[np.bool_]
    b: Column

    def __post_init__(self) -> None:
        """All runs of a plan share its table: nobody may write to it."""
        for column in vars(self).values():
            if isinstance(column, np.ndarray):
                column.setflags(write=False)

    @property
    def history(self) -> int:
        """How many older predictions a row may use."""
        return int(self.b.shape[1])

    def rows(self) -> list[Row]:
        """The rows as Python numbers."""
        columns = [getattr(self, name).tolist() for name in Row._fields]
        return [Row(*values) for values in zip(*columns, strict=True)]


class Row(NamedTuple):
    """One row of a Table."""

    c_in: float
    c_skip: float
    c_out: float
    a: float
    f: float
    d: float
    a_saved: float
    c: float
    m_x: float
    m_f: float
    m_d: float
    save: bool
    step_end: bool
    b: list[float]


def table(plan: Plan, limited: bool) -> Table:
    """The plan's coefficients, for a run that changes the predicted images (`limited`) or one that does not."""
    return plan.derived(("table", limited), lambda: _table(plan, limited))


def _table(plan: Plan, limited: bool) -> Table:
    first, zero = plan.b[:, 0], np.zeros(plan.rows)
    if limited:
        # ε = (x - α·D)/σ, but where the history holds the image itself
        safe = np.where(plan.images, 1.0, plan.sigma)
        m_x, m_f = np.where(plan.images, 0.0, 1 / safe), zero
        m_d = np.where(plan.images, 1.0, -plan.alpha / safe)
        a = plan.a + first * m_x + plan.b_raw * plan.c_skip
        f, d = plan.b_raw * plan.c_out, first * m_d - plan.b_raw
    else:
        m_x, m_f, m_d = plan.m_x, plan.m_f, zero
        a, f, d = plan.a + first * m_x, first * m_f, zero
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(plan.c > 0, plan.c_low / plan.c, 1.0)
    return Table(
        limited, plan.c_in, plan.c_skip, plan.c_out, a, f, d, plan.a_saved, plan.c, m_x, m_f, m_d, ratio,
        plan.save, plan.step_end, plan.b[:, 1:],
    )  # fmt: skip
