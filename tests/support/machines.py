"""A machine that was measured on, made up."""

from __future__ import annotations

from dtool.measure.machine import Machine


def make_machine(load: float | None) -> Machine:
    return Machine(
        date="2000-01-01",
        processor="a processor",
        cores=2,
        system="Linux",
        python="3.11",
        gpus=(),
        versions={"numpy": "2.0"},
        load=load,
    )
