"""Names that people know and that are no recipes: why, and what comes nearest."""

from __future__ import annotations

import re

_ADAPTIVE = "chooses its steps by the error that it finds, so that it is no table"
_FIXED = "dpm-solver-3s takes such steps with lengths that are fixed, dpm-fast as many as n calls allow"
_NORM = "its step is of the size of a norm, so that it is no sum with fixed weights"
_PROJECTION = "projects one prediction on another, so that it is no sum with fixed weights"
_SCALE = "guidance over an interval, ~3@-1.3:0.3, and a rescaled one, are tables: see dtool guidances"
_ATTENTION = "changes what is inside the network, which is opaque here"
_CONSTANT = "does not keep a constant image, so that its network is told levels that x does not have"
_DISCRETE = "is no sampler of Gaussian diffusion"

# Classes of diffusers that are no samplers of Gaussian diffusion.
NOT_GAUSSIAN = (
    "AmusedScheduler", "BlockRefinementScheduler", "EntropyBoundScheduler", "DiscreteDDIMScheduler",
    "VQDiffusionScheduler", "BlockTokenScheduler",
)  # fmt: skip
# Those that are no recipe of dtool's, and what comes nearest; `diffusers:CLASS` adopts all but the unadopted ones.
OWN_LOOPS = {
    "RePaintScheduler": "it is told an image and a mask",
    "ScoreSdeVeScheduler": "its corrector's step is of the size of a norm",
    "ScoreSdeVpScheduler": "it is Euler and Maruyama's method in the time of its SDE",
    "KarrasVeScheduler": "its levels are the squares of what its range says",
    "ConsistencyDecoderScheduler": "it is a decoder's, of two steps",
    "HeliosScheduler": "its pipeline changes the size of x between its stages",
    "HeliosDMDScheduler": "its pipeline changes the size of x between its stages",
    "PiflowScheduler": "each network call answers with several predictions (n_grid), and a row of a plan has one",
    "RFD4ProteinaScheduler": "it rescales the score, so that its samples are of another law",
}
UNADOPTED = ("PiflowScheduler",)
_INSTEAD = {
    "RePaintScheduler": "dtool sample --sampler ddpm --spacing repaint --image FILE --mask FILE",
    "ScoreSdeVeScheduler": "ddpm@ve goes the way of its predictor",
    "ScoreSdeVpScheduler": "ddpm@vp goes the same way, by the exact posterior",
    "KarrasVeScheduler": "edm-heun@ve has its noise and its corrector",
    "ConsistencyDecoderScheduler": "consistency takes such steps",
    "HeliosScheduler": "unipc@flow steps within a stage",
    "HeliosDMDScheduler": "lcm:scaling=0@flow steps within a stage",
    "PiflowScheduler": "euler@flow for a network of one prediction",
    "RFD4ProteinaScheduler": "flow-ancestral@flow for samples of the network's own law",
}
_ADOPTED = {
    "ScoreSdeVeScheduler": "ScoreSdeVeScheduler:correct_steps=0", "HeliosScheduler": "HeliosScheduler:stages=1",
    "HeliosDMDScheduler": "HeliosDMDScheduler:stages=1",
}  # fmt: skip

# kind: sampler, spacing or guidance. (name, …): (why, what to write instead).
_REFUSED: dict[str, dict[tuple[str, ...], tuple[str, str]]] = {
    "sampler": {
        ("dpm_adaptive", "sample_dpm_adaptive", "DPM adaptive"): (_ADAPTIVE, _FIXED),
        ("lawson", "lawson4", "lawson2", "ETDRK4 Lawson"): (_CONSTANT, "etdrk4 and krogstad do"),
        ("reab", "REABSampler"): (_CONSTANT, "dpm-solver and deis do; azula:REABSampler adopts it as it is"),
        ("lobatto-iiic", "lobatto_iiic_3s"): (
            "asks the network again at the start of each step, which pays where its equations are solved",
            "lobatto-iiia has the same nodes, and two calls in each round",
        ),
        ("cfgpp_ud10_ab", "sample_cfgpp_ud10_ab", "CFG++ UD10 AB"): (
            "is Euler's method of CFG++ with three weights of its history, tuned on one model: no recipe has them",
            "euler~cfgpp is the same without the history",
        ),
        ("langevin", "sample_langevin", "ALD"): (_NORM, "ddpm@ve, or edm-heun with churn, add noise of fixed size"),
    },
    "spacing": {
        ("Automatic",): ("is no spacing: it is the one that a sampler is listed with", "karras, or leave it out"),
    },
    "guidance": {
        ("apg",): (_PROJECTION, _SCALE),
        ("cfg-zero", "cfg-zero-star", "cfg-zero*", "cfgzero*"): (_PROJECTION, _SCALE),
        ("tcfg", "fdg", "mag"): (_PROJECTION, _SCALE),
        ("pag", "sag", "seg", "slg"): (_ATTENTION, "a second, weaker network guides as well: --weak FILE"),
    },
}  # fmt: skip


def explain_refused_name(kind: str, name: str) -> tuple[str, str] | None:
    """(why, what to do) of a known name of that kind that is refused; None of any other."""
    wanted = _squeeze(name)
    if kind == "sampler":
        for known in (one for one in (*NOT_GAUSSIAN, *OWN_LOOPS) if _squeeze(one) == wanted):
            if known in NOT_GAUSSIAN:
                return f"{known} {_DISCRETE}", "dtool samplers lists those that are"
            if known in UNADOPTED:
                return f"{known} is no table: {OWN_LOOPS[known]}", _INSTEAD[known]
            own = _ADOPTED.get(known, known)
            return f"{known} is no recipe: {OWN_LOOPS[known]}", f"{_INSTEAD[known]}; diffusers:{own} adopts it"
    for names, (why, instead) in (_REFUSED.get(kind, {}) | _REFUSED["guidance"]).items():
        if wanted in map(_squeeze, names):
            return f"{name} {why}", instead
    return None


def _squeeze(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).lower()
