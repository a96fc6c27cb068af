"""A plan as the loops compute it, on the host and inside an exported graph: coefficients merged, F used directly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dtool.plan.compiled_plan import Column, Plan


@dataclass(frozen=True, kw_only=True)
class Table:
    """A plan's coefficients for one way of treating the predicted image, float64, one entry per row.

    With F = network(c_in·x, time), older entries H of the history, newest first, and s the x that was kept last:

        D  = c_skip·x + c_out·F, limited if `limited`
        G  = D - D_without, where `compares`
        s  = x + shift·G, if save
        x' = a·x + f·F + d·D + a_saved·s + Σ_k b[k]·H[k] + g·G + Σ_k b_without[k]·(older G)[k] + c·z
        H  = [m_x·x + m_f·F + m_d·D + m_g·G, *H], the newest `history` of them

    guided: F is F_without + (1 + guided·(scale - 1))·(F_given - F_without); see `dtool.plan.guiding`.

    If D is limited (clipped, thresholded), a rule's ε is the ε that follows from D; if not, D is not needed, and F
    is used without the division by a small α. ratio: c_low/c of a noise whose size the network chooses, else 1.
    What the columns of a plan mean is in `dtool.plan.reference`.
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
    guided: Column
    shift: Column
    g: Column
    m_g: Column
    compares: NDArray[np.bool_]
    save: NDArray[np.bool_]
    step_end: NDArray[np.bool_]
    b: Column
    b_without: Column

    def __post_init__(self) -> None:
        """All runs of a plan share its table: nobody may write to it."""
        for column in vars(self).values():
            if isinstance(column, np.ndarray):
                column.setflags(write=False)

    @property
    def history(self) -> int:
        """How many older predictions a row may use."""
        return int(self.b.shape[1])

    def rows(self) -> list[TableRow]:
        """The rows as Python numbers."""
        columns = [getattr(self, name).tolist() for name in TableRow._fields]
        return [TableRow._make(values) for values in zip(*columns, strict=True)]


class TableRow(NamedTuple):
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
    shift: float
    g: float
    m_g: float
    compares: bool
    save: bool
    step_end: bool
    b: list[float]
    b_without: list[float]


def make_table(plan: Plan, limited: bool) -> Table:
    """The plan's coefficients, for a run that changes the predicted images (`limited`) or one that does not."""
    return plan.get_or_compute(("table", limited), lambda: _compute_table(plan, limited))


def _compute_table(plan: Plan, limited: bool) -> Table:
    first, zero = plan.b[:, 0], np.zeros(plan.rows)
    if limited:
        # ε = (x - α·D)/σ, but where the history holds the image itself, and where x is that
        clean = (plan.sigma == 0) & ~plan.images
        safe = np.where(plan.images | clean, 1.0, plan.sigma)
        m_x, m_f = np.where(plan.images, 0.0, np.where(clean, plan.m_x, 1 / safe)), np.where(clean, plan.m_f, 0.0)
        m_d = np.where(plan.images, 1.0, np.where(clean, 0.0, -plan.alpha / safe))
        a = plan.a + first * m_x + plan.b_raw * plan.c_skip
        f, d = plan.b_raw * plan.c_out + first * m_f, first * m_d - plan.b_raw
    else:
        m_x, m_f, m_d = plan.m_x, plan.m_f, zero
        a, f, d = plan.a + first * m_x, first * m_f, zero
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(plan.c > 0, plan.c_low / plan.c, 1.0)
        m_g = np.where(plan.images | (plan.shift == 0), 0.0, plan.shift / plan.sigma)
    own = plan.b_without[:, 0] if plan.b_without.shape[1] else zero
    g = own + plan.a * plan.shift + first * m_g
    return Table(
        limited=limited, c_in=plan.c_in, c_skip=plan.c_skip, c_out=plan.c_out, a=a, f=f, d=d, a_saved=plan.a_saved,
        c=plan.c, m_x=m_x, m_f=m_f, m_d=m_d, ratio=ratio, guided=plan.guided, shift=plan.shift, g=g, m_g=m_g,
        compares=plan.compares, save=plan.save, step_end=plan.step_end, b=plan.b[:, 1:],
        b_without=plan.b_without[:, 1:],
    )  # fmt: skip
