"""dtool's own schedules, spacings and samplers, registered as any plugin registers its own."""

from __future__ import annotations

from dtool.plugins.hookspecs import hookimpl
from dtool.plugins.names import RECIPES
from dtool.plugins.registrar import Registrar


@hookimpl
def register_schedulers(register: Registrar) -> None:
    """The built-in noise schedules."""
    register("linear", "dtool.schedulers.linear:linear")
    register("scaled-linear", "dtool.schedulers.scaled_linear:scaled_linear", aliases=("scaled_linear", "quadratic"))
    register("cosine", "dtool.schedulers.cosine:cosine", aliases=("squaredcos_cap_v2",))
    register("sigmoid", "dtool.schedulers.sigmoid:sigmoid")
    register("sigmoid-beta", "dtool.schedulers.sigmoid_beta:sigmoid_beta")
    register("vp", "dtool.schedulers.vp:vp")
    register("betas", "dtool.schedulers.betas:betas")


@hookimpl
def register_spacings(register: Registrar) -> None:
    """The built-in spacings."""
    for name in ("linspace", "leading", "trailing", "quadratic", "logsnr", "karras"):
        register(name, f"dtool.schedulers.spacings:{name}", aliases=("quad",) if name == "quadratic" else ())
    register("list", "dtool.schedulers.spacings:explicit")


@hookimpl
def register_samplers(register: Registrar) -> None:
    """The built-in reverse-step rules, and recipes under the names that people know."""
    for name, token in RECIPES.items():
        register.recipe(name, token)
    register("ddpm", "dtool.samplers.ddpm:ddpm")
    register("ddim", "dtool.samplers.ddim:ddim")
    register("euler", "dtool.samplers.euler:euler", aliases=("flow-euler", "flowmatcheulerdiscrete"))
    register("heun", "dtool.samplers.heun:heun")
    register("dpmpp-2m", "dtool.samplers.dpmpp_2m:dpmpp_2m", aliases=("dpmpp_2m", "dpm++2m"))
    register("lcm", "dtool.samplers.lcm:lcm", aliases=("lcmscheduler",))
    register("tcd", "dtool.samplers.tcd:tcd", aliases=("tcdscheduler",))
    register("consistency", "dtool.samplers.consistency:consistency", aliases=("cm", "cmstochasticiterative"))
    register("flow-heun", "dtool.samplers.flow_heun:flow_heun", aliases=("flowmatchheundiscrete",))
    register("flow-ancestral", "dtool.samplers.flow_ancestral:flow_ancestral", aliases=("euler_ancestral_rf",))
    register("er-sde", "dtool.samplers.er_sde:er_sde", aliases=("er_sde",))
