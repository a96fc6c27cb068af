"""What the network is to say: eps, x0, v, or the mean of the previous image.

`python docs/reproductions/prediction.py [--data mnist/] [--seed 0] [-n 128] [--closed 3000] [--train 1000]`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from common import Digits, Estimate, Settings, Table, Values, arguments, estimates, less, listed, of, sorted_out
from numpy.typing import NDArray
from outputs import OUTPUTS, gains, power_of, sizes, wrong_network
from writing import ALONE, by_steps, chart, samples_grid, steps_table, table, write

import dtool
from dtool.cli.show.plot import Panel, PlotLine, pick_colour
from dtool.metrics import Reference, evaluate, measure_difference
from dtool.schedulers import get_scheduler
from dtool.targets import target

LAW, GROUPS, SIZE = "gmm:d=16,k=8", 6, 0.05
STEPS = (5, 10, 20, 50, 200)
LEVELS = (0, 10, 100, 300, 500, 700, 900, 999)  # times of the table of gains
TIMES, ASKED = (10, 100, 300, 500, 700, 900), 500  # those at which trained networks are asked, of so many images
RECIPES = {"ddim, 10 steps": ("ddim", 10), "ddim, 50 steps": ("ddim", 50), "ddpm, 50 steps": ("ddpm:sigma=tilde", 50)}
EXACT = "exact network"
CLAIM = """\
**The claim.** DDPM, section 3.2 and Table 2 ([arXiv:2006.11239](https://arxiv.org/abs/2006.11239)): of one network,
trained by plain mean squared error on CIFAR-10, the samples score FID 3.17 if it says ε; if it says the mean of
x_{t-1}, training was unstable, and no figure is given (13.22 with the weights of the bound). To say x0 led to worse
samples early in the authors' experiments. v is of [arXiv:2202.00512](https://arxiv.org/abs/2202.00512), appendix D,
meant to be stable at every noise level."""
ALGEBRA = """\
All four say the same: given x_t, each follows from each. What differs is what an error δ of the output does to the
predicted image: with ε it becomes δ σ/α, with x0 δ, with v δ σ. The mean of x_{t-1} is a·x0 + b·x_t, where
b = α_t σ_{t-1}² / (α_{t-1} σ_t²) and a = α_{t-1} - α_t b (DDPM, eq. 7), and an error of it becomes δ/a: a step so
short changes so little that what it says of the image is a small part of what the network has to say."""

Differences = dict[str, dict[str, Estimate]]


def closed_form(n: int, seed: int, steps: Sequence[int] = STEPS) -> Values:
    """W2 of ddim's samples to the mixture by groups, by output and steps; each group has an error of its own."""
    law, made, size = target(LAW), get_scheduler("linear"), n // GROUPS
    found: Values = {name: {} for name in (EXACT, *OUTPUTS)}
    for name, row in found.items():
        for count in steps:
            each = []
            for group in range(GROUPS):
                wrong = 0.0 if name == EXACT else SIZE
                network = wrong_network(law, made, "x0" if name == EXACT else name, wrong, seed + group)
                run = dtool.sample(network, "ddim", steps=count, n=size, seed=seed + group, batch_size=size)
                each.append(law.w2(run.x0).value)
            row[count] = np.array(each)
    return found


def on_networks(trained: dict[str, Any], real: NDArray[Any], n: int, seed: int) -> tuple[Differences, Differences, Any]:
    """MMD² to real images by output and recipe; what each has more than eps, paired; ten images of the last recipe."""
    reference = Reference(real)
    found: Differences = {name: {} for name in trained}
    more: Differences = {name: {} for name in trained if name != "eps"}
    shown = {}
    for label, (recipe, steps) in RECIPES.items():
        runs = {
            name: dtool.sample(one.network, recipe, steps=steps, n=n, seed=seed).x0 for name, one in trained.items()
        }
        for name, images in runs.items():
            found[name][label] = of(evaluate("mmd", images, reference))
            if name != "eps":
                more[name][label] = of(measure_difference("mmd", images, runs["eps"], reference))
        shown = {name: images[:10] for name, images in runs.items()}
    return found, more, shown


def least(values: Values, at: int) -> str | None:
    """The row that is surely below each other, pair by pair, if there is one."""
    for name in OUTPUTS:
        if all(less(values, name, other)[at].less for other in OUTPUTS if other != name):
            return name
    return None


def worst(values: Values, at: int) -> bool:
    """Whether the mean is surely above each other."""
    return all(less(values, "mean", other)[at].more for other in OUTPUTS if other != "mean")


def by_level(values: Values) -> str:
    """Which output's image is surely nearest at each level."""
    best = {at: least(values, at) for at in values["eps"]}
    said = [f"{name} at t = {listed(str(at) for at, one in best.items() if one == name)}" for name in OUTPUTS]
    surely = [one for one in said if not one.endswith("none")]
    open_ = [str(at) for at, one in best.items() if one is None]
    rest = [f"none surely at t = {listed(open_)}"] if open_ else []
    return "; ".join(surely + rest)


def of_mixture(values: Values) -> str:
    """What came out on the closed form, in a sentence."""
    few, many = min(values["eps"]), max(values["eps"])
    names = [name for name in OUTPUTS if name != "eps"]
    parts = [
        f"after {count} steps "
        + sorted_out({n: less(values, n, "eps")[count] for n in names}, "surely further than eps", "surely nearer")
        for count in (few, many)
    ]
    far = [count for count in values["eps"] if worst(values, count)]
    order = f"the mean is surely worst of all in {listed(str(c) for c in far)} steps" if far else NOT_WORST
    return f"On `{LAW}`, each output wrong by {SIZE:.0%} of its size: {', '.join(parts)}; {order}."


NOT_WORST = "that the mean is worst does not show"


def of_networks(more: Differences, steps: int) -> str:
    """What came out with trained networks, in a sentence."""
    parts = [
        f"{label}: " + sorted_out({n: row[label] for n, row in more.items()}, "surely worse than eps", "surely better")
        for label in RECIPES
    ]
    bad, x0 = ([label for label in RECIPES if more[name][label].more] for name in ("mean", "x0"))
    order = f"DDPM's order, the mean behind eps, shows ({len(bad)} of {len(RECIPES)} recipes)" if bad else NOT_WORST
    order += "" if x0 else "; that x0 is behind eps, too, does not show at this size"
    return f"On MNIST, four networks of {steps} training steps: {order}. By MMD², {'. '.join(parts)}."


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, train, draw, write the page."""
    asked = arguments("prediction", __doc__, 128, 3000, argv, train=1000)
    values = closed_form(asked.closed, asked.seed)
    said = of_mixture(values)
    parts, panels = [CLAIM, _algebra(), _closed(asked, values)], [_gain_panel()]
    panels.append(by_steps(f"W2 to the mixture, outputs {SIZE:.0%} wrong", estimates(values)))
    if asked.data:
        said, more, panel = _with_networks(asked, said)
        parts += more
        panels.append(panel)
    parts.append(chart(asked, "prediction.png", panels, "An error of the output, and what becomes of it"))
    write(asked, "What the network says: eps, x0, v or the mean", said, [*parts, "" if asked.data else ALONE])


def _algebra() -> str:
    law, made = target(LAW), get_scheduler("linear")
    heads = tuple(f"t = {t}" for t in LEVELS)
    size, gain = sizes(made, power_of(law)), gains(made, power_of(law))
    rows = [(name, *(f"{gain[name][t]:.3g}" for t in LEVELS)) for name in OUTPUTS]
    said = [(name, *(f"{size[name][t]:.3g}" for t in LEVELS)) for name in OUTPUTS]
    best = {t: min(OUTPUTS, key=lambda name: float(gain[name][t])) for t in LEVELS}
    order = "; ".join(
        f"{name} at t = {listed(str(t) for t in LEVELS if best[t] == name)}"
        for name in OUTPUTS
        if name in best.values()
    )
    text = f"""\
For `{LAW}` and the linear schedule, T = 1000, this is by how much x0 is wrong if the output is wrong by its own size
(root mean square, second table). Least: {order}."""
    tables = [table(("x0 is wrong by", *heads), rows), table(("size", *heads), said)]
    return "\n\n".join(["## The algebra", ALGEBRA, text, *tables])


def _closed(asked: Settings, values: Values) -> str:
    text = f"""\
The exact network of `{LAW}`, but its output is wrong by {SIZE:.0%} of its size, by a smooth function of (x, t) that is
the same for all four. Sliced W2 of `ddim`'s samples, nothing clipped; {GROUPS} seeds of {asked.closed // GROUPS}
samples, each with an error function of its own."""
    pairs = {name: less(values, name, "eps") for name in OUTPUTS if name != "eps"}
    head = "What each has more than eps, seed by seed:"
    return "\n\n".join(
        ["## Outputs wrong alike", text, steps_table("", estimates(values)), head, steps_table("less eps", pairs)]
    )


def _gain_panel() -> Panel:
    made = get_scheduler("linear")
    gain, t = gains(made, power_of(target(LAW))), np.arange(made.T)
    lines = [PlotLine(name=name, x=t, y=gain[name], colour=pick_colour(i + 1)) for i, name in enumerate(OUTPUTS)]
    return Panel(title="error of x0, output wrong by its own size", lines=lines, x_label="t", log=True)


def _with_networks(asked: Settings, said: str) -> tuple[str, list[str], Panel]:
    """Train, sample, measure: the result, parts of the page, and a panel."""
    from trained import HELD, SIDE, errors, split, train_all

    images, held = split(str(asked.data), asked.seed)
    trained = train_all(images, asked.train, asked.seed)
    wrong = errors(trained, Digits(held.images[:ASKED], held.labels[:ASKED]), TIMES, asked.seed)
    found, more, shown = on_networks(trained, held.images, asked.n, asked.seed)
    wide = f"""\
Four U-Nets that are alike but for what they say: {asked.train} steps of plain mean squared error on
{len(images)} digits of MNIST at {SIDE}x{SIDE} pixels, the same weights at the start, the same images, times and noise.
Sampling clips the predicted image. MMD² to {HELD} digits that were not trained on, {asked.n} samples from the same
noise."""
    heads = tuple(RECIPES)
    rows = [(name, *(str(row[label]) for label in heads)) for name, row in found.items()]
    pairs = [(name, *(str(row[label]) for label in heads)) for name, row in more.items()]
    one = "One training run each: the intervals are of samples and images, and know nothing of other runs."
    image = f"""\
Root mean square error of the predicted image, before clipping, on {ASKED} of the same digits. Surely nearest, digit by
digit: {by_level(wrong)}."""
    loss = ", ".join(f"{name} {run.loss:.3g}" for name, run in trained.items())
    losses = f"Loss at the end, each of its own quantity: {loss}."
    parts = [
        "## Four networks",
        wide,
        table(("MMD²", *heads), rows),
        "The same less that of eps, paired. " + one,
        table(("less eps", *heads), pairs),
        image,
        _times_table(estimates(wrong)),
        losses,
        samples_grid(asked, "prediction-samples.png", shown, f"The same noise, {heads[-1]}"),
    ]
    return f"{of_networks(more, asked.train)} {said}", parts, _wrong_panel(estimates(wrong))


def _times_table(found: Table) -> str:
    heads = tuple(f"t = {t}" for t in TIMES)
    return table(("error of x0", *heads), [(name, *(str(row[t]) for t in TIMES)) for name, row in found.items()])


def _wrong_panel(found: Table) -> Panel:
    x = np.array(TIMES, dtype=float)
    lines = []
    for i, (name, row) in enumerate(found.items()):
        y = np.array([one.value for one in row.values()])
        lines.append(PlotLine(name=name, x=x, y=y, colour=pick_colour(i + 1), dots=(x, y)))
    return Panel(title="error of x0, trained networks", lines=lines, x_label="t", log=True)


if __name__ == "__main__":
    main()
