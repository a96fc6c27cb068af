"""A plugin for dtool: the schedule quadratic-alpha and the sampler exp-heun."""

from dtool import hookimpl


@hookimpl
def register_schedulers(register):
    """Targets are text, so that listing the schedules imports none of them."""
    register("quadratic-alpha", "dtool_quadratic.schedule:quadratic_alpha")


@hookimpl
def register_samplers(register):
    """An alias is another name for the same thing."""
    register("exp-heun", "dtool_quadratic.exp_heun:exp_heun", aliases=("etd2rk",))
