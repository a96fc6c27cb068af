#!/usr/bin/env bash
# azula 0.11.1, torch 2.13.0 (PyPI); 2026-12-01, Linux x86-64, CPU.
#
# REABSampler is a multistep method of order 2 by default. Its documentation gives the factor √(1 + e^{2s}) before the sum over
# earlier predictions, where s is the level that the step goes to. The code takes α at that level and σ at the one that the
# step comes from, so that the method is of order 1: twice the steps halve the error, where zEABSampler, the same kind of method
# of the same order in the same package, has a quarter. We expected a quarter of both.
# The data are one Gaussian, of which the solution is known; all in float64.
# azula is installed without its dependencies, of which it needs here only those named.
#
# Output seen:
#   zEABSampler: the error of 128 steps is 0.25 of that of 64
#   REABSampler: the error of 128 steps is 0.48 of that of 64
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet torch==2.13.0 einops==0.8.2 tqdm numpy
python/bin/pip install --quiet --no-deps azula==0.11.1

cat >run.py <<'PYTHON'
from types import SimpleNamespace

import torch
from azula.noise import VPSchedule
from azula.sample import REABSampler, zEABSampler

VARIANCE = 0.3


class Gaussian(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.schedule = VPSchedule()

    def forward(self, x, t, **_):
        alpha, sigma = self.schedule(t)
        return SimpleNamespace(mean=alpha * VARIANCE / (alpha**2 * VARIANCE + sigma**2) * x)


def measure(kind, steps):
    denoiser = Gaussian()
    sampler = kind(denoiser, start=0.9, stop=0.1, steps=steps, dtype=torch.float64, silent=True)
    x = torch.ones(1, dtype=torch.float64)
    alpha, sigma = denoiser.schedule(sampler.timesteps[[0, -1]])
    size = (alpha**2 * VARIANCE + sigma**2).sqrt()
    return abs((sampler(x) - size[1] / size[0] * x).item())


for kind in (zEABSampler, REABSampler):
    share = measure(kind, 128) / measure(kind, 64)
    print(f"{kind.__name__}: the error of 128 steps is {share:.2f} of that of 64")
PYTHON

seen=$(python/bin/python run.py)
printf '%s\n' "$seen"
[ "$seen" = "zEABSampler: the error of 128 steps is 0.25 of that of 64
REABSampler: the error of 128 steps is 0.48 of that of 64" ]
