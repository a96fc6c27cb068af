"""Which blocks a process draws: all parts together draw each once, and what contradicts itself is refused."""

import pytest

from dtool.errors import UsageError
from dtool.parts.block import divide
from dtool.parts.share import Share, find_share, parse_share

BLOCKS = list(divide(1000, 7))
ARRAY = {"SLURM_ARRAY_TASK_MIN": "2", "SLURM_ARRAY_TASK_MAX": "8", "SLURM_ARRAY_TASK_STEP": "2"}


def step(place, count):
    return {"SLURM_PROCID": str(place), "SLURM_NTASKS": str(count), "SLURM_STEP_ID": "0"}


# All processes of a launcher: what each finds in its environment.
LAUNCHERS = {
    "torchrun": [{"RANK": str(k), "WORLD_SIZE": "5", "TORCHELASTIC_RUN_ID": "a"} for k in range(5)],
    "torchrun in tasks of SLURM": [
        {"RANK": str(k), "WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "a"} | step(k // 2, 2) for k in range(4)
    ],
    "SLURM's array": [ARRAY | {"SLURM_ARRAY_TASK_ID": str(k), "SLURM_ARRAY_TASK_COUNT": "4"} for k in (2, 4, 6, 8)],
    "SLURM's tasks": [step(k, 3) for k in range(3)],
    "a step of fewer tasks than the job": [step(k, 9) | {"SLURM_STEP_NUM_TASKS": "3"} for k in range(3)],
    "tasks in an array": [
        ARRAY | {"SLURM_ARRAY_TASK_ID": str(j)} | step(k, 3) for j in (2, 4, 6, 8) for k in range(3)
    ],
    "ranks that are tasks": [{"RANK": str(k), "WORLD_SIZE": "3"} | step(k, 3) for k in range(3)],
    "torchrun in an array": [
        ARRAY | {"SLURM_ARRAY_TASK_ID": str(j), "RANK": str(k), "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "a"}
        for j in (2, 4, 6, 8) for k in range(2)
    ],
    "Kubernetes": [{"JOB_COMPLETION_INDEX": str(k), "DTOOL_PARTS": "6"} for k in range(6)],
    "an operator of Kubernetes": [
        {"JOB_COMPLETION_INDEX": str(k // 2), "RANK": str(k), "WORLD_SIZE": "4"} for k in range(4)
    ],
    "nobody": [{"PATH": "/bin"}],
}  # fmt: skip


@pytest.mark.parametrize("name", LAUNCHERS)
def test_all_processes_together_draw_each_block_once(name):
    shares = [find_share(environment) for environment in LAUNCHERS[name]]
    drawn = [block for share in shares for block in share.take(BLOCKS)]
    assert sorted(drawn) == BLOCKS
    assert {share.count for share in shares} == {len(shares)}
    assert all(share.said for share in shares) is (name != "nobody")


def test_what_the_user_says_is_so():
    assert find_share({"RANK": "0", "WORLD_SIZE": "2"}, "3/8") == Share(2, 8, "--part")
    assert str(parse_share(" 8/8 ")) == "8/8"
    assert find_share({"JOB_COMPLETION_INDEX": "1"}, parts=3).index == 1


@pytest.mark.parametrize("text", ["0/8", "9/8", "3", "a/b", "-1/4", "1/0", "1/9999999"])
def test_no_part_of_several_is_refused(text):
    with pytest.raises(UsageError, match="not one of several parts"):
        find_share({}, text)


@pytest.mark.parametrize(
    ("environment", "options", "cause"),
    [
        ({"RANK": "1"}, {}, "WORLD_SIZE is not set"),
        ({"WORLD_SIZE": "2"}, {}, "RANK is not set"),
        ({"RANK": "x", "WORLD_SIZE": "2"}, {}, "RANK is 'x'"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, {}, "says number 2, from 0, of 2"),
        ({"RANK": "1", "WORLD_SIZE": "2"} | step(0, 2), {}, "says part 2/2, and SLURM"),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, {}, "SLURM has 8 tasks for this job, and none of them is this"),
        (ARRAY | {"SLURM_ARRAY_TASK_ID": "3"}, {}, "has no even steps"),
        (ARRAY | {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "3"}, {}, "array of 3 jobs, 2 to 8, has no"),
        ({"SLURM_ARRAY_TASK_ID": "2"}, {}, "SLURM_ARRAY_TASK_MIN is not set"),
        ({"JOB_COMPLETION_INDEX": "2"}, {}, "this is pod 2 of a job, and not of how many"),
        ({"JOB_COMPLETION_INDEX": "2"}, {"parts": 2}, "says number 2, from 0, of 2"),
        ({"JOB_COMPLETION_INDEX": "1", "RANK": "0", "WORLD_SIZE": "3"}, {"parts": 3}, "Kubernetes .* part 2/3"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, {"parts": 3}, "--parts 3, but torchrun .* says 2"),
        ({}, {"parts": 3}, "nothing here says which of them this is"),
        ({}, {"part": "1/3", "parts": 3}, "--part says how many parts there are, and --parts too"),
    ],
)
def test_what_contradicts_itself_is_refused(environment, options, cause):
    with pytest.raises(UsageError, match=cause) as caught:
        find_share(environment, **options)
    assert caught.value.hint
