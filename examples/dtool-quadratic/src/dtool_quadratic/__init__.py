"""A plugin for dtool: a schedule, a sampler, guidance, a reader of networks and a maker of conditions."""

import dtool


@dtool.hookimpl
def register_schedulers(register):
    """Targets are text, so that listing the schedules imports none of them."""
    register("quadratic-alpha", "dtool_quadratic.schedule:quadratic_alpha")


@dtool.hookimpl
def register_samplers(register):
    """An alias is another name for the same thing."""
    register("midpoint", "dtool_quadratic.midpoint:midpoint", aliases=("rk2",))


@dtool.hookimpl
def register_guidances(register):
    """Named after a tilde, `midpoint~tent:scale=3`, or as `--guidance tent:scale=3`."""
    register("tent", "dtool_quadratic.tent:tent")


@dtool.hookimpl
def register_readers(register):
    """A reader is asked about files that dtool's own readers do not know."""
    register("linear-network", "dtool_quadratic.linear_network:linear_network")


@dtool.hookimpl
def register_conditioners(register):
    """Named in front of the words: `--condition words=word-lengths:"a cat sat"`."""
    register("word-lengths", "dtool_quadratic.word_lengths:word_lengths")
