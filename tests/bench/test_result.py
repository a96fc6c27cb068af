"""A benchmark's figures, and what is said of them."""

from __future__ import annotations

from dtool.bench.result import Benchmark, Timing
from dtool.bench.ways import BARE
from tests.support.machines import make_machine


def test_unsteady_figures_are_not_final():
    def found(seconds):
        timings = (Timing(name=BARE, batch=1, seconds=seconds, ratios=(1.0,) * len(seconds)),)
        return Benchmark(
            machine=make_machine(0.0),
            model="m",
            backend="numpy",
            device="cpu",
            recipe="ddim",
            plan="",
            steps=1,
            calls=1,
            evaluations=1,
            rounds=3,
            guidance="none",
            scale=1.0,
            images_at_a_time=1,
            reference=BARE,
            timings=timings,
        )

    assert found((1.0, 1.01, 1.02)).warnings == []
    assert "quartiles of the reference's own times are 50% apart" in found((1.0, 1.0, 2.0)).warnings[0]
