#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0 (PyPI); 2026-11-30, Linux x86-64, CPU.
#
# Three multistep schedulers cannot go through their own timesteps with the cosine schedule and Karras' levels. Several of the
# high levels round to the same whole timestep, and the first step looks up its place by that number and takes the second of
# the equal ones: the first level is skipped, all others are one too far, and the last step falls off the end. The error
# is an IndexError, or an AssertionError without a message. With few steps (5) only one of the three meets equal ones. Told
# where to begin, they run; EulerDiscreteScheduler, whose timesteps are not rounded, does anyway. We expected every list of timesteps
# that a scheduler makes to be one through which it can step.
#
# Output seen:
#   DPMSolverMultistepScheduler
#     linear, 10: begins at 0, runs
#     cosine, 5: begins at 1, IndexError
#     cosine, 10: begins at 1, IndexError
#     cosine, 50: begins at 1, IndexError
#     cosine, 10, set_begin_index(0): begins at 0, runs
#   DEISMultistepScheduler
#     linear, 10: begins at 0, runs
#     cosine, 5: begins at 0, runs
#     cosine, 10: begins at 1, IndexError
#     cosine, 50: begins at 1, IndexError
#     cosine, 10, set_begin_index(0): begins at 0, runs
#   UniPCMultistepScheduler
#     linear, 10: begins at 0, runs
#     cosine, 5: begins at 0, runs
#     cosine, 10: begins at 1, AssertionError
#     cosine, 50: begins at 1, AssertionError
#     cosine, 10, set_begin_index(0): begins at 0, runs
#   EulerDiscreteScheduler
#     linear, 10: begins at 0, runs
#     cosine, 5: begins at 0, runs
#     cosine, 10: begins at 0, runs
#     cosine, 50: begins at 0, runs
#   [998, 998, 998, 998, 997, 995, 983, 894, 259, 0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet torch==2.13.0 diffusers==0.42.1 numpy

cat >run.py <<'PYTHON'
import logging
import warnings

import torch
from diffusers import (
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    UniPCMultistepScheduler,
)

warnings.simplefilter("ignore")
logging.disable()


def verdict(kind, n, begin=None, **config):
    scheduler = kind(use_karras_sigmas=True, **config)
    scheduler.set_timesteps(n)
    if begin is not None:
        scheduler.set_begin_index(begin)
    x, first = torch.ones(1, 1, 2, 2) * scheduler.init_noise_sigma, None
    try:
        for t in scheduler.timesteps:
            x = scheduler.step(0.5 * scheduler.scale_model_input(x, t), t, x).prev_sample
            first = scheduler.step_index - 1 if first is None else first
    except (IndexError, AssertionError) as error:
        return f"begins at {first}, {type(error).__name__}"
    return f"begins at {first}, runs"


COSINE = {"beta_schedule": "squaredcos_cap_v2"}
for kind in (DPMSolverMultistepScheduler, DEISMultistepScheduler, UniPCMultistepScheduler, EulerDiscreteScheduler):
    print(kind.__name__)
    print("  linear, 10:", verdict(kind, 10))
    for n in (5, 10, 50):
        print(f"  cosine, {n}:", verdict(kind, n, **COSINE))
    if kind is not EulerDiscreteScheduler:
        print("  cosine, 10, set_begin_index(0):", verdict(kind, 10, 0, **COSINE))
scheduler = DPMSolverMultistepScheduler(use_karras_sigmas=True, **COSINE)
scheduler.set_timesteps(10)
print(scheduler.timesteps.tolist())
PYTHON

seen=$(python/bin/python run.py)
printf '%s\n' "$seen"
[ "$seen" = "DPMSolverMultistepScheduler
  linear, 10: begins at 0, runs
  cosine, 5: begins at 1, IndexError
  cosine, 10: begins at 1, IndexError
  cosine, 50: begins at 1, IndexError
  cosine, 10, set_begin_index(0): begins at 0, runs
DEISMultistepScheduler
  linear, 10: begins at 0, runs
  cosine, 5: begins at 0, runs
  cosine, 10: begins at 1, IndexError
  cosine, 50: begins at 1, IndexError
  cosine, 10, set_begin_index(0): begins at 0, runs
UniPCMultistepScheduler
  linear, 10: begins at 0, runs
  cosine, 5: begins at 0, runs
  cosine, 10: begins at 1, AssertionError
  cosine, 50: begins at 1, AssertionError
  cosine, 10, set_begin_index(0): begins at 0, runs
EulerDiscreteScheduler
  linear, 10: begins at 0, runs
  cosine, 5: begins at 0, runs
  cosine, 10: begins at 0, runs
  cosine, 50: begins at 0, runs
[998, 998, 998, 998, 997, 995, 983, 894, 259, 0]" ]
