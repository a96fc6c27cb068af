"""Improved DDPM's and Analytic-DPM's tables: likelihood against steps, for σ² = β̃, β, the analytic optimum and learned.

`python docs/reproductions/likelihood.py [--data mnist/] [--seed 0] [-n 8] [--closed 64] [--train 1000]`
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import common
import numpy as np
from common import Digits, Estimate, Settings, Table, Values
from numpy.typing import NDArray
from writing import ALONE, by_steps, chart, steps_table, table, write

import dtool
from dtool.likelihood import Variance, bound
from dtool.likelihood.variational_bound import measure_chain_variance
from dtool.models.network import Network
from dtool.targets import target

KINDS: dict[str, Variance] = {"β̃": "tilde", "β": "beta", "analytic": "analytic"}
LEARNED: dict[str, Variance] = {"learned": "learned"}
STEPS = (10, 25, 50, 100, 200, 400, 1000)
FEW = (10, 25, 50, 100)  # on the trained network
SMALL = (*FEW, 1000)  # on the small one
LAWS = ("gaussian:d=16,var=0.25", "digits-gmm")
OTHERS = 16  # images that the network's analytic variance is measured on
BATCH = 32
MORE = 2  # times as many images, of a quarter of the pixels, for the network that learned its variance
SLACK = 1e-3  # bits: what a variance measured on few samples costs
PAPER = {
    "β̃": (74.95, 24.98, 12.01, 7.08, 5.03, 4.29, 3.73),
    "β": (6.99, 6.11, 5.44, 4.86, 4.39, 4.07, 3.75),
    "analytic": (5.47, 4.79, 4.38, 4.07, 3.84, 3.71, 3.59),
}
CLAIM = """\
**The claim.** Analytic-DPM, Table 2 ([arXiv:2201.06503](https://arxiv.org/abs/2201.06503)): the variational bound of
one network, CIFAR-10, linear schedule, even steps, in bits per dimension. It falls with steps; β̃ is by far the worst
with few and overtakes β with many; the analytic variance is best everywhere. Improved DDPM
([arXiv:2102.09672](https://arxiv.org/abs/2102.09672)) had found before that where between β̃ and β the variance lies
decides the likelihood, and learned it from the bound: fewer bits than with β or β̃, and with few steps above all
(figure 8)."""


def bits(
    network: Network, images: Digits, others: Digits, steps: int, seed: int, levels: int | None
) -> dict[str, NDArray[np.float64]]:
    """The bound of each image in bits per dimension, by variance; that of `analytic` is measured on `others`."""
    given = network.classes > 0 and levels is not None
    known = measure_chain_variance(
        network, others.images, steps, labels=others.labels if given else None, seed=seed + 1, batch_size=BATCH
    )
    found = {}
    for name, kind in (KINDS | LEARNED if network.spec.learned_variance else KINDS).items():
        more: dict[str, Any] = {"batch_size": BATCH} | ({"statistics": known} if kind == "analytic" else {})
        more["labels"] = images.labels if given else None
        found[name] = bound(
            network, images.images, steps, variance=kind, levels=levels, seed=seed, **more
        ).per_image.sum(axis=0)
    return found


def closed_form(name: str, n: int, seed: int, steps: Sequence[int] = STEPS) -> tuple[Values, Estimate]:
    """How far the bound is above the exact code length, sample by sample, by variance and steps; and that length."""
    law = target(name)
    network, none = law.network("linear"), np.full(n, -1)
    images, others = (Digits(law.sample(n, seed + i), none) for i in range(2))
    exact = -law.log_density(images.images) / (law.size * log(2))
    found: Values = {kind: {} for kind in KINDS}
    for count in steps:
        for kind, each in bits(network, images, others, count, seed, None).items():
            found[kind][count] = each - exact
    return found, common.across(exact)


def on_network(images: Digits, others: Digits, seed: int) -> Values:
    """The bound of real digits on 256 levels, given their classes, by variance and steps."""
    network = dtool.default_network()
    found: Values = {kind: {} for kind in KINDS}
    for count in FEW:
        for kind, each in bits(network, images, others, count, seed, 256).items():
            found[kind][count] = each
    return found


def with_learned(source: str, steps: int, n: int, seed: int, counts: Sequence[int] = SMALL) -> Values:
    """The same of a small network that learned its variance, on digits at 14x14, by variance and steps."""
    from learned import train
    from trained import split

    images, held = split(source, seed)
    network = train(images, steps, seed)
    levels = np.rint((held.images + 1) * 127.5) / 127.5 - 1
    cut = MORE * n
    chosen, others = (Digits(levels[i], held.labels[i]) for i in (slice(cut), slice(cut, cut + MORE * OTHERS)))
    found: Values = {kind: {} for kind in (*KINDS, *LEARNED)}
    for count in counts:
        for kind, each in bits(network, chosen, others, count, seed, 256).items():
            found[kind][count] = each
    return found


def learning(values: Values) -> str:
    """Where the learned variance surely takes fewer bits than each other, and where more, in words."""
    said = []
    for base in KINDS:
        pairs = common.less(values, "learned", base)
        fewer, more = ([str(c) for c, one in pairs.items() if sure(one)] for sure in (_less, _more))
        said.append(f"than {base} in {common.listed(fewer, 'no')} steps, and more in {common.listed(more)}")
    few = min(values["learned"])
    there = f"MNIST at 14x14, {few} steps: {common.estimates(values)['learned'][few].value:.3g} bits"
    return f"A variance that was learned ({there}) surely takes fewer bits {'; '.join(said)}."


def _less(one: Estimate) -> bool:
    return one.less


def _more(one: Estimate) -> bool:
    return one.more


def gains(values: Values) -> Table:
    """What β̃ and β cost more than the analytic variance, and β̃ more than β, image by image."""
    return {
        "β̃ less analytic": common.less(values, "β̃", "analytic"),
        "β less analytic": common.less(values, "β", "analytic"),
        "β̃ less β": common.less(values, "β̃", "β"),
    }


def best(values: Values) -> str:
    """Where the analytic variance is surely best, and where it is not, in words."""
    rows = [row for name, row in gains(values).items() if name.endswith("analytic")]
    counts = list(rows[0])
    sure = [count for count in counts if all(row[count].more for row in rows)]
    worse = [count for count in counts if any(row[count].high < -SLACK for row in rows)]
    rest = [count for count in counts if count not in sure + worse]
    if len(sure) == len(counts):
        return "analytic is surely best at every number of steps"
    said = [f"surely best in {common.listed(map(str, sure))} steps"] if sure else []
    said += [f"not told apart from the best in {common.listed(map(str, rest))} steps"] if rest else []
    said += (
        [f"surely behind another, by more than {SLACK:g}, in {common.listed(map(str, worse))} steps"] if worse else []
    )
    return f"analytic is {', '.join(said)}"


def crossing(values: Values) -> str:
    """Which of β̃ and β is before the other: with the fewest steps, and from where on it is otherwise."""
    pairs = gains(values)["β̃ less β"]
    few, many = min(pairs), max(pairs)
    first = "surely worse" if pairs[few].more else "surely better" if pairs[few].less else "not told apart from"
    start = f"in {few} steps β̃ is {first}{'' if first.endswith('from') else ' than'} β"
    before = [count for count in pairs if pairs[count].less]
    open_ = [count for count in pairs if not (pairs[count].less or pairs[count].more)]
    if before:
        return f"{start}; β̃ is surely before β first at {min(before)} steps"
    if open_:
        return f"{start}; from {min(open_)} steps on they cannot be told apart, and β̃ is surely before β nowhere"
    return f"{start}, and up to {many} steps it does not overtake"


def result(values: Values, where: str) -> str:
    """What came out, in a sentence."""
    few, found = min(values["β"]), common.estimates(values)
    row = ", ".join(f"{kind} {found[kind][few].value:.3g}" for kind in KINDS)
    return f"On {where} {best(values)} ({few} steps: {row} bits); {crossing(values)}."


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, draw, write the page."""
    asked = common.arguments("likelihood", __doc__, 8, 64, argv, train=1000)
    paper = table(("paper", *(f"{k} steps" for k in STEPS)), [(k, *row) for k, row in PAPER.items()])
    parts, panels, said = [CLAIM, paper, "## Closed forms\n\n" + _key(asked)], [], []
    for name in LAWS:
        found, exact = closed_form(name, asked.closed, asked.seed)
        said.append(result(found, f"`{name}`, above the exact length,"))
        parts.append(f"`{name}`: the exact length is {exact}; the bound is above it by\n\n{_pair(found)}")
        panels.append(by_steps(f"above the truth, {name.partition(':')[0]}", common.estimates(found)))
    if asked.data:
        chosen = common.real_digits(asked.data, asked.n + OTHERS, asked.seed)
        images, others = (Digits(chosen.images[i], chosen.labels[i]) for i in (slice(asked.n), slice(asked.n, None)))
        there = on_network(images, others, asked.seed)
        said.insert(0, result(there, "MNIST"))
        parts.append(_network(asked, there))
        panels.append(by_steps("bits per dimension, MNIST", common.estimates(there)))
        small = with_learned(asked.data, asked.train, asked.n, asked.seed)
        said.append(learning(small))
        parts.append(_learned(asked, small))
        panels.append(by_steps("bits per dimension, MNIST at 14x14", common.estimates(small)))
    parts.append(chart(asked, "likelihood.png", panels, "The bound against steps"))
    write(
        asked,
        "Likelihood against steps: β̃, β, analytic and learned",
        " ".join(said),
        [*parts, "" if asked.data else ALONE],
    )


def _key(asked: Settings) -> str:
    return f"""\
The exact density is the answer key: how many bits per dimension the bound lies above the truth, on {asked.closed}
samples, image by image. The analytic variance is measured on {asked.closed} others. On a Gaussian its bound is the
truth at any number of steps, but for what so few samples leave unknown of the variance, and for the noise that is
drawn."""


def _pair(values: Values) -> str:
    head = "The differences, image by image:"
    return "\n\n".join([steps_table("", common.estimates(values)), head, steps_table("", gains(values))])


def _network(asked: Settings, found: Values) -> str:
    text = f"""\
{asked.n} digits of MNIST on 256 levels, given their classes; the analytic variance from {OTHERS} others. The
intervals are over images, which the three rows share; of the sampled variance they know nothing."""
    return f"## The network inside the package\n\n{text}\n\n{_pair(found)}"


def _learned(asked: Settings, found: Values) -> str:
    text = f"""\
A small network for ε, trained for {asked.train} steps on digits at 14x14, and a second that was then trained as long to
say where between ln β̃ and ln β the variance lies, by the bound on the chain of 1000 steps. The mean is the same in all
four rows. {MORE * asked.n} other digits on 256 levels; the analytic variance from {MORE * OTHERS} more. The learned one
is asked, as in the paper, on coarser chains than it was trained on; the analytic one is measured on each."""
    pairs = {f"learned less {base}": common.less(found, "learned", base) for base in KINDS}
    tables = [steps_table("", common.estimates(found)), "The differences, image by image:", steps_table("", pairs)]
    return "\n\n".join(["## A variance that was learned", text, *tables])


if __name__ == "__main__":
    main()
