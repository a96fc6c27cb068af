"""A sampler in one file: network, plan, loop and noise together, run as a whole by ONNX Runtime."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.models.batch_invariance import BatchWarning
from dtool.models.conditions import ConditionPair
from dtool.models.micro_batch import choose_default_micro_batch, pad_calls, split_evenly
from dtool.models.spec import NetworkSpec
from dtool.onnx.sampler_inputs import PLAN, WORDS, SamplerInputs
from dtool.plan.compiled_plan import Plan
from dtool.plan.packed import ALWAYS, COLUMNS, pack
from dtool.run.clipping import Clipping, Threshold
from dtool.run.loop import StepRecord
from dtool.run.micro_batches import SamplingJob
from dtool.run.noise import derive_key
from dtool.run.numpy_backend import HostNetwork
from dtool.run.sampler_calls import Calls, Execution, Feed, SideBySide, group_calls, select_steps, share_images
from dtool.run.sampler_conditions import feed_conditions, make_trial_inputs
from dtool.run.sampler_edits import feed_edit, make_no_edit, require_edits, require_own_edit
from dtool.run.sampler_form import UNBOUNDED, SamplerForm, suggest_export


class FusedNetwork(HostNetwork):
    """A file that `dtool.export` made with a plan. `plan` is the file's own; others run if it has room (`form`).

    `threshold`: its dynamic thresholding, None if it clips or was made without either.
    """

    backend: ClassVar[str] = "onnxruntime"
    is_builtin = takes_null_label = True  # each was examined when it was exported

    def __init__(
        self, spec: NetworkSpec, plan: Plan, form: SamplerForm, inputs: SamplerInputs, execution: Execution
    ) -> None:
        """inputs: those that the file really has."""
        super().__init__(spec)
        self.plan: Plan = plan
        self.form, self.inputs, self.device = form, inputs, execution.device
        self.threshold: Threshold | None = None if form.quantile is None else Threshold(form.quantile, form.most)
        usual = choose_default_micro_batch(self.shape, self.device)
        is_adjustable = "micro_batch" in inputs.takes
        self.micro_batch = (
            form.micro_batch if form.micro_batch and (self.device == "cpu" or not is_adjustable) else usual
        )
        self.micro_batch = inputs.batch or (1 if form.mixes else self.micro_batch)
        self.mixes = form.mixes
        self.one_size = not is_adjustable
        self.execute, self.workers = execution.run, execution.workers
        self.side_by_side = SideBySide(execution, self._feed_micro_batch, self._samples)
        self.decodes = form.picture_shape is not None
        self.output = "images"  # of the file, which is what `sample` gives: decoded, where it has a decoder

    @property
    def picture_shape(self) -> tuple[int, ...]:
        """One picture's shape: what the file's decoder makes of a sample, or the sample's own."""
        return self.form.picture_shape or self.shape

    @property
    def picture_range(self) -> tuple[float, float]:
        """The range of the pictures' numbers."""
        return (-1.0, 1.0) if self.form.picture_shape else self.spec.data_range

    @property
    def is_autoguided(self) -> bool:
        """Whether there is another network in the file, which guidance compares with."""
        return self.form.weak

    @property
    def edited_shape(self) -> tuple[int, ...]:
        """What a run may begin at: a sample, which with a decoder in the file is a latent."""
        return self.shape

    @property
    def edited_range(self) -> tuple[float, float] | None:
        """The range of its numbers; None of a latent."""
        return None if self.decodes else super().edited_range

    def require_edits(self, names: Sequence[str]) -> None:
        """Raise UsageError for what is given of an edit and is no input of the file."""
        require_edits(self.form, self.inputs, list(names))

    @property
    def has_fixed_plan(self) -> bool:
        """Whether no other plan can be put in the place of its own."""
        steps = ("steps",) if self.form.inputs is None else ()
        return not {*PLAN, *steps} <= self.inputs.takes

    def predict(self, x: Any, t: Any, conditions: Any = None) -> NDArray[Any]:  # noqa: ARG002 - it cannot
        """A sampler cannot be called for one step: raises UsageError."""
        raise UsageError("this file is a whole sampler: it makes start and steps itself", "load the network's own file")

    def run_trial(self, images: int, size: int, time: int, doubled: bool) -> NDArray[Any]:
        """The network's outputs alone: those of a table with one row, which says x' = F(x)."""
        return self.execute([self._samples], self._feed_trial(images, size, time, doubled))[0]

    def _feed_micro_batch(self, size: int, doubled: bool) -> Feed:
        return self._feed_trial(size, size, self.schedule.T // 2, doubled)

    def _feed_trial(self, images: int, size: int, time: int, doubled: bool) -> Feed:
        if not {"micro_batch", "table", "bounds"} <= self.inputs.takes or self.has_fixed_plan:
            raise UsageError("this file runs its images as it was told to", "export it without freeze and inputs")
        row = np.zeros((1, len(self.form.room.columns)), np.float32)
        row[0, [COLUMNS.index(name) for name in ("c_in", "f", "ratio", "guided")]] = 1
        if self.form.edits:
            row[0, -len(ALWAYS) :] = ALWAYS
        feed: dict[str, Any] = {
            "seed": np.uint64(0), "table": row, "times": self.tell(np.full(1, time)).astype(np.float32),
            "init": np.float32(1), "steps": np.int64(1), "trace": np.int64(0), "micro_batch": np.int64(size),
            "bounds": np.array([-UNBOUNDED, UNBOUNDED], np.float32), "guidance": np.float32(1.5 if doubled else 1),
        }  # fmt: skip
        feed |= make_no_edit(self.spec, self.form)
        feed = {name: value for name, value in feed.items() if name in self.inputs.takes}
        feed["ids"] = np.arange(images, dtype=np.uint64)
        if self.classes:
            feed["label"] = np.random.default_rng(0).integers(0, self.spec.labels, images)
        feed |= make_trial_inputs(self.spec, self.inputs, images)
        return {name: np.asarray(value) for name, value in feed.items()}

    def run_generated(
        self,
        job: SamplingJob,
        seed: int,
        ids: NDArray[np.uint64],
        conditions: ConditionPair | None,
        sizes: Sequence[int],
    ) -> Iterator[tuple[Any, StepRecord | None]]:
        """The images of these ids, some at a time; raises UsageError if the file cannot do the job."""
        derive_key(seed)  # refuses one that is out of range
        settings = self._settings(job, seed)
        names = [self.output, *((self._samples, "trace_x", "trace_x0") if job.want_trace else ())]
        if self.inputs.batch is not None:
            sizes = split_evenly(len(ids), self.inputs.batch)
        if self.mixes and max(sizes) > 1:
            warnings.warn("the network in this file mixes the images of a batch_size", BatchWarning, stacklevel=5)
        doubled = job.guidance not in (0, 1)
        calls = (
            self.side_by_side.arrange(
                sizes, self.workers, doubled, evaluations=job.plan.rows * sum(sizes) * (1 + doubled)
            )
            if self.inputs.batch is None
            else Calls(1, group_calls(sizes, 1))
        )
        # filled up here, so that a file that runs what it is given runs calls of this size, too
        padded = pad_calls(len(ids), [count for _, count in calls.groups])
        for (chunk, count), (index, _) in zip(calls.groups, padded, strict=True):
            feeds = [
                settings | self._feed_images(job, ids, part, chunk, conditions)
                for part in share_images(index, chunk, calls.workers)
            ]
            images, *traces = self.side_by_side.run(names, feeds, calls.workers)
            for _ in range(job.plan.rows * (count // chunk) if job.on_call else 0):
                job.on_call()  # type: ignore[misc]
            yield images, select_steps(job.plan, *traces) if traces else None

    def _feed_images(
        self, job: SamplingJob, ids: NDArray[np.uint64], part: NDArray[np.intp], chunk: int, told: ConditionPair | None
    ) -> Feed:
        """What differs from image to image, and how many images run at a time."""
        feed: Feed = {"ids": ids[part]}
        if "micro_batch" in self.inputs.takes:
            feed["micro_batch"] = np.asarray(chunk, np.int64)
        if job.edit is not None:
            edit = feed_edit(job.edit, job.plan, self.plan, part, fixed=self.has_fixed_plan)
            feed |= {name: array for name, array in edit.items() if name in self.inputs.takes}
        return feed if told is None else feed | feed_conditions(self.spec, self.inputs, told.take(part))

    @property
    def _samples(self) -> str:
        """The output of what the loop makes."""
        return "latents" if self.form.picture_shape else "images"

    def own_settings(self) -> dict[str, NDArray[Any]]:
        """What the inputs without a default must be given for its own plan and seed, but ids, label and conditions."""
        own = self._values(self.plan, self._own_limit(), self.form.seed, self.spec.guidance)
        own["micro_batch"] = np.asarray(self.micro_batch, np.int64)
        return {name: value for name, value in own.items() if name in self.inputs.required}

    def _settings(self, job: SamplingJob, seed: int) -> dict[str, NDArray[Any]]:
        """What the file's inputs are given for this job; raises UsageError for what it has no room or no input for."""
        limit = job.limit
        if self.mixes and self.spec.is_conditional and not self.form.weak and job.guidance not in (0, 1):
            raise UsageError(
                "this file runs an image with and without its class together, and its network mixes them",
                "leave out guidance (guidance=1), or run the network's own file",
            )
        if job.edit is not None:
            require_own_edit(self, job.edit, job.plan, fixed=self.has_fixed_plan)
        elif self.has_fixed_plan and job.plan.hash != self.plan.hash:
            raise self._built_in_error(
                "plan", *(f"{p.recipe}, {p.steps} steps ({p.hash})" for p in (self.plan, job.plan))
            )
        if job.want_trace and not self.inputs.traces:
            raise self._built_in_error("trace")
        if job.plan.save.any() and not self.form.saved:
            raise UsageError(
                f"{job.plan.recipe} keeps an x from an earlier call, and this file has no room for it",
                f"export it again with history={max(1, job.plan.history - 1)}",
            )
        if limit is not None and limit.threshold != self.threshold:
            raise UsageError(
                f"this file has dynamic thresholding at {self.threshold}, not {limit.threshold}"
                if self.threshold
                else "this file clips, and has no dynamic thresholding",
                suggest_export(limit.threshold),
            )
        if not {"bounds", "table"} <= self.inputs.takes and (limit is not None) != self.spec.clip:
            raise self._built_in_error("clip", self.spec.clip, limit is not None)
        settings = {"seed": (self.form.seed, seed), "guidance": (self.spec.guidance, job.guidance)}
        guidable = self.spec.is_conditional or self.form.weak
        for name, (own, wanted) in settings.items():
            if name not in self.inputs.takes and own != wanted and (guidable or name != "guidance"):
                raise self._built_in_error(name, own, wanted)
        values = self._values(job.plan, limit, seed, job.guidance, job.want_trace)
        return {name: value for name, value in values.items() if name in self.inputs.takes}

    def _own_limit(self) -> Clipping | None:
        return Clipping.for_network(self.spec, self.threshold) if self.spec.clip else None

    def _values(
        self, plan: Plan, limit: Clipping | None, seed: int, guidance: float, trace: bool = False
    ) -> dict[str, NDArray[Any]]:
        """Every setting that a file may have as an input, but for the micro-batch."""
        packed = pack(plan, limit is not None, self.form.room, times=self.tell(plan.time))
        values: dict[str, Any] = {
            "seed": np.uint64(seed), "table": packed.table, "times": packed.times, "init": packed.init,
            "steps": np.int64(plan.rows), "trace": np.int64(trace), "guidance": np.float32(guidance),
            "bounds": np.array([-UNBOUNDED, UNBOUNDED] if limit is None else [limit.low, limit.high], np.float32),
        }  # fmt: skip
        return {name: np.asarray(value) for name, value in values.items()} | make_no_edit(self.spec, self.form)

    def _built_in_error(self, name: str, own: Any = None, wanted: Any = None) -> UsageError:
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
