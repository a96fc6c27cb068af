"""The lecture's question: why is noise added at each step? DDPM's Algorithm 2 with σ² = β̃, with β, and without noise.

`python docs/reproductions/noise.py [--data mnist/] [--seed 0] [-n 100] [--closed 1000]`
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from common import REAL, Digits, Estimate, Settings, arguments, listed, of, real_digits, sorted_out
from numpy.typing import NDArray
from writing import ALONE, samples_grid, table, write

import dtool
from dtool.metrics import Reference, evaluate, evaluate_all, measure_difference, metric
from dtool.models.network import Network
from dtool.targets import target

TILDE, BETA, NONE = "σ² = β̃", "σ² = β", "no noise"
RECIPES = {TILDE: "ddpm:sigma=tilde", BETA: "ddpm:sigma=beta", NONE: "ddpm:sigma=none"}
METRICS = ("mmd", "density", "recall", "coverage")
HIGHER = ("variance", "recall", "coverage")
STEPS = 100
LAW = "digits-gmm"
CLAIM = """\
**The question.** Algorithm 2 of DDPM ([arXiv:2006.11239](https://arxiv.org/abs/2006.11239)) adds σ_t z at the end of
each step: the network has just estimated the step's mean, and noise is put in again, which the next step has to
remove. Why? Because the mean is no draw of x_{t-1}: it is what all the images that x_t could have come from have in
common. Section 3.2 adds that at T = 1000 β and β̃ give similar results."""
READING = """\
Variance: that of the samples of a class over that of real ones of the class, mean of ten; 1 is right. MMD²: 0 where
the laws are one. Density above 1: the samples crowd where data are dense, as what is too typical does. Recall: the
share of real images that lie among the samples. Coverage: the share of real images that have a sample near them;
where all samples of a class are one typical image, it may be near to most of them, and coverage then sees little."""

Table = dict[str, dict[str, Estimate]]


@metric("variance-ratio", "ratio of variances", better="higher", minimum=3)
def variance_ratio(samples: NDArray[Any], reference: NDArray[Any]) -> float:
    """The samples' total variance over the reference's."""
    return float(samples.var(axis=0, ddof=1).sum() / reference.var(axis=0, ddof=1).sum())


def over_classes(samples: Digits, each: Callable[[NDArray[np.bool_], int], Any]) -> Estimate:
    """The mean over classes of what `each` finds for the samples of one."""
    found = [of(each(samples.labels == k, int(k))) for k in np.unique(samples.labels)]
    mean, half = float(np.mean([e.value for e in found])), sqrt(sum(e.half**2 for e in found)) / len(found)
    return Estimate(mean, mean - half, mean + half)


def variety(samples: Digits, real: Digits) -> Estimate:
    """The variance within a class over that of real images of the class, mean over classes."""
    return over_classes(
        samples,
        lambda mine, k: evaluate(variance_ratio, samples.images[mine], real.images[real.labels == k], splits=2),
    )


def varies_more(samples: Digits, others: Digits, real: Digits) -> Estimate:
    """`variety` of samples less that of others from the same noise, paired."""
    return over_classes(
        samples,
        lambda mine, k: measure_difference(
            variance_ratio, samples.images[mine], others.images[mine], real.images[real.labels == k]
        ),
    )


def drawn(network: Network, steps: int, n: int, seed: int) -> dict[str, Digits]:
    """n samples with each recipe from the same noise, the classes in turn, without guidance."""
    found = {}
    for name, recipe in RECIPES.items():
        run = dtool.sample(network, recipe, steps=steps, n=n, seed=seed, guidance=1.0)
        found[name] = Digits(run.x0, np.asarray(run.labels))
    return found


@dataclass(frozen=True)
class Measured:
    """Every figure of every recipe's samples against real images; what each has more than β̃ gives, paired."""

    found: Table
    more: Table


def measured(samples: dict[str, Digits], real: Digits) -> Measured:
    """Every figure of every recipe's samples against real images, and the differences."""
    reference, base = Reference(real.images), samples[TILDE]
    found, more = {}, {}
    for name, one in samples.items():
        figures = evaluate_all(one.images, reference, METRICS)
        found[name] = {"variance": variety(one, real), **{key: of(figures[key]) for key in METRICS}}
        if name != TILDE:
            pairs = {key: of(measure_difference(key, one.images, base.images, reference)) for key in METRICS}
            more[name] = {"variance": varies_more(one, base, real), **pairs}
    return Measured(found, more)


def closed_form(n: int, seed: int, steps: int = STEPS) -> tuple[dict[str, Digits], Measured]:
    """Samples of the exact network of a mixture, and how far they are from the mixture."""
    law = target(LAW)
    labels = np.arange(REAL) % law.classes
    real = Digits(law.sample(REAL, seed + 1, labels.tolist()).astype(np.float32), labels)
    samples = drawn(law.network("linear"), steps, n, seed)
    return samples, measured(samples, real)


def worse(made: Measured) -> list[str]:
    """What is surely worse without noise than with σ² = β̃."""
    none = made.more[NONE]
    return [key for key in HIGHER if none[key].less] + (["MMD²"] if none["mmd"].more else [])


def report(found: Table, corner: str = "") -> str:
    """The table of a network's figures."""
    keys = ("variance", *METRICS)
    rows = [(name, *(str(row[key]) for key in keys)) for name, row in found.items()]
    return table((corner, "variance", "MMD²", "density", "recall", "coverage"), rows)


def both(made: Measured) -> str:
    """The figures, what the recipes differ by, and whether β and β̃ do."""
    head = "The same less that of σ² = β̃ from the same starting noise, paired:"
    return "\n\n".join([report(made.found), head, report(made.more, "less β̃"), alike(made)])


def result(made: Measured, where: str) -> str:
    """What came out, in a sentence."""
    none, tilde = (made.found[name]["variance"] for name in (NONE, TILDE))
    lost = worse(made)
    said = f"surely worse without: {listed(lost)}" if lost else "the effect does not show: no figure is surely worse"
    shares = f"{_share(none)} of the data's without noise, {_share(tilde)} with β̃"
    dense = made.more[NONE]["density"]
    crowd = "; samples surely crowd more where data are dense" if dense.more else ""
    return f"On {where} the variance within a class is {shares}; {said}{crowd}."


def alike(made: Measured) -> str:
    """Whether β and β̃ can be told apart."""
    apart = {"MMD²" if key == "mmd" else key: one for key, one in made.more[BETA].items()}
    return f"β against β̃ at {STEPS} steps: {sorted_out(apart, 'surely higher', 'surely lower')}."


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, measure, write the page."""
    asked = arguments("noise", __doc__, 100, 1000, argv)
    samples, made = closed_form(asked.closed, asked.seed)
    text = f"{STEPS} steps, {asked.closed} samples from the same noise, against {REAL} exact ones."
    parts = [
        CLAIM,
        f"## The closed form\n\n`{LAW}`, whose network is exact; {text}\n\n{both(made)}",
    ]
    parts.append(_grid(asked, "noise-closed.png", samples, f"{LAW}: the same noise, {STEPS} steps"))
    said = result(made, f"`{LAW}`")
    if asked.data:
        real = real_digits(asked.data, REAL, asked.seed)
        samples = drawn(dtool.default_network(), STEPS, asked.n, asked.seed)
        made = measured(samples, real)
        said = f"{result(made, 'MNIST')} {said}"
        text = f"{STEPS} steps, no guidance, {asked.n} images from the same noise, against {REAL} digits of MNIST."
        parts.append(f"## The network inside the package\n\n{text}\n\n{both(made)}")
        parts.append(
            _grid(asked, "noise.png", samples, f"The network inside the package: the same noise, {STEPS} steps")
        )
    write(asked, "With and without the noise in Algorithm 2", said, [*parts, READING, "" if asked.data else ALONE])


def _share(ratio: Estimate) -> str:
    return f"{ratio.value:.0%}" if ratio.value > 0.01 else f"{ratio.value:.1g}"


def _grid(asked: Settings, name: str, samples: dict[str, Digits], title: str) -> str:
    return samples_grid(asked, name, {key: one.images[:10] for key, one in samples.items()}, title)


if __name__ == "__main__":
    main()
