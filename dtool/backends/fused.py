"""A sampler in one file: network, plan, loop and noise together, run as a whole by ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from dtool import bounded
from dtool.backends.batches import Job
from dtool.backends.loop import Steps
from dtool.backends.noise import key
from dtool.backends.numpy_backend import HostNetwork
from dtool.backends.onnx_file import inspect
from dtool.errors import DtoolError, UsageError
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
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: int
    saved: bool
    quantile: float | None = None
    frozen: bool = False
    seed: int = 0
    micro_batch: int | None = None
    even: bool = False


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
    data = bounded.model(path)
    found = held(inspect(data, str(path)).metadata, str(path))
    if found is None:
        raise DtoolError(f"{path} holds no plan", "give a file that dtool export made with --recipe")
    return found[0]


class FusedNetwork(HostNetwork):
    """A file that `dtool.export` made with a plan. `plan` is the file's own; others run if it has room (`form`)."""

    backend: ClassVar[str] = "onnxruntime"
    ours = True  # each was examined when it was exported

    def __init__(self, spec: NetworkSpec, plan: Plan, form: Form, execute: Execute, device: str) -> None:
        """execute(outputs, feed): one run of the file's session."""
        super().__init__(spec)
        self.plan: Plan = plan
        self.form, self.device = form, device
        self.threshold = form.quantile
        usual = rows_for(self.shape, 512) if device == "cpu" else max(16, rows_for(self.shape, 8192))
        self.micro_batch = form.micro_batch if form.micro_batch and (device == "cpu" or form.frozen) else usual
        self.execute = execute

    def predict(self, x: Any, t: Any, label: Any = None) -> NDArray[Any]:  # noqa: ARG002 - it cannot
        """A sampler cannot be called for one step: raises UsageError."""
        raise UsageError(
            "this file is a whole sampler: it makes its own start and steps", "load the network's own file"
        )

    def trial(self, images: int, size: int, time: int, doubled: bool) -> NDArray[Any]:
        """The network's outputs alone: those of a table with one row, which says x' = F(x)."""
        if self.form.frozen:
            raise UsageError("a frozen file runs its images as it was told to", "export it without freeze")
        row = np.zeros((1, len(COLUMNS) + self.form.history), np.float32)
        row[0, [COLUMNS.index(name) for name in ("c_in", "f", "ratio")]] = 1
        feed: dict[str, Any] = {
            "ids": np.arange(images, dtype=np.uint64), "table": row, "times": np.full(1, time, np.float32),
            "init": np.float32(1), "steps": np.int64(1), "trace": np.int64(0), "micro_batch": np.int64(size),
            "bounds": np.array([-FREE, FREE], np.float32),
        }  # fmt: skip
        if self.classes:
            feed["label"] = np.random.default_rng(0).integers(0, self.spec.labels, images)
        if self.spec.guidable:
            feed["guidance"] = np.float32(1.5 if doubled else 1)
        return self.execute(["images"], {name: np.asarray(value) for name, value in feed.items()})[0]

    def generated(
        self, job: Job, seed: int, ids: NDArray[np.uint64], labels: NDArray[np.int64] | None, sizes: Sequence[int]
    ) -> Iterator[tuple[Any, Steps | None]]:
        """The images of these ids, some at a time; raises UsageError if the file cannot do the job."""
        key(seed)  # refuses one that is out of range
        settings = self._baked(job, seed) if self.form.frozen else self._settings(job, seed)
        names = ["images", *(("trace_x", "trace_x0") if job.want_trace else ())]
        first = 0
        for chunk, count in _calls(sizes):
            # filled up here, so that a file that runs what it is given runs calls of this size, too
            index = np.minimum(np.arange(first, first + count), len(ids) - 1)
            feed = {"ids": ids[index], **settings}
            if not self.form.frozen:
                feed["micro_batch"] = np.asarray(chunk, np.int64)
            if labels is not None:
                feed["label"] = labels[index]
            images, *traces = self.execute(names, feed)
            for _ in range(job.plan.rows * (count // chunk) if job.called else 0):
                job.called()  # type: ignore[misc]
            yield images, _steps(job.plan, images, *traces) if traces else None
            first += count

    def _settings(self, job: Job, seed: int) -> dict[str, NDArray[Any]]:
        limit = job.limit
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
        packed = pack(job.plan, limit is not None, self.form.history)
        settings: dict[str, Any] = {
            "seed": np.uint64(seed), "table": packed.table, "times": packed.times, "init": packed.init,
            "steps": np.int64(job.plan.rows), "trace": np.int64(job.want_trace),
            "bounds": np.array([-FREE, FREE] if limit is None else [limit.low, limit.high], np.float32),
        }  # fmt: skip
        if self.spec.guidable:
            settings["guidance"] = np.float32(job.guidance)
        return {name: np.asarray(value) for name, value in settings.items()}

    def _baked(self, job: Job, seed: int) -> dict[str, NDArray[Any]]:
        """Nothing can be said to a frozen file; refuse what differs from what it holds."""
        limit = job.limit
        asked = {
            "plan": (job.plan.hash, self.plan.hash),
            "seed": (seed, self.form.seed),
            "guidance": (job.guidance, self.spec.guidance),
            "clip": (limit is not None, self.spec.clip),
            "threshold": (limit.quantile if limit else None, self.form.quantile),
            "trace": (job.want_trace, False),
        }
        for name, (wanted, held) in asked.items():
            if wanted != held and not (name == "threshold" and limit is None):
                raise UsageError(f"this file is frozen: its {name} is {held}, not {wanted}", "export it without freeze")
        return {}


def _calls(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Micro-batches of one size, and how many images in them go into one call of the file: some `TOGETHER`."""
    for size, equal in groupby(sizes):
        count = len(list(equal))
        most = max(1, TOGETHER // size)
        for first in range(0, count, most):
            yield size, size * min(most, count - first)


def _steps(plan: Plan, images: Any, x: NDArray[Any], x0: NDArray[Any]) -> Steps:
    """The rows of a trace that begin a step."""
    starts = np.flatnonzero(np.concatenate([[True], plan.step_end[:-1]]))
    return Steps([*x[starts], images], list(x0[starts]))
