"""What the reproductions share: arguments, real digits, and figures with intervals."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor, log10, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.data.images import load

FOLDER = Path(__file__).parent
# Student's t, 97.5%, by degrees of freedom
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
REAL = 2000  # real digits that samples are compared with

Values = dict[str, dict[int, NDArray[np.float64]]]  # independent values by row and number of steps; pairs in order


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        digits = max(0, 1 - floor(log10(self.half))) if self.half > 0 else 4
        return f"{self.value:.{digits}f} ± {self.half:.{digits}f}"

    @property
    def half(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2

    def below(self, other: Estimate) -> bool:
        """Whether the two intervals lie apart, this one below."""
        return self.high < other.low

    @property
    def more(self) -> bool:
        """Of a difference: whether it is surely above 0."""
        return self.low > 0

    @property
    def less(self) -> bool:
        """Of a difference: whether it is surely below 0."""
        return self.high < 0


def across(values: ArrayLike) -> Estimate:
    """The mean of independent values, of paired differences for instance, with Student's interval."""
    found = np.asarray(values, dtype=np.float64)
    middle, free = float(found.mean()), len(found) - 1
    half = STUDENT.get(free, 1.96 + 2.5 / free) * float(found.std(ddof=1)) / sqrt(len(found))
    return Estimate(middle, middle - half, middle + half)


def estimates(values: Values) -> Table:
    """The means of what was measured."""
    return {name: {count: across(each) for count, each in row.items()} for name, row in values.items()}


def less(values: Values, name: str, base: str) -> dict[int, Estimate]:
    """What a row has more than another, pair by pair, wherever both were measured."""
    return {count: across(each - values[base][count]) for count, each in values[name].items() if count in values[base]}


def listed(names: Iterable[str], none: str = "none") -> str:
    """Names in a sentence."""
    found = list(names)
    return ", ".join(found[:-1]) + f" and {found[-1]}" if len(found) > 1 else "".join(found) or none


def sorted_out(differences: dict[str, Estimate], more: str, fewer: str) -> str:
    """Which of these differences are surely above 0, which below, and which may be either, in words."""
    kinds = {
        more: [name for name, one in differences.items() if one.more],
        fewer: [name for name, one in differences.items() if one.less],
        "not told apart": [name for name, one in differences.items() if not (one.more or one.less)],
    }
    return "; ".join(f"{said}: {listed(names)}" for said, names in kinds.items() if names)


def of(found: Any) -> Estimate:
    """What a `dtool.metrics.Figure` or `Difference` says."""
    return Estimate(found.value, found.low, found.high)


Table = dict[str, dict[int, Estimate]]


@dataclass(frozen=True)
class Settings:
    """What a script was asked for. n: images of the trained network; closed: samples of the closed form."""

    name: str
    data: str | None
    seed: int
    n: int
    closed: int
    out: Path
    train: int = 0

    @property
    def command(self) -> str:
        """The command that makes the page again."""
        data = " --data mnist/" if self.data else ""
        train = f" --train {self.train}" if self.train else ""
        sizes = f"--seed {self.seed} -n {self.n} --closed {self.closed}{train}"
        return f"python docs/reproductions/{self.name}.py{data} {sizes}"


def arguments(
    name: str, about: str | None, n: int, closed: int, argv: Sequence[str] | None = None, train: int = 0
) -> Settings:
    """The command line's settings, with these defaults; the folder for the page is made."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--data", help="MNIST's folder; without it the closed form is measured alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-n", type=int, default=n, help=f"images of the trained network (default {n})")
    parser.add_argument("--closed", type=int, default=closed, help=f"samples of the closed form (default {closed})")
    if train:
        parser.add_argument("--train", type=int, default=train, help=f"training steps of a network (default {train})")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the page and its pictures go")
    given = parser.parse_args(argv)
    given.out.mkdir(parents=True, exist_ok=True)
    return Settings(name, given.data, given.seed, given.n, given.closed, given.out, given.train if train else 0)


@dataclass(frozen=True)
class Digits:
    """Real images (n, 1, H, W) in [-1, 1], and what they are (n,)."""

    images: NDArray[np.floating[Any]]
    labels: NDArray[np.int64]


def real_digits(source: str, count: int, seed: int) -> Digits:
    """`count` images of a data set, as many of each class, at random."""
    data = load(source, classes=True)
    assert data.labels is not None, "load(classes=True) has seen to it that there are labels"
    random, kinds = np.random.default_rng(seed), len(data.class_names)
    of_each = [random.permutation(np.flatnonzero(data.labels == k))[: -(-count // kinds)] for k in range(kinds)]
    places = np.concatenate(list(zip(*of_each, strict=False)))[:count].astype(np.int64)
    return Digits(data.take(places), data.labels[places])
