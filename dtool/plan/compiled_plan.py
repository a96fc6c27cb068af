"""The compiled table: everything that a backend must know to run a sampler, and nothing about how it was derived."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.plan.static_check import require_sound
from dtool.samplers.rule import Basis, Prediction
from dtool.schedulers.levels import compute_alpha_bar, compute_lam, compute_log_snr

if TYPE_CHECKING:
    from dtool.plan.fit_record import FitRecord

FORMAT = 2  # 1 had no b_raw, c_low and inverse
GUIDED_FORMAT = 3  # of a plan that says something of guidance; one that does not is written as before
FITTED_FORMAT = 4  # of a plan that was fitted to a network
Column = NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """A sampler as a table: one row per network call, float64, immutable, hashable.

    What a row means, column by column, is written in `dtool.plan.reference`. `b` is `(rows, history)`, every other
    column `(rows,)`. `t` is NaN where the point has no time; `trained_hash` names the schedule that `time` counts on.
    Without `b_raw`, it is 0 throughout; without `c_low`, it is `c`. guidance: the token of what the plan is made for,
    "" if the run decides; scale: its scale, None for the run's; rescale: see `dtool.guidances.guidance`. fit: of a plan
    that `dtool.fit` made, for what.
    Raises CompileError if the table cannot be right: see `dtool.plan.static_check`.

    >>> plan = dtool.plan("heun", steps=2)  # two calls per step, one in the last
    >>> plan.rows, plan.alpha.shape, plan.step_end.tolist()
    (3, (3,), [False, True, True])
    >>> dtool.Plan.from_json(plan.to_json()) == plan
    True
    """

    recipe: str
    sampler: str
    cite: str
    schedule: str
    schedule_hash: str
    trained_hash: str
    prediction: Prediction
    basis: Basis
    init: float
    t: Column
    time: Column
    alpha: Column
    sigma: Column
    c_in: Column
    c_skip: Column
    c_out: Column
    m_x: Column
    m_f: Column
    a: Column
    a_saved: Column
    b: Column
    c: Column
    save: NDArray[np.bool_]
    step_end: NDArray[np.bool_]
    b_raw: Column = field(default_factory=lambda: np.empty(0))
    c_low: Column = field(default_factory=lambda: np.empty(0))
    inverse: bool = False
    guidance: str = ""
    scale: float | None = None
    rescale: float = 0.0
    guided: Column = field(default_factory=lambda: np.empty(0))
    shift: Column = field(default_factory=lambda: np.empty(0))
    b_without: Column = field(default_factory=lambda: np.empty((0, 0)))
    fit: FitRecord | None = None

    def __post_init__(self) -> None:
        if np.size(self.b_raw) == 0:
            object.__setattr__(self, "b_raw", np.zeros(np.shape(self.c)))
        if np.size(self.c_low) == 0:
            object.__setattr__(self, "c_low", self.c)
        rows = np.size(self.c)
        for name, usual in (("guided", np.ones(rows)), ("shift", np.zeros(rows)), ("b_without", np.zeros((rows, 0)))):
            if np.size(getattr(self, name)) == 0:
                object.__setattr__(self, name, usual)
        for column in COLUMNS:
            dtype = np.bool_ if column in FLAGS else np.float64
            values: NDArray[Any] = np.array(getattr(self, column), dtype=dtype)  # a copy: nobody else can write to it
            values.setflags(write=False)
            object.__setattr__(self, column, values)
        require_sound(self, COLUMNS, WIDE)

    @property
    def rows(self) -> int:
        """Network calls."""
        return int(self.alpha.size)

    @property
    def steps(self) -> int:
        """Intervals of the grid that go towards the image."""
        return int(self.step_end.sum())

    @property
    def history(self) -> int:
        """K: how many predictions are remembered, the newest included."""
        return int(self.b.shape[1])

    @cached_property
    def step_starts(self) -> NDArray[np.intp]:
        """The rows at which a step begins, `(steps,)`."""
        return np.flatnonzero(np.concatenate([[True], self.step_end[:-1]]))

    @property
    def calls_per_step(self) -> NDArray[np.intp]:
        """How many rows, each a network call, a step has, `(steps,)`."""
        return np.diff(self.step_starts, append=self.rows)

    @cached_property
    def lam(self) -> Column:
        """λ = log(α/σ) of each row: -∞ where there is no signal."""
        return compute_lam(self.alpha, self.sigma)

    @property
    def log_snr(self) -> Column:
        """The log signal-to-noise ratio 2λ of each row."""
        return compute_log_snr(self.alpha, self.sigma)

    @property
    def alpha_bar(self) -> Column:
        """ᾱ = α²/(α²+σ²) of each row, the share of the image in the variance."""
        return compute_alpha_bar(self.alpha, self.sigma)

    @property
    def draws(self) -> int:
        """Rows that add noise."""
        return int(np.count_nonzero(self.c))

    @cached_property
    def images(self) -> NDArray[np.bool_]:
        """The rows whose entry in the history is the image: all of them, by `basis`, or those at alpha = 0."""
        return np.asarray((self.alpha == 0) | (self.basis == "x0"))

    @property
    def stochastic(self) -> bool:
        """Whether any row adds noise."""
        return self.draws > 0

    @property
    def learned(self) -> bool:
        """Whether any row's noise is of a size that the network chooses."""
        return bool((self.c_low != self.c).any())

    @cached_property
    def compares(self) -> NDArray[np.bool_]:
        """The rows whose prediction without conditions is used by itself, beside the guided one `(rows,)`."""
        used: NDArray[np.bool_] = np.not_equal(self.shift, 0)
        for back in range(self.b_without.shape[1]):
            used[: self.rows - back] |= self.b_without[back:, back] != 0
        used.setflags(write=False)
        return used

    @property
    def says_guidance(self) -> bool:
        """Whether there is anything in it that guidance acts on otherwise than by one scale in every row."""
        usual = (self.guided == 1).all() and not self.compares.any() and self.b_without.shape[1] == 0
        return not (usual and (self.guidance, self.scale, self.rescale) == ("", None, 0.0))

    def get_or_compute(self, key: object, make: Callable[[], T]) -> T:
        """What `make()` computes from this plan alone, kept with it under `key`: a plan runs many times."""
        if key not in self._cache:
            self._cache[key] = make()
        value: T = self._cache[key]
        return value

    @cached_property
    def _cache(self) -> dict[object, Any]:
        return {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its JSON, without what was computed from it."""
        return Plan.from_json, (self.to_json(),)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the JSON form, shortened."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """The plan as JSON, one column per line; `from_json` gives it back bit for bit."""
        says = self.says_guidance or self.fit is not None
        number = FITTED_FORMAT if self.fit is not None else GUIDED_FORMAT if says else FORMAT
        header, columns = ([name for name in names if says or name not in GUIDANCE] for names in (HEADER, COLUMNS))
        lines = [f'"format": {number}']
        lines += [f"{json.dumps(name)}: {json.dumps(getattr(self, name))}" for name in header]
        if self.fit is not None:
            lines += [f'"fit": {json.dumps(self.fit.to_dict())}']
        lines += [f"{json.dumps(name)}: {json.dumps(_to_list(getattr(self, name)))}" for name in columns]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote, and check it; raises DtoolError if it is something else: see `document`."""
        from dtool.plan.document import parse_fields

        try:
            return cls(**parse_fields(text))
        except (ValueError, TypeError, ArithmeticError) as error:
            if isinstance(error, DtoolError):
                raise
            raise DtoolError(f"this is not a plan ({error})", "write one with: dtool plan RECIPE --json") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        return f"<Plan {self.recipe}: {self.steps} steps, {self.rows} network calls, hash {self.hash}>"


FLAGS: tuple[str, ...] = ("save", "step_end")
GUIDANCE: tuple[str, ...] = ("guidance", "scale", "rescale", "guided", "shift", "b_without")
HEADER: tuple[str, ...] = (*(f.name for f in fields(Plan)[:9]), "inverse", *GUIDANCE[:3])
WIDE: tuple[str, ...] = ("b", "b_without")  # columns of several numbers a row
COLUMNS: tuple[str, ...] = tuple(f.name for f in fields(Plan) if f.name not in (*HEADER, "fit"))


def _to_list(column: NDArray[Any]) -> list[Any]:
    """A column as JSON can hold it: None where the clean end's time would be NaN."""
    values: list[Any] = column.tolist()
    return [None if isinstance(v, float) and v != v else v for v in values]
