"""A plan as the inputs of a sampler's file, for programs in any language."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dtool import bounded
from dtool.backends.fused import Form, held
from dtool.backends.fused_inputs import PLAN, inputs_of, require_described
from dtool.backends.onnx_file import inspect
from dtool.backends.onnx_spec import own_spec
from dtool.errors import DtoolError, UsageError
from dtool.networks.spec import NetworkSpec, schedule_of
from dtool.plan.packed import pack
from dtool.plan.plan import Plan
from dtool.plan.prediction import for_network
from dtool.samplers.rule import Prediction
from dtool.schedulers.schedule import Schedule


@dataclass(frozen=True)
class SamplerFile:
    """A sampler's file as far as a plan must know it, and its own `plan`; nothing is run."""

    spec: NetworkSpec
    plan: Plan
    form: Form
    takes: frozenset[str]
    source: str

    @property
    def schedule(self) -> Schedule:
        """The schedule that the network was trained under."""
        return schedule_of(self.spec)

    @property
    def prediction(self) -> Prediction:
        """What the network's output means."""
        return self.spec.prediction

    def inputs(self, plan: Plan) -> dict[str, Any]:
        """What the file is given to run `plan`: by name `{type, dims, data}`, the data in one list, row after row.

        Raises UsageError if the file takes no plan, or has no room for this one.
        """
        if not {*PLAN} <= self.takes:
            raise UsageError(f"{self.source} takes no plan: it runs its own alone", "export it with --inputs seed,plan")
        if plan.save.any() and not self.form.saved:
            room = max(1, plan.history - 1)
            raise UsageError(f"{plan.recipe} keeps an x, and {self.source} has no room for it", f"use --history {room}")
        packed = pack(for_network(plan, self.schedule, self.prediction), self.spec.clip, self.form.history)
        steps = {"steps": np.int64(plan.rows)} if "steps" in self.takes else {}
        values = {"table": packed.table, "times": packed.times, "init": packed.init, **steps}
        return {name: _plain(np.asarray(value)) for name, value in values.items()}


def _plain(array: Any) -> dict[str, Any]:
    """An array for JSON; float32 in as few digits as give it back."""
    data = [int(v) if array.dtype.kind == "i" else float(str(v)) for v in array.ravel()]
    return {"type": array.dtype.name, "dims": list(array.shape), "data": data}


def sampler_file(path: Path) -> SamplerFile:
    """Look into a file; raises DtoolError if it holds no sampler."""
    data = bounded.model(path)
    found = inspect(data, str(path))
    require_described(found, str(path))
    sampler, spec = held(found.metadata, str(path)), own_spec(found, None, str(path))
    if sampler is None or spec is None:
        raise DtoolError(f"{path} holds no plan", "give a file that dtool export made with --recipe")
    return SamplerFile(spec, *sampler, inputs_of(found, spec.classes, str(path)).takes, str(path))
