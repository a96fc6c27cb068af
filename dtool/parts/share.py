"""Which blocks one of several processes draws: K of N, said by the user or by what has started the processes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dtool.errors import UsageError

T = TypeVar("T")

PARTS_VARIABLE = "DTOOL_PARTS"  # how many there are, where only a place is known: Kubernetes' indexed jobs
MAX_PARTS = 1 << 20
_SAY = "say which part this is: --part K/N"


@dataclass(frozen=True)
class Share:
    """The part with this number, from 0, of so many; `said` by whom, for a remark."""

    index: int
    count: int
    said: str = ""

    def take(self, blocks: Sequence[T]) -> Sequence[T]:
        """Every `count`-th block from the `index`-th on: all parts advance through the ids together."""
        return [blocks[place] for place in range(self.index, len(blocks), self.count)]

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.count}"


WHOLE = Share(0, 1)


def parse_share(text: str) -> Share:
    """`3/8`, the third of eight; raises UsageError for what is none."""
    match = re.fullmatch(r"\s*(\d{1,7})\s*/\s*(\d{1,7})\s*", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]) <= MAX_PARTS:
        raise UsageError(f"--part {text}: not one of several parts", "write it as 3/8, from 1/8 to 8/8")
    return Share(int(match[1]) - 1, int(match[2]), "--part")


def find_share(environment: Mapping[str, str], part: str | None = None, parts: int | None = None) -> Share:
    """The share of this process: as `part` says it, else as the environment does, else the whole.

    parts: how many there are, where the environment knows the place alone. Looked at are RANK and WORLD_SIZE (torchrun,
    Ray Train), SLURM's array and tasks, and Kubernetes' JOB_COMPLETION_INDEX. Tasks of an array are parts of parts.
    Raises UsageError for numbers that contradict each other, and for a place among an unknown number.
    """
    if part is not None:
        if parts is not None:
            raise UsageError("--part says how many parts there are, and --parts too", "leave --parts out")
        return parse_share(part)
    found = [
        share
        for look in (_find_torchrun, _find_slurm, _find_kubernetes)
        if (share := look(environment, parts)) is not None
    ]
    if not found:
        if parts is not None:
            raise UsageError(f"--parts {parts}: nothing here says which of them this is", _SAY)
        return WHOLE
    share = found[0]
    for other in found[1:]:
        if (other.index, other.count) != (share.index, share.count):
            raise UsageError(f"{share.said} says part {share}, and {other.said} part {other}", _SAY)
    if parts not in (None, share.count):
        raise UsageError(f"--parts {parts}, but {share.said} says {share.count}", "leave --parts out")
    return share


def _find_torchrun(environment: Mapping[str, str], _parts: int | None) -> Share | None:
    """RANK of WORLD_SIZE; of an array of SLURM jobs that each run torchrun, a part of the job's part."""
    if "RANK" not in environment and "WORLD_SIZE" not in environment:
        return None
    place, count = (_read(environment, name) for name in ("RANK", "WORLD_SIZE"))
    own = _make_share(place, count, "torchrun (RANK, WORLD_SIZE)")
    return _nest(_find_array(environment), own)


def _find_slurm(environment: Mapping[str, str], _parts: int | None) -> Share | None:
    """The task of this job, the job of an array, or one within the other."""
    if "TORCHELASTIC_RUN_ID" in environment:  # started within a task, and numbered over all of them
        return None
    return _nest(_find_array(environment), _find_task(environment))


def _find_array(environment: Mapping[str, str]) -> Share | None:
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return None
    place, low, high, step = (
        _read(environment, f"SLURM_ARRAY_TASK_{name}", usual) for name, usual in
        (("ID", None), ("MIN", None), ("MAX", None), ("STEP", 1))
    )  # fmt: skip
    count = (high - low) // max(1, step) + 1
    told = _read(environment, "SLURM_ARRAY_TASK_COUNT", count)
    if step < 1 or (place - low) % step or told != count:
        raise UsageError(
            f"SLURM's array of {told} jobs, {low} to {high}, has no even steps", f"{_SAY}, or use --array=0-{told - 1}"
        )
    return _make_share((place - low) // step, count, "SLURM's array (SLURM_ARRAY_TASK_ID)")


def _find_task(environment: Mapping[str, str]) -> Share | None:
    """The task of a step; a batch script has the number of its job's tasks, and is none of them."""
    step = "SLURM_STEP_NUM_TASKS"
    total = step if step in environment else "SLURM_NTASKS"
    if "SLURM_PROCID" not in environment or total not in environment:
        return None
    place, count = (_read(environment, name) for name in ("SLURM_PROCID", total))
    if count > 1 and not {step, "SLURM_STEP_ID", "SLURM_STEPID"} & set(environment):
        raise UsageError(
            f"SLURM has {count} tasks for this job, and none of them is this process",
            "begin the command with srun; or draw all here: --part 1/1",
        )
    return _make_share(place, count, f"SLURM's tasks (SLURM_PROCID, {total})")


def _find_kubernetes(environment: Mapping[str, str], parts: int | None) -> Share | None:
    if "JOB_COMPLETION_INDEX" not in environment:
        return None
    place = _read(environment, "JOB_COMPLETION_INDEX")
    if parts is None and PARTS_VARIABLE not in environment and {"RANK", "WORLD_SIZE"} <= set(environment):
        return None  # an operator has numbered the processes, which may be several in a pod
    if parts is None and PARTS_VARIABLE not in environment:
        raise UsageError(
            f"Kubernetes says that this is pod {place} of a job, and not of how many",
            f"say it: --parts N, or {PARTS_VARIABLE}=N in the environment: the job's completions",
        )
    count = _read(environment, PARTS_VARIABLE) if parts is None else parts
    return _make_share(place, count, "Kubernetes (JOB_COMPLETION_INDEX)")


def _nest(outer: Share | None, inner: Share | None) -> Share | None:
    """The share of a process within that of its job."""
    if outer is None or inner is None or inner.count == 1:
        return outer or inner
    said = f"{outer.said} and {inner.said}"
    return Share(outer.index * inner.count + inner.index, outer.count * inner.count, said)


def _make_share(place: int, count: int, said: str) -> Share:
    if not 0 <= place < count <= MAX_PARTS:
        raise UsageError(f"{said} says number {place}, from 0, of {count}", _SAY)
    return Share(place, count, said)


def _read(environment: Mapping[str, str], name: str, usual: int | None = None) -> int:
    text = environment.get(name)
    if text is None and usual is not None:
        return usual
    if text is None or not re.fullmatch(r"\d{1,9}", text):
        what = "is not set" if text is None else f"is {text!r}"
        raise UsageError(f"{name} {what}, and other variables of its kind are", _SAY)
    return int(text)
