"""A fitted plan without a fit: a small table with the record that it would have."""

from dataclasses import replace

import numpy as np

from dtool.fit.table import FitTable
from dtool.fit.to_plan import make_fitted_plan
from dtool.models.fingerprint import digest_network, measure_outputs
from dtool.plan.fit_record import FitRecord, HeldOut, Rival

HELD_OUT = HeldOut(
    images=128, rmse=0.05, low=0.045, high=0.056, median=0.04, deviation=1.01, floor=0.047, metric="fd", law=0.2,
    teacher_law=0.19, rivals=(
        Rival(recipe="unipc", calls=3, rmse=0.1, ratio=0.5, low=0.45, high=0.56, law=0.3),
        Rival(recipe="unipc/trailing:start=743", calls=3, rmse=0.08, ratio=0.63, low=0.5, high=0.7, late=743.0),
    ),
)  # fmt: skip


def make_plan(network, guidance=None, **changes):
    """A plan of three calls for a network, with this guidance; changes: of its record."""
    table = FitTable(lam=np.array([-2.0, 0.0, 1.0]), a=np.full(3, 0.5), b=np.tril(np.full((3, 2), 0.1)))
    schedule = network.schedule
    record = FitRecord(
        network=digest_network(network), outputs=measure_outputs(network),
        guidance=guidance.token if guidance else "", scale=guidance.scale if guidance else 1.0, clip="",
        autoguided=False, alpha=float(schedule.alpha[-1]), sigma=float(schedule.sigma[-1]), kind="path", seed=0,
        noises=(96, 64, 128), teacher_error=2e-3, training=0.048, validation=0.05, evaluations=70_000, stage="all",
        held_out=HELD_OUT,
    )  # fmt: skip
    return make_fitted_plan(network, table, basis="eps", guidance=guidance, record=replace(record, **changes))


def write_plan(path, plan):
    """The plan as a file; returns its name."""
    path.write_text(plan.to_json(), encoding="utf-8")
    return str(path)
