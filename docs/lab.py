"""`python docs/lab.py` writes docs/lab.md: samplers of diffusers, k-diffusion and azula that dtool adopts, measured.

`python docs/lab.py --only PATTERN` measures the configurations in which the pattern is found, and keeps the other rows.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import sys
import warnings
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from dtool.certify.adopted import (
    FLOOR,
    SAME,
    START,
    adopt,
    find_end,
    find_same,
    measure_marginals,
    measure_order,
    measure_start,
)
from dtool.errors import DtoolError
from dtool.plan import Point, Recipe

PINNED = {"diffusers": "0.42.1", "k-diffusion": "0.1.1.post1", "azula": "0.11.1", "torch": "2.13.0"}
PAGE = Path(__file__).parent / "lab.md"
STEPS, FEW, SLOPES = 16, (1, 2, 7, 31, 61), (16, 32, 64)
CLEAN_ENOUGH = 1e-6  # σ/α of an end
WRONG = 1e-5  # of a mean or a variance, relative to the level
DISTILLED = ("CMStochastic", "LCMScheduler", "TCDScheduler")  # whose networks are no denoisers
CLAIMS = {
    "HeunDiscreteScheduler": 2, "KDPM2DiscreteScheduler": 2, "FlowMatchHeunDiscreteScheduler": 2,
    "LMSDiscreteScheduler": 4, "PNDMScheduler": 4, "IPNDMScheduler": 4, "sample_heun": 2, "sample_dpm_2": 2,
    "sample_lms": 4, "sample_dpm_fast": 3, "sample_dpmpp_2m": 2, "sample_dpmpp_2m_sde": 2, "sample_dpmpp_3m_sde": 3,
    "HeunSampler": 2, "zABSampler": 2, "vABSampler": 2, "zEABSampler": 2, "xEABSampler": 2, "REABSampler": 2,
    "CosineDPMSolverMultistepScheduler": 2, "CogVideoXDPMScheduler": 2, "DPMSolverSDEScheduler": 2,
}  # fmt: skip
AZULA = (
    "DDPM", "DDIM", "Euler", "Heun", "Ito", "zAB", "vAB", "zEAB", "xEAB", "REAB", "PC",
)  # fmt: skip
SPACINGS = {"timestep_spacing": ("linspace", "leading", "trailing")}
SIGMAS = ("", "use_karras_sigmas=true", "use_exponential_sigmas=true", "use_beta_sigmas=true")
MULTI, SINGLE, UNIPC = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "UniPCMultistepScheduler"


HEAD = """<!-- Written by docs/lab.py -->

# Other libraries' samplers, measured

{adopted} configurations that dtool adopts, {refused} that it refuses, with {versions}
and constants in float64. Made by `python docs/lab.py`, with {steps} steps; {few} steps were made too.

- *Marginals*: how far the network's inputs are from the mean and the variance of their level, for a constant image.
- *Order*: the slope of the error where the last step begins, against the exact solution of the ODE, or in law, from
  {slopes} steps, to the finest whose error is above rounding: of equal length in λ where the sampler can be given such
  levels, and on its own grid elsewhere, where one long step may hide the method. In brackets the order that its name or
  its options state; then the finest grid.
- *Ends*: the level of the last x.
- *Same as*: the sampler of dtool whose coefficients these are on this grid, to {same}; where there is none, the largest
  difference of a coefficient from the nearest one that makes the same calls.

Defects that several have, in the remarks by these words:

- *third-order term*: DPM-Solver++(3M) as published lacks a factor of 2 there, and is of order 2.
- *61 steps*: `trailing` counts with rounded fractions, and for 62 numbers of steps up to 1,000 lists one too many.
- *previous time*: DDIM steps back by ⌊T/n⌋ from each time, whatever the next one of its list is.
- *noisy end*: its last x keeps the noise of a level above the image.
- *start*: it begins at noise of another size than that of the first level that the network is told.
"""


class Row(NamedTuple):
    """What was measured of one configuration, in words."""

    word: str
    cells: tuple[str, ...]
    remarks: tuple[str, ...]


def vary(name: str, *fixed: str, **options: tuple[Any, ...]) -> list[str]:
    """The class with every combination of these options; `fixed` are in all of them."""
    words = []
    for values in product(*options.values()):
        said = [*fixed, *(f"{key}={value}" for key, value in zip(options, values, strict=True))]
        words.append(f"diffusers:{name}" + (":" if any(said) else "") + ",".join(one for one in said if one))
    return words


def list_words() -> list[str]:
    """Every configuration of the page."""
    words = vary("DDIMScheduler", **SPACINGS, eta=(0.0, 1.0))
    words += vary("DDIMScheduler", "set_alpha_to_one=false") + vary("DDIMScheduler", "clip_sample=false")
    words += vary("DDIMScheduler", "rescale_betas_zero_snr=true,prediction_type=v_prediction,timestep_spacing=trailing")
    variances = ("fixed_small", "fixed_large", "fixed_small_log", "fixed_large_log")
    words += vary("DDPMScheduler", **SPACINGS, variance_type=variances)
    words += vary("DDPMScheduler", "thresholding=true")
    words += (
        vary("DDIMParallelScheduler")
        + vary("DDPMParallelScheduler")
        + vary("DDIMInverseScheduler", "clip_sample=false")
    )
    words += vary("CogVideoXDDIMScheduler", **SPACINGS) + vary("CogVideoXDPMScheduler", **SPACINGS)
    words += vary("DDPMWuerstchenScheduler") + vary("UnCLIPScheduler") + vary("LCMScheduler")
    words += vary("TCDScheduler", eta=(0.0, 0.3, 1.0))
    words += vary("PNDMScheduler", **SPACINGS, skip_prk_steps=("true", "false"))
    for grid in SIGMAS:
        words += vary("EulerDiscreteScheduler", grid, **SPACINGS) + vary("HeunDiscreteScheduler", grid)
        words += vary("KDPM2DiscreteScheduler", grid) + vary("KDPM2AncestralDiscreteScheduler", grid)
        words += vary(MULTI, grid) + vary(UNIPC, grid) + vary("DEISMultistepScheduler", grid, solver_order=(1, 2, 3))
    words += vary("EulerDiscreteScheduler", "final_sigmas_type=sigma_min") + vary(
        "EulerDiscreteScheduler", "s_churn=3.0"
    )
    words += vary("EulerAncestralDiscreteScheduler", **SPACINGS) + vary("LMSDiscreteScheduler")
    words += vary("DPMSolverSDEScheduler", use_karras_sigmas=("false", "true"))
    words += vary(
        MULTI,
        solver_order=(1, 2, 3),
        algorithm_type=("dpmsolver++", "sde-dpmsolver++"),
        solver_type=("midpoint", "heun"),
    )
    words += vary(MULTI, "algorithm_type=dpmsolver,final_sigmas_type=sigma_min", solver_order=(1, 2, 3))
    words += vary(MULTI, "use_lu_lambdas=true") + vary(MULTI, "euler_at_final=true") + vary(MULTI, **SPACINGS)
    words += vary(MULTI, "use_flow_sigmas=true,prediction_type=flow_prediction", flow_shift=(1.0, 3.0))
    words += vary(MULTI, "solver_order=3,use_karras_sigmas=true,final_sigmas_type=sigma_min")
    words += vary(SINGLE, solver_order=(1, 2, 3), algorithm_type=("dpmsolver++", "sde-dpmsolver++"))
    words += vary(UNIPC, solver_order=(1, 2, 3), solver_type=("bh1", "bh2"), final_sigmas_type=("zero", "sigma_min"))
    words += vary(UNIPC, "predict_x0=false", solver_order=(2, 3), final_sigmas_type=("zero", "sigma_min"))
    words += vary("SASolverScheduler", predictor_order=(1, 2, 3), corrector_order=(1, 2, 3))
    words += vary("SASolverScheduler", "algorithm_type=noise_prediction")
    words += vary("IPNDMScheduler") + vary("EDMEulerScheduler", sigma_schedule=("karras", "exponential"))
    words += vary(
        "EDMDPMSolverMultistepScheduler", solver_order=(1, 2, 3), algorithm_type=("dpmsolver++", "sde-dpmsolver++")
    )
    words += vary("CosineDPMSolverMultistepScheduler", solver_order=(1, 2)) + vary("CMStochasticIterativeScheduler")
    words += vary("FlowMatchEulerDiscreteScheduler", shift=(1.0, 3.0), stochastic_sampling=("false", "true"))
    words += vary("FlowMatchHeunDiscreteScheduler", shift=(1.0, 3.0)) + vary("FlowMatchLCMScheduler")
    words += vary("FlowMapEulerDiscreteScheduler") + vary("LTXEulerAncestralRFScheduler", eta=(0.0, 1.0))
    words += vary("MiniMaxH3Scheduler") + vary("DPMSolverMultistepInverseScheduler") + vary("DDIMInverseScheduler")
    words += vary("DDPMScheduler", **SPACINGS, variance_type=("learned_range",))
    words += vary("DDPMScheduler", "variance_type=learned") + vary("UnCLIPScheduler", "variance_type=learned_range")
    words += vary("RePaintScheduler", "jump_length=4,jump_n_sample=2", eta=(0.0, 1.0))
    words += vary("KarrasVeScheduler", s_churn=(0.0, 80.0)) + vary("ScoreSdeVpScheduler")
    words += vary("ScoreSdeVeScheduler", correct_steps=(0, 1))
    words += vary("HeliosScheduler", "stages=1", scheduler_type=("euler", "unipc")) + vary("HeliosScheduler")
    words += vary("HeliosDMDScheduler", "stages=1") + vary("PiflowScheduler")
    words += vary(
        "RFD4ProteinaScheduler", "schedule_mode=log,noise_mode=tan,tsr_sigma=1.0,tail_steps=0", tsr_k=(1.0, 2.0)
    )
    functions = [
        "euler", "euler:s_churn=3.0", "euler_ancestral", "euler_ancestral:eta=0.5", "heun", "heun:s_churn=3.0", "dpm_2",
        "dpm_2_ancestral", "lms", "lms:order=2", "dpm_fast", "dpm_fast:eta=1.0", "dpmpp_2s_ancestral", "dpmpp_sde",
        "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_2m_sde:solver_type=heun", "dpmpp_3m_sde", "dpm_adaptive",
    ]  # fmt: skip
    words += [f"k-diffusion:sample_{one}/karras" for one in functions]
    words += [f"azula:{one}Sampler" for one in AZULA]
    return list(dict.fromkeys(words))


def measure(word: str) -> Row:
    """One configuration; raises DtoolError for one that is refused."""
    recipe = Recipe.parse(word)
    made = adopt(recipe, STEPS)
    plan = made.plan
    noise = f", noise in {plan.draws}" if plan.stochastic else ""
    table = f"{plan.rows} calls, history {plan.history}{', a saved x' if plan.save.any() else ''}{noise}"
    counts = [(n, count_steps(recipe, n)) for n in FEW]
    remarks = [f"{n} steps {made}" for n, made in counts if made != str(n)]
    if plan.inverse:
        return Row(word, (table, "-", "-", "-", "-"), (*remarks, "from an image to its noise"))
    mean, variance, row = measure_marginals(plan)
    if max(mean, variance) > WRONG:
        remarks.append(f"at call {row + 1} the network is told another level than that of x")
    end = find_end(plan)
    same, apart = find_same(plan, made.schedule)
    own = f"`{same}`" if apart <= SAME else f"{apart:.0e} from `{same}`" if same else "-"
    remarks += name_defects(word, same if apart <= SAME else "", end, max(mean, variance) > WRONG)
    remarks += ["start"] if measure_start(plan) > START else []
    where = "the image" if end.sigma == 0 else f"σ/α = {end.v:.2g}"
    cells = (table, f"{max(mean, variance):.0e}", format_order(word, recipe), where, own)
    return Row(word, cells, tuple(remarks))


def name_defects(word: str, same: str, end: Point, is_elsewhere: bool) -> list[str]:
    """Defects that several have, by the words that the page explains."""
    named = []
    if "3m" in same and "published" in same:
        named.append("third-order term")
    if is_elsewhere and "DDIM" in word:
        named.append("previous time")
    if end.v > CLEAN_ENOUGH:
        named.append("noisy end")
    return named


def format_order(word: str, recipe: Recipe) -> str:
    """The measured order, with that of the name or the options behind it; "-" where there is no solution to come to."""
    if any(name in word for name in DISTILLED):
        return "-"
    order, claim = measure_order(recipe, SLOPES), find_claim(word)
    if order.slope != order.slope:
        return f"- ({claim})" if claim else "-"
    finest = max(n for n, error in order.errors if error > FLOOR)
    return f"{order.slope:.1f}{f' ({claim})' if claim else ''} to {finest}"


def count_steps(recipe: Recipe, n: int) -> str:
    """How many steps it makes for n, or why it makes none."""
    try:
        made = adopt(recipe, n).plan.steps
    except DtoolError as error:
        return f"are refused ({shorten(error)})"
    return str(n) if made == n else f"become {made}"


def find_claim(word: str) -> int:
    """The order that its name or its options state; 0 if they state none."""
    stated = re.search(r"(?:solver_order|predictor_order|[:,]order)=(\d)", word)
    if stated:
        return int(stated[1])
    name = re.split("[:/,]", word.partition(":")[2])[0]
    return 2 if name in (MULTI, SINGLE, UNIPC, "DEISMultistepScheduler", "SASolverScheduler") else CLAIMS.get(name, 0)


def shorten(error: DtoolError) -> str:
    """An error without the word that it is about."""
    return re.sub(r"^\S+?(: | (?=is |gives |fails |does |at ))", "", str(error)).replace("|", "/")


def read_page() -> dict[str, str]:
    """The page's rows, each by its configuration."""
    rows = (line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `"))
    return {line.split("`")[1]: line for line in rows}


def write_page(only: str) -> None:
    """Measure the configurations that have the pattern, and write the page; the other rows are those that it has."""
    known = read_page() if only else {}
    lines: dict[str, str] = {}
    for word in list_words():
        if only and word in known and not re.search(only, word):
            lines[word] = known[word]
            continue
        try:
            row = measure(word)
            lines[word] = f"| `{row.word}` | {' | '.join(row.cells)} | {'; '.join(row.remarks)} |"
        except DtoolError as error:
            lines[word] = f"| `{word}` | {shorten(error)} |"
        sys.stderr.write(f"{len(lines)} {word}\n")
    is_refused = {word: line.count(" | ") < 2 for word, line in lines.items()}
    refused = [line for word, line in lines.items() if is_refused[word]]
    adopted = [line for word, line in lines.items() if not is_refused[word]]
    versions = ", ".join(f"{name} {version}" for name, version in PINNED.items())
    counts = {
        "adopted": len(adopted),
        "refused": len(refused),
        "versions": versions,
        "steps": STEPS,
        "same": f"{SAME:.0e}",
    }
    counts |= {"slopes": ", ".join(map(str, SLOPES)), "few": ", ".join(map(str, FEW))}
    page = [
        HEAD.format(**counts),
        "| configuration | table | marginals | order | ends | same as | remarks |",
        "|---|---|---|---|---|---|---|",
        *adopted,
        "\n## Refused\n\n| configuration | why |\n|---|---|",
        *refused,
        "",
    ]
    PAGE.write_text("\n".join(page), encoding="utf-8")


def main() -> int:
    """Write the page with the pinned versions alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="PATTERN", help="measure these alone, and keep the other rows")
    only = parser.parse_args().only
    for name, version in PINNED.items():
        found = importlib.metadata.version(name).partition("+")[0]
        if found != version:
            sys.stderr.write(f"docs/lab.md is made with {name} {version}, and {found} is installed\n")
            return 1
    warnings.simplefilter("ignore")
    write_page(only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
