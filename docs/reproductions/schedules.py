"""Linear, cosine and sigmoid: how fast each destroys information, and what that does to samples at few steps.

`python docs/reproductions/schedules.py [--data mnist/] [--seed 0] [-n 64] [--closed 600]`
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import common
import numpy as np
from common import REAL, Estimate, Settings, Table, Values
from information import GONE, GROUPS, LAW, NAMES, SHARES, Fall, falls, levels
from numpy.typing import NDArray
from writing import ALONE, by_steps, chart, samples_grid, steps_table, table, write

import dtool
from dtool.cli.show.plot import Panel, PlotLine, pick_colour
from dtool.metrics import Reference, evaluate, measure_difference
from dtool.models.network import Network
from dtool.plan import Plan
from dtool.plan.api import plan as make_plan
from dtool.schedulers import get_scheduler
from dtool.targets import Target, target

SAMPLERS = ("ddim", "ddpm:sigma=tilde")
STEPS = (5, 10, 20)
SKIPPED, DENSE = (0.0, 0.2, 0.4), 50  # of the noisy end; steps of the whole chain
CLAIM = """\
**The claim.** Improved DDPM, section 3.2 ([arXiv:2102.09672](https://arxiv.org/abs/2102.09672)): on small images the
linear schedule destroys information too early. The end of its chain is nearly pure noise and does little for the
samples: a fifth of it can be skipped with little harm. Cosine destroys it evenly instead. Sigmoid is of
[arXiv:2212.11972](https://arxiv.org/abs/2212.11972), which found that the best schedule depends on the size of the
images."""
MEANING = """\
Bits: the mutual information of x_t and the class, E[log2 p(x_t given the class) - log2 p(x_t)], exact but for the
mean over samples. Unknown: the optimal denoiser's mean square error, over the variance of the data."""

Differences = dict[str, dict[int, Estimate]]


def distances(law: Target, network: Network, plan: Plan, n: int, seed: int) -> NDArray[np.float64]:
    """Sliced W2 of samples to the law, group by group (GROUPS,); the same seed, the same starting noise."""
    run = dtool.sample(network, plan, n=n - n % GROUPS, seed=seed)
    return np.array([law.w2(part).value for part in np.split(run.x0, GROUPS)])


def few_steps(n: int, seed: int, steps: Sequence[int] = STEPS) -> Values:
    """Sliced W2 to the mixture of samples along each schedule, its own exact network, by recipe and steps."""
    law = target(LAW)
    found: Values = {}
    for sampler, name in product(SAMPLERS, NAMES):
        network, row = law.network(name), found.setdefault(f"`{sampler}@{name}`", {})
        for count in steps:
            plan = make_plan(f"{sampler}@{name}", steps=count, network=network)
            row[count] = distances(law, network, plan, n, seed)
    return found


def skipping(n: int, seed: int, dense: int = DENSE) -> dict[str, dict[float, NDArray[np.float64]]]:
    """Sliced W2 of samples whose chain begins, at pure noise, after a share of its steps has been left out."""
    law = target(LAW)
    found: dict[str, dict[float, NDArray[np.float64]]] = {name: {} for name in NAMES}
    for name in NAMES:
        network = law.network(name)
        times = np.linspace(network.schedule.T - 1, 0, dense)
        for share in SKIPPED:
            plan = make_plan("ddpm", points=times[round(share * dense) :].tolist(), network=network)
            found[name][share] = distances(law, network, plan, n, seed)
    return found


def on_network(images: NDArray[np.float32], n: int, seed: int) -> tuple[Table, Differences]:
    """MMD² to real digits of the package's network along each schedule, and what each has more than linear, paired."""
    reference, network = Reference(images), dtool.default_network()
    found: Table = {f"`{sampler}@{name}`": {} for sampler, name in product(SAMPLERS, NAMES)}
    more: Differences = {row: {} for row in found if "linear" not in row}
    for sampler, count in product(SAMPLERS, STEPS):
        runs = {}
        for name in NAMES:
            row = f"`{sampler}@{name}`"
            runs[name] = dtool.sample(network, row.strip("`"), steps=count, n=n, seed=seed, guidance=1.0).x0
            found[row][count] = common.of(evaluate("mmd", runs[name], reference))
            if name != "linear":
                more[row][count] = common.of(measure_difference("mmd", runs[name], runs["linear"], reference))
    return found, more


def than_linear(values: Values) -> Differences:
    """What each recipe has more than the same along linear, group by group."""
    return {
        row: common.less(values, row, f"{row.partition('@')[0]}@linear`")
        for row in values
        if not row.endswith("@linear`")
    }


def fast(found: dict[str, Fall]) -> str:
    """Which schedule destroys first, in a sentence."""
    half = {name: common.across(fall.half) for name, fall in found.items()}
    first = all(common.across(found["linear"].half - found[name].half).less for name in NAMES if name != "linear")
    order = "Linear surely destroys it first" if first else "That linear destroys it first does not show"
    other = common.across(found["cosine"].half - found["sigmoid"].half)
    alike = "cosine and sigmoid cannot be told apart" if not (other.more or other.less) else "cosine and sigmoid differ"
    shares = ", ".join(f"{one.value:.0%} ± {one.half:.0%} of {name}'s chain" for name, one in half.items())
    idle = common.across(found["linear"].idle)
    return (
        f"{order}: half of the bits on the class are gone after {shares}; {alike}. In linear's last"
        f" {idle.value:.0%} ± {idle.half:.0%} less than {GONE:.0%} of them are left."
    )


def harm(found: dict[str, dict[float, NDArray[np.float64]]]) -> str:
    """What leaving out the noisiest steps costs each schedule, in a sentence."""
    share = max(SKIPPED)
    cost = {name: row[share] - row[0.0] for name, row in found.items()}
    said = ", ".join(f"{name} {common.across(one)}" for name, one in cost.items())
    sure = common.across(cost["cosine"] - cost["linear"]).more
    claim = (
        "cosine's surely more than linear's, as the paper says" if sure else "that cosine's is more does not show here"
    )
    return f"Leaving out the noisiest {share:.0%} changes W2 by: {said}; {claim}."


def samples_say(pairs: Differences, where: str) -> str:
    """What the schedules do to samples in few steps, in a sentence."""
    few = min(next(iter(pairs.values())))
    said = common.sorted_out(
        {name: row[few] for name, row in pairs.items()}, "surely further than linear", "surely nearer than linear"
    )
    return f"Samples of {where} in {few} steps: {said}."


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, draw, write the page."""
    asked = common.arguments("schedules", __doc__, 64, 600, argv)
    law, found = target(LAW), falls(asked.closed, asked.seed)
    skipped, few = skipping(asked.closed, asked.seed), few_steps(asked.closed, asked.seed)
    size = asked.closed // GROUPS
    exact = (
        f"exact draws score {common.across([law.w2(law.sample(size, asked.seed + i)).value for i in range(GROUPS)])}"
    )
    image, panels = (
        law.sample(1, asked.seed, 3)[0].astype(np.float32),
        [by_steps(f"W2 to {LAW}", common.estimates(few))],
    )
    parts = [_information(asked, found), chart(asked, "schedules.png", _panels(found), "What is left of an image")]
    parts.append(_skipping(asked, skipped, exact))
    text = f"Sliced W2 to `{LAW}`, the exact network of each schedule, {GROUPS} groups of {size}; {exact}."
    parts += ["## Few steps", text, _pair(common.estimates(few), than_linear(few))]
    said = [fast(found), harm(skipped), samples_say(than_linear(few), f"`{LAW}`")]
    if asked.data:
        real = common.real_digits(asked.data, REAL, asked.seed)
        image = real.images[3]
        there, more = on_network(real.images, asked.n, asked.seed)
        text = f"""\
MMD² to {REAL} digits of MNIST of the network inside the package, {asked.n} images, no guidance. It was trained with
linear; each noise level is kept and its time translated, so that a schedule is here a choice of levels. Noisier
levels than linear's are told the last time."""
        parts += [text, _pair(there, more)]
        said.append(samples_say(more, "MNIST"))
        panels.append(by_steps("MMD² to MNIST", there))
    parts.append(chart(asked, "schedules-steps.png", panels, "Samples along each schedule, even steps in t"))
    title = "Linear, cosine and sigmoid: how fast information is destroyed"
    write(asked, title, " ".join(said), [CLAIM, _strip(asked, image), *parts, "" if asked.data else ALONE])


def _pair(found: Table, more: Differences) -> str:
    head = "The same less that along linear from the same starting noise:"
    return "\n\n".join([steps_table("", found), head, steps_table("less linear", more)])


def _strip(asked: Settings, image: NDArray[np.float32]) -> str:
    z = np.random.default_rng(asked.seed).standard_normal(image.shape)
    rows = {
        name: np.stack([at.alpha * image + at.sigma * z for at in levels(get_scheduler(name))[::2]]) for name in NAMES
    }
    return samples_grid(asked, "schedules-strip.png", rows, "From t = 0 to T - 1, a tenth of the chain apart")


def _information(asked: Settings, found: dict[str, Fall]) -> str:
    places = (0, 5, 10, 15, 20)
    heads = tuple(f"t = {SHARES[i]:.2g} T" for i in places)
    snr = [(name, *(f"{fall.log_snr[i]:.1f}" for i in places)) for name, fall in found.items()]
    bits = [(name, *(str(common.across(fall.bits[:, i])) for i in places)) for name, fall in found.items()]
    unknown = [(name, *(str(common.across(fall.unknown[:, i])) for i in places)) for name, fall in found.items()]
    tables = [table((head, *heads), rows) for head, rows in (("log-SNR", snr), ("bits", bits), ("unknown", unknown))]
    return "\n\n".join([f"## Information\n\n{asked.closed} samples of `{LAW}`. {MEANING}", *tables])


def _skipping(asked: Settings, found: dict[str, dict[float, NDArray[np.float64]]], exact: str) -> str:
    heads = ("skipped", *(f"{share:.0%}" for share in SKIPPED))
    rows = [(name, *(str(common.across(one)) for one in row.values())) for name, row in found.items()]
    costs = [
        (name, *(str(common.across(row[share] - row[0.0])) for share in SKIPPED[1:])) for name, row in found.items()
    ]
    text = f"""\
Sliced W2 of `ddpm` with the exact network of each schedule, {DENSE} steps for the whole chain; what is left of it
begins at pure noise. {GROUPS} groups of {asked.closed // GROUPS}; {exact}."""
    head = "The same less that of the whole chain from the same starting noise:"
    costs_table = table(("more than 0%", *heads[2:]), costs)
    return "\n\n".join(["## Leaving out the noisy end", text, table(heads, rows), head, costs_table])


def _panels(found: dict[str, Fall]) -> list[Panel]:
    def panel(title: str, values: list[NDArray[np.float64]]) -> Panel:
        lines = [
            PlotLine(name=name, x=SHARES, y=y, colour=pick_colour(i))
            for i, (name, y) in enumerate(zip(found, values, strict=True))
        ]
        return Panel(title=title, lines=lines, x_label="t / T")

    bits = [fall.bits.mean(axis=0) for fall in found.values()]
    unknown = [fall.unknown.mean(axis=0) for fall in found.values()]
    snr = [np.maximum(fall.log_snr, -12) for fall in found.values()]
    return [panel("log-SNR", snr), panel("bits on the class", bits), panel("unknown share of the variance", unknown)]


if __name__ == "__main__":
    main()
