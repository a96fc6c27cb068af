"""Faults to be put into dtool one at a time: what a careless change could do, and some test should notice."""

from tests.mutants.fault import Fault
from tests.mutants.faults import (
    backends,
    cli,
    compare,
    conditions,
    data,
    export,
    likelihood,
    metrics,
    networks,
    plan,
    plugins,
    report,
    rest,
    samplers,
    schedulers,
    testing,
    training,
)

FAULTS: tuple[Fault, ...] = (
    *samplers.FAULTS,
    *schedulers.FAULTS,
    *plan.FAULTS,
    *backends.FAULTS,
    *networks.FAULTS,
    *conditions.FAULTS,
    *export.FAULTS,
    *data.FAULTS,
    *metrics.FAULTS,
    *likelihood.FAULTS,
    *compare.FAULTS,
    *training.FAULTS,
    *plugins.FAULTS,
    *cli.FAULTS,
    *testing.FAULTS,
    *report.FAULTS,
    *rest.FAULTS,
)
