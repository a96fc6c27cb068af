"""DDIM's Table 1: η = 0, 0.2, 0.5, 1 and σ̂ against 10, 20, 50, 100 and 1000 steps.

`python docs/reproductions/ddim_table1.py [--data mnist/] [--seed 0] [-n 48] [--closed 3000]`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import common
import numpy as np
from common import REAL, Estimate, Settings, Table, Values
from numpy.typing import NDArray
from writing import ALONE, by_steps, chart, samples_grid, steps_table, table, write

import dtool
from dtool.metrics import Difference, Reference, evaluate, measure_difference
from dtool.targets import target

RECIPES = {
    "η = 0": "ddim:eta=0",
    "η = 0.2": "ddim:eta=0.2",
    "η = 0.5": "ddim:eta=0.5",
    "η = 1": "ddim:eta=1",
    "σ̂": "ddpm:sigma=beta",
}
ENDS = ("η = 0", "σ̂")  # of the network's rows, those at 1000 steps
STEPS = (10, 20, 50, 100, 1000)
SPACING, OTHER = "leading", "σ̂, `trailing`"
LAW, GROUPS = "gmm:d=16,k=8", 6
PAPER = {  # CelebA, FID, times evenly spread
    "η = 0": (17.33, 13.73, 9.17, 6.53, 3.51),
    "η = 0.2": (17.66, 14.11, 9.51, 6.79, 3.64),
    "η = 0.5": (19.86, 16.06, 11.01, 8.09, 4.28),
    "η = 1": (33.12, 26.03, 18.48, 13.93, 5.98),
    "σ̂": (299.71, 183.83, 71.71, 45.20, 3.26),
}
CLAIM = """\
**The claim.** Denoising diffusion implicit models, Table 1 ([arXiv:2010.02502](https://arxiv.org/abs/2010.02502)),
here its half with even times: FID on CelebA of one network with a part η of DDPM's noise, and with σ̂ = √β, which is
more. The fewer steps, the more noise hurts: η = 0 is best, σ̂ far worst; at 1000 steps σ̂ has caught up, and is the
best of all."""
GRID = f"""\
**The grid.** The paper's even times, τ_i = ⌊ci⌋, are `{SPACING}`: the last step starts from the schedule's first
level, so that the noise which the step before has put in stays in the image."""


def closed_form(n: int, seed: int, steps: Sequence[int] = STEPS, groups: int = GROUPS) -> tuple[Values, Estimate]:
    """W2 of the samples to a mixture with exact network, by recipe and steps, group by group; and that of exact draws.

    A group has the same starting noise in every row.
    """
    law = target(LAW)
    network, size = law.network("linear"), n // groups
    whole = {name: f"{recipe}/{SPACING}" for name, recipe in RECIPES.items()} | {OTHER: "ddpm:sigma=beta/trailing"}
    found: Values = {name: {} for name in whole}
    for name, recipe in whole.items():
        for count in steps if name != OTHER else sorted(steps)[:2]:
            run = dtool.sample(network, recipe, steps=count, n=size * groups, seed=seed, batch_size=size)
            found[name][count] = np.array([law.w2(part).value for part in np.split(run.x0, groups)])
    return found, common.across([law.w2(law.sample(size, seed + i)).value for i in range(groups)])


@dataclass(frozen=True)
class Measured:
    """What the network gave: MMD² to real digits by recipe and steps, what each row has more than η = 0, paired.

    worst: what σ̂ has more than each, paired, in the fewest steps. shown: the first ten images of some.
    """

    found: Table
    more: dict[str, dict[int, Difference]]
    worst: dict[str, Estimate]
    shown: dict[str, NDArray[np.float32]]


def on_network(images: NDArray[np.float32], n: int, seed: int) -> Measured:
    """Every recipe on the package's network from the same noise; at 1000 steps ENDS alone, and a quarter of them."""
    reference, network = Reference(images), dtool.default_network()
    made = Measured({name: {} for name in RECIPES}, {name: {} for name in RECIPES if name != "η = 0"}, {}, {})
    for count in STEPS:
        size = n if count < 1000 else max(4, n // 4)
        runs: dict[str, NDArray[np.float32]] = {}
        for name in RECIPES if count < 1000 else ENDS:
            recipe = f"{RECIPES[name]}/{SPACING}"
            runs[name] = dtool.sample(network, recipe, steps=count, n=size, seed=seed, guidance=1.0).x0
            made.found[name][count] = common.of(evaluate("mmd", runs[name], reference))
            if name != "η = 0":
                made.more[name][count] = measure_difference("mmd", runs[name], runs["η = 0"], reference)
            if count in (10, 1000):
                made.shown[f"{name}, {count}"] = runs[name][:10]
        if count == min(STEPS):
            others = (name for name in runs if name != "σ̂")
            made.worst.update(
                {name: common.of(measure_difference("mmd", runs["σ̂"], runs[name], reference)) for name in others}
            )
    return made


@dataclass(frozen=True)
class Pairs:
    """Differences of a table, paired: each row less η = 0, and σ̂ less each other row at the fewest steps."""

    zero: Table
    worst: dict[str, Estimate]

    @property
    def few(self) -> int:
        """The fewest steps."""
        return min(self.zero["σ̂"])

    @property
    def many(self) -> int:
        """The most steps."""
        return max(self.zero["σ̂"])

    def before(self, name: str) -> bool:
        """Whether η = 0 is surely before a row at the fewest steps."""
        return self.zero[name][self.few].more

    @property
    def far(self) -> bool:
        """Whether σ̂ is surely above every other row at the fewest steps."""
        return all(one.more for one in self.worst.values())

    @property
    def share(self) -> float:
        """What is left of the gap between σ̂ and η = 0 at the most steps, of that at the fewest."""
        gap = self.zero["σ̂"]
        return gap[self.many].value / gap[self.few].value

    @property
    def closes(self) -> bool:
        """Whether the gap is surely smaller at the most steps than at the fewest."""
        return self.zero["σ̂"][self.many].below(self.zero["σ̂"][self.few])


def pairs_of(values: Values) -> Pairs:
    """The differences of the closed form, group by group."""
    few = min(values["σ̂"])
    others = [name for name in RECIPES if name in values]
    return Pairs(
        {name: common.less(values, name, "η = 0") for name in others if name != "η = 0"},
        {name: common.less(values, "σ̂", name)[few] for name in others if name != "σ̂"},
    )


def pairs_on(made: Measured) -> Pairs:
    """The differences of the network."""
    return Pairs(
        {name: {count: common.of(one) for count, one in row.items()} for name, row in made.more.items()}, made.worst
    )


def result(pairs: Pairs, found: Table, where: str) -> str:
    """What came out, in a sentence."""
    few, many = pairs.few, pairs.many
    far = "σ̂ is surely worst" if pairs.far else "that σ̂ is worst of all does not show"
    order = common.sorted_out(
        {name: row[few] for name, row in pairs.zero.items()}, "surely behind η = 0", "surely before it"
    )
    row = ", ".join(f"{name} {found[name][few].value:.3g}" for name in ("η = 0", "η = 1", "σ̂"))
    return f"On {where}, {few} steps: {far}; {order} ({row}). {closing(pairs)} at {many}."


def closing(pairs: Pairs) -> str:
    """What becomes of the gap between σ̂ and η = 0."""
    last = pairs.zero["σ̂"][pairs.many]
    if not pairs.far and not pairs.before("σ̂"):
        return "There is no sure gap between σ̂ and η = 0 that could close"
    if not pairs.closes:
        return "The gap between σ̂ and η = 0 is not surely smaller"
    if last.less:
        return "σ̂ has overtaken η = 0"
    if last.more:
        return f"The gap between σ̂ and η = 0 has closed to {pairs.share:.0%}, which is surely left"
    return f"The gap between σ̂ and η = 0 has closed: of {pairs.zero['σ̂'][pairs.few]} there is {last} left"


def on_the_grid(values: Values) -> str:
    """What the other grid does to σ̂."""
    few = min(values["σ̂"])
    found = common.estimates(values)
    here, there, zero = (found[name][few] for name in ("σ̂", OTHER, "η = 0"))
    gain = common.less(values, "σ̂", OTHER)[few]
    harm = f"less harm, by {gain}" if gain.more else f"no surely less harm, {gain}"
    return f"""\
dtool's default, `trailing`, goes to the image from t = T/K - 1 at once, and removes that noise. On it σ̂ does {harm}:
{there} in {few} steps, against {here} on the paper's grid, and {zero} for η = 0. What a table of samplers says, it
says of a grid too."""


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, measure, write the page."""
    asked = common.arguments("ddim_table1", __doc__, 48, 3000, argv)
    values, floor = closed_form(asked.closed, asked.seed)
    found = common.estimates(values)
    said = result(pairs_of(values), found, f"`{LAW}`")
    paper = table(("paper", *(f"{k} steps" for k in STEPS)), [(name, *row) for name, row in PAPER.items()])
    parts, panels = [CLAIM, paper, GRID, _closed(asked, values, floor)], [by_steps("W2 to the mixture", found)]
    if asked.data:
        real = common.real_digits(asked.data, REAL, asked.seed)
        made = on_network(real.images, asked.n, asked.seed)
        said = f"{result(pairs_on(made), made.found, 'MNIST')} {said}"
        panels.append(by_steps("MMD² to MNIST", made.found))
        parts.append(_network(asked, made))
        parts.append(
            samples_grid(asked, "ddim_table1-samples.png", made.shown, "The same noise, in 10 steps and in 1000")
        )
    parts.append(chart(asked, "ddim_table1.png", panels, "DDIM's Table 1 again"))
    write(asked, "DDIM's Table 1: noise against steps", said, [*parts, "" if asked.data else ALONE])


def _closed(asked: Settings, values: Values, floor: Estimate) -> str:
    text = f"""\
Sliced W2 of samples to `{LAW}`, whose network is exact; {GROUPS} groups of {asked.closed // GROUPS} samples. As many
exact draws score {floor}: that is where a right sampler ends."""
    head = "The same less that of η = 0 from the same starting noise, group by group:"
    pairs = steps_table("less η = 0", pairs_of(values).zero)
    return "\n\n".join(
        ["## The closed form", text, steps_table("", common.estimates(values)), head, pairs, on_the_grid(values)]
    )


def _network(asked: Settings, made: Measured) -> str:
    text = f"""\
MMD² to {REAL} digits of MNIST, no guidance, {asked.n} images; at 1000 steps {max(4, asked.n // 4)}, and only the two
rows that the gap is between. MMD² is unbiased: its mean does not depend on how many there are."""
    counts = sorted(made.more["σ̂"])
    rows = [
        (name, *(f"{common.of(row[count])}, p = {row[count].p:.3f}" if count in row else "" for count in counts))
        for name, row in made.more.items()
    ]
    pairs = table(("less η = 0", *(f"{count} steps" for count in counts)), rows)
    head = "The same less that of η = 0 from the same starting noise, with the p-value of the pairs:"
    return f"## The network inside the package\n\n{text}\n\n{steps_table('', made.found)}\n\n{head}\n\n{pairs}"


if __name__ == "__main__":
    main()
