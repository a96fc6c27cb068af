"""A sampler in one file: network, plan, loop and noise together, run as a whole by ONNX Runtime."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from dtool import bounded
from dtool.backends.batches import Job
from dtool.backends.fused_inputs import PLAN, WORDS, Inputs, require_described
from dtool.backends.limit import Limit
from dtool.backends.loop import Steps
from dtool.backends.noise import key
from dtool.backends.numpy_backend import HostNetwork
from dtool.backends.onnx_file import inspect
from dtool.errors import DtoolError, UsageError
from dtool.networks.batch_invariance import BatchWarning
from dtool.networks.network import rows_for
from dtool.networks.spec import NetworkSpec
from dtool.plan.packed import COLUMNS, pack
from dtool.plan.plan import Plan

FREE = 1e38  # bounds that keep nothing back; their distance is still a float32
TOGETHER = 32  # images of one call, between two signs of progress
Execute = Callable[[Sequence[str], dict[str, NDArray[Any]]], list[NDArray[Any]]]


class Form(BaseModel):
    """What an exported sampler has room for, and so which plans it can run.

    `history` older predictions; `saved`: an x that is kept; `quantile`: dynamic thresholding in the place of clipping;
    `frozen`: the plan that it was made with, and `seed`, alone. `micro_batch`: how many images it runs at a time.
    `even`: no image's bits depend on how many those are, so they are shared out evenly, and none is padded.
    `inputs`: of "seed", "guidance" and "plan" those that must be given at each run, everything else being constant;
    None: everything may be given, and has a default. `mixes`: the network mixes images, so that each is run alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: int
    saved: bool
    quantile: float | None = None
    frozen: bool = False
    seed: int = 0
    micro_batch: int | None = None
    even: bool = False
    inputs: tuple[str, ...] | None = None
    mixes: bool = False

    @property
    def open(self) -> bool:
        """Whether everything may be given, and traces are to be had."""
        return not self.frozen and self.inputs is None

    @property
    def required(self) -> frozenset[str]:
        """The graph's inputs that have no default, beside ids and label."""
        return frozenset(name for word in self.inputs or () for name in WORDS[word])


def held(metadata: dict[str, str], source: str) -> tuple[Plan, Form] | None:
    """The plan and the form that a file's metadata tell of; None if it is no sampler. Raises DtoolError if garbled."""
    try:
        document = json.loads(metadata.get("dtool", "{}"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("kind") != "sampler":
        return None
    try:
        return Plan.from_json(json.dumps(document["plan"])), Form.model_validate(document["form"])
    except (KeyError, ValueError) as error:
        raise DtoolError(f"{source}: its dtool metadata cannot be read", "export it again") from error


def plan_in(path: Path) -> Plan:
    """The plan that a sampler's file holds, read without running anything; raises DtoolError if there is none."""
    file = inspect(bounded.model(path), str(path))
    require_described(file, str(path))
    found = held(file.metadata, str(path))
    if found is None:
        raise DtoolError(f"{path} holds no plan", "give a file that dtool export made with --recipe")
    return found[0]


class FusedNetwork(HostNetwork):
    """A file that `dtool.export` made with a plan. `plan` is the file's own; others run if it has room (`form`)."""

    backend: ClassVar[str] = "onnxruntime"
    ours = takes_null_label = True  # each was examined when it was exported

    def __init__(
        self, spec: NetworkSpec, plan: Plan, form: Form, inputs: Inputs, execute: Execute, device: str
    ) -> None:
        """inputs: those that the file really has; execute(outputs, feed): one run of the file's session."""
        super().__init__(spec)
        self.plan: Plan = plan
        self.form, self.inputs, self.device = form, inputs, device
        self.threshold = form.quantile
        usual = rows_for(self.shape, 512) if device == "cpu" else max(16, rows_for(self.shape, 8192))
        told = "micro_batch" in inputs.takes
        self.micro_batch = form.micro_batch if form.micro_batch and (device == "cpu" or not told) else usual
        self.micro_batch = inputs.batch or (1 if form.mixes else self.micro_batch)
        self.mixes = form.mixes
        self.one_size = not told
        self.execute = execute

    @property
    def own_plan_alone(self) -> bool:
        """Whether no other plan can be put in the place of its own."""
        steps = ("steps",) if self.form.inputs is None else ()
        return not {*PLAN, *steps} <= self.inputs.takes

    def predict(self, x: Any, t: Any, label: Any = None) -> NDArray[Any]:  # noqa: ARG002 - it cannot
        """A sampler cannot be called for one step: raises UsageError."""
        raise UsageError(
            "this file is a whole sampler: it makes its own start and steps", "load the network's own file"
        )

    def trial(self, images: int, size: int, time: int, doubled: bool) -> NDArray[Any]:
        """The network's outputs alone: those of a table with one row, which says x' = F(x)."""
        if not {"micro_batch", "table", "bounds"} <= self.inputs.takes or self.own_plan_alone:
            raise UsageError("this file runs its images as it was told to", "export it without freeze and inputs")
        row = np.zeros((1, len(COLUMNS) + self.form.history), np.float32)
        row[0, [COLUMNS.index(name) for name in ("c_in", "f", "ratio")]] = 1
        feed: dict[str, Any] = {
            "seed": np.uint64(0), "table": row, "times": np.full(1, time, np.float32),
            "init": np.float32(1), "steps": np.int64(1), "trace": np.int64(0), "micro_batch": np.int64(size),
            "bounds": np.array([-FREE, FREE], np.float32), "guidance": np.float32(1.5 if doubled else 1),
        }  # fmt: skip
        feed = {name: value for name, value in feed.items() if name in self.inputs.takes}
        feed["ids"] = np.arange(images, dtype=np.uint64)
        if self.classes:
            feed["label"] = np.random.default_rng(0).integers(0, self.spec.labels, images)
        return self.execute(["images"], {name: np.asarray(value) for name, value in feed.items()})[0]

    def generated(
        self, job: Job, seed: int, ids: NDArray[np.uint64], labels: NDArray[np.int64] | None, sizes: Sequence[int]
    ) -> Iterator[tuple[Any, Steps | None]]:
        """The images of these ids, some at a time; raises UsageError if the file cannot do the job."""
        key(seed)  # refuses one that is out of range
        settings = self._settings(job, seed)
        names = ["images", *(("trace_x", "trace_x0") if job.want_trace else ())]
        if self.inputs.batch is not None:
            sizes = [self.inputs.batch] * -(-len(ids) // self.inputs.batch)
        if self.mixes and max(sizes) > 1:
            warnings.warn("the network in this file mixes the images of a batch_size", BatchWarning, stacklevel=5)
        first = 0
        for chunk, count in _calls(sizes, 1 if self.inputs.batch else TOGETHER):
            # filled up here, so that a file that runs what it is given runs calls of this size, too
            index = np.minimum(np.arange(first, first + count), len(ids) - 1)
            feed = {"ids": ids[index], **settings}
            if "micro_batch" in self.inputs.takes:
                feed["micro_batch"] = np.asarray(chunk, np.int64)
            if labels is not None:
                feed["label"] = labels[index]
            images, *traces = self.execute(names, feed)
            for _ in range(job.plan.rows * (count // chunk) if job.called else 0):
                job.called()  # type: ignore[misc]
            yield images, _steps(job.plan, images, *traces) if traces else None
            first += count

    def own_settings(self) -> dict[str, NDArray[Any]]:
        """What the inputs without a default must be given for the file's own plan and seed, beside ids and label."""
        own = self._values(self.plan, self._own_limit(), self.form.seed, self.spec.guidance)
        own["micro_batch"] = np.asarray(self.micro_batch, np.int64)
        return {name: value for name, value in own.items() if name in self.inputs.required}

    def _settings(self, job: Job, seed: int) -> dict[str, NDArray[Any]]:
        """What the file's inputs are given for this job; raises UsageError for what it has no room or no input for."""
        limit = job.limit
        if self.mixes and self.classes and job.guidance not in (0, 1):
            raise UsageError(
                "this file runs an image with and without its class together, and its network mixes them",
                "leave out guidance (guidance=1), or run the network's own file",
            )
        if self.own_plan_alone and job.plan.hash != self.plan.hash:
            raise self._built_in("plan", *(f"{p.recipe}, {p.steps} steps ({p.hash})" for p in (self.plan, job.plan)))
        if job.want_trace and not self.inputs.traces:
            raise self._built_in("trace")
        if job.plan.save.any() and not self.form.saved:
            raise UsageError(
                f"{job.plan.recipe} keeps an x from an earlier call, and this file has no room for it",
                f"export it again with history={max(1, job.plan.history - 1)}",
            )
        if limit is not None and limit.quantile != self.form.quantile:
            raise UsageError(
                f"this file has dynamic thresholding at {self.form.quantile}, not {limit.quantile}"
                if self.form.quantile
                else "this file clips, and has no dynamic thresholding",
                f"export it again with threshold={limit.quantile} (--threshold {limit.quantile})",
            )
        if not {"bounds", "table"} <= self.inputs.takes and (limit is not None) != self.spec.clip:
            raise self._built_in("clip", self.spec.clip, limit is not None)
        asked = {"seed": (self.form.seed, seed), "guidance": (self.spec.guidance, job.guidance)}
        for name, (own, wanted) in asked.items():
            if name not in self.inputs.takes and own != wanted and (self.classes or name != "guidance"):
                raise self._built_in(name, own, wanted)
        values = self._values(job.plan, limit, seed, job.guidance, job.want_trace)
        return {name: value for name, value in values.items() if name in self.inputs.takes}

    def _own_limit(self) -> Limit | None:
        return Limit(*self.spec.data_range, self.form.quantile) if self.spec.clip else None

    def _values(
        self, plan: Plan, limit: Limit | None, seed: int, guidance: float, trace: bool = False
    ) -> dict[str, NDArray[Any]]:
        """Every setting that a file may have as an input, but for the micro-batch."""
        packed = pack(plan, limit is not None, self.form.history)
        values: dict[str, Any] = {
            "seed": np.uint64(seed), "table": packed.table, "times": packed.times, "init": packed.init,
            "steps": np.int64(plan.rows), "trace": np.int64(trace), "guidance": np.float32(guidance),
            "bounds": np.array([-FREE, FREE] if limit is None else [limit.low, limit.high], np.float32),
        }  # fmt: skip
        return {name: np.asarray(value) for name, value in values.items()}

    def _built_in(self, name: str, own: Any = None, wanted: Any = None) -> UsageError:
        """The error for what was asked of the file and is built into it, or left out of it."""
        cause = "it gives no trace" if name == "trace" else f"its {name} is {own}, not {wanted}"
        if self.form.frozen:
            return UsageError(f"this file is frozen: {cause}", "export it without freeze")
        if self.form.inputs is not None and name not in self.form.inputs:
            other = "export it without --inputs: everything may be given then"
            hint = f"export it with {name} among its --inputs" if name in WORDS else other
            return UsageError(f"that is no input of this file: {cause}", hint)
        whole = "is frozen" if not self.inputs.takes else f"takes no {name} any more"
        hint = "use the file as dtool export wrote it: another tool (onnxsim, onnxslim, …) has changed its inputs"
        return UsageError(f"this file {whole}: {cause}", hint)


def _calls(sizes: Sequence[int], together: int) -> Iterator[tuple[int, int]]:
    """Micro-batches of one size, and how many images in them go into one call of the file: some `together`."""
    for size, equal in groupby(sizes):
        count = len(list(equal))
        most = max(1, together // size)
        for first in range(0, count, most):
            yield size, size * min(most, count - first)


def _steps(plan: Plan, images: Any, x: NDArray[Any], x0: NDArray[Any]) -> Steps:
    """The rows of a trace that begin a step."""
    starts = np.flatnonzero(np.concatenate([[True], plan.step_end[:-1]]))
    return Steps([*x[starts], images], list(x0[starts]))
