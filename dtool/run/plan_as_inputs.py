"""A plan as the inputs of a sampler's file, for programs in any language."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dtool.errors import DtoolError, UsageError
from dtool.models.description import UNDESCRIBED
from dtool.models.spec import NetworkSpec, resolve_schedule
from dtool.onnx.inspection import inspect
from dtool.onnx.large_weights import read_skeleton
from dtool.onnx.sampler_inputs import PLAN, find_inputs, require_described
from dtool.onnx.spec import read_own_spec
from dtool.plan.compiled_plan import Column, Plan
from dtool.plan.late_plans import pack_at_every_strength
from dtool.plan.packed import PackedPlan, pack
from dtool.plan.prediction import adapt_to_network
from dtool.run.sampler_form import SamplerForm, read_plan_and_form
from dtool.samplers.rule import Prediction
from dtool.schedulers.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class SamplerFile:
    """A sampler's file as far as a plan must know it, and its own `plan`; nothing is run."""

    spec: NetworkSpec
    plan: Plan
    form: SamplerForm
    takes: frozenset[str]
    source: str

    @property
    def schedule(self) -> Schedule:
        """The schedule that the network was trained under."""
        return resolve_schedule(self.spec)

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
        plan = adapt_to_network(plan, self.schedule, self.prediction)
        packed = self._pack(plan)
        steps = {"steps": np.int64(len(packed.table))} if "steps" in self.takes else {}
        values = {"table": packed.table, "times": packed.times, "init": packed.init, **steps}
        return {name: _encode_array(np.asarray(value)) for name, value in values.items()}

    def _pack(self, plan: Plan) -> PackedPlan:
        """The plan as it is run; in a file whose run may begin at an image, at every strength."""

        def tell(times: Column) -> Column:
            return self.spec.tell(self.schedule, times)

        if self.form.edits:
            return pack_at_every_strength(self, plan, self.spec.clip, self.form.room, tell)
        return pack(plan, self.spec.clip, self.form.room, times=tell(plan.time))


def _encode_array(array: Any) -> dict[str, Any]:
    """An array for JSON; float32 in as few digits as give it back."""
    data = [int(v) if array.dtype.kind == "i" else float(str(v)) for v in array.ravel()]
    return {"type": array.dtype.name, "dims": list(array.shape), "data": data}


def read_sampler_file(path: Path) -> SamplerFile:
    """Look into a file; raises DtoolError if it holds no sampler."""
    graph = inspect(read_skeleton(path).data, str(path))
    require_described(graph, str(path))
    sampler, spec = read_plan_and_form(graph.metadata, str(path)), read_own_spec(graph, UNDESCRIBED, str(path))
    if sampler is None or spec is None:
        raise DtoolError(f"{path} holds no plan", "give a file that dtool export made with --recipe")
    plan, form = sampler
    takes = find_inputs(graph, spec.classes, str(path), spec.conditions, form.edits).takes
    return SamplerFile(spec=spec, plan=plan, form=form, takes=takes, source=str(path))
