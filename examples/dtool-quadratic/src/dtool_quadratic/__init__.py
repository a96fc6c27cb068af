"""A plugin for dtool: the schedule quadratic-alpha and the sampler midpoint."""

from dtool import hookimpl


@hookimpl
def register_schedulers(register):
    """Targets are text, so that listing the schedules imports none of them."""
    register("quadratic-alpha", "dtool_quadratic.schedule:quadratic_alpha")


@hookimpl
def register_samplers(register):
    """An alias is another name for the same thing."""
    register("midpoint", "dtool_quadratic.midpoint:midpoint", aliases=("rk2",))
