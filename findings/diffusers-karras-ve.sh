#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0 (PyPI); 2026-12-01, Linux x86-64, CPU.
#
# KarrasVeScheduler has levels of noise from sigma_max, 100, down to sigma_min, 0.02, by its documentation, and its start is noise
# of standard deviation 100. Its own list of levels, which its steps take as standard deviations and which its pipeline tells
# the network, holds the squares of these: 10,000 to 0.0004. So the first image, of size 100, is told as one of size 10,000. We
# expected the list to begin at 100.
# Noise alone shows it: with a network that calls all of x noise, every step multiplies x by the ratio of two levels, and what is
# 100 at the start is 0.000004 at the last level, where sigma_min is 0.02.
#
# Output seen:
#   init_noise_sigma: 100.0
#   levels: 10000.0 to 0.0004
#   noise of size 100 is at 0.000004 at the last level
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet torch==2.13.0 diffusers==0.42.1

cat >run.py <<'PYTHON'
import logging

import torch

logging.disable(logging.WARNING)
from diffusers.schedulers.deprecated.scheduling_karras_ve import KarrasVeScheduler  # noqa: E402

scheduler = KarrasVeScheduler()
scheduler.set_timesteps(50)
levels = [float(scheduler.schedule[t]) for t in scheduler.timesteps]
print(f"init_noise_sigma: {float(scheduler.init_noise_sigma):.1f}")
print(f"levels: {levels[0]:.1f} to {levels[-1]:.4f}")
x = torch.full((1,), float(scheduler.init_noise_sigma), dtype=torch.float64)
for level, to in zip(levels, levels[1:]):
    x = scheduler.step(-x / level, level, to, x).prev_sample
print(f"noise of size 100 is at {x.item():.6f} at the last level")
PYTHON

seen=$(python/bin/python run.py)
printf '%s\n' "$seen"
[ "$seen" = "init_noise_sigma: 100.0
levels: 10000.0 to 0.0004
noise of size 100 is at 0.000004 at the last level" ]
