#!/usr/bin/env bash
# azula 0.11.1, torch 2.13.0 (PyPI); 2026-11-30, Linux x86-64, CPU.
#
# DDIMSampler refers to DDIM (arXiv:2010.02502), where η multiplies the standard deviation of the fresh noise (eq. 16). In azula,
# and in the formula of its documentation, eta multiplies the variance: eta=0.5 adds 0.71 of the noise of eta=1, and what the
# paper calls η = 0.5 is eta=0.25. At 0 and 1, the only values that its documentation names, the two agree. A setting
# copied from a paper or another library samples another process. We expected the paper's η.
# azula is installed without its dependencies, of which it needs here only those named.
#
# Output seen:
#   eta 0.0: 0.00 of the noise of eta 1
#   eta 0.25: 0.50 of the noise of eta 1
#   eta 0.5: 0.71 of the noise of eta 1
#   eta 1.0: 1.00 of the noise of eta 1
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
from azula.sample import DDIMSampler


class Zero(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.schedule = VPSchedule()

    def forward(self, x, t, **_):
        return SimpleNamespace(mean=torch.zeros_like(x))


denoiser = Zero()
t, s = torch.tensor(0.6), torch.tensor(0.4)
(alpha_t, sigma_t), (alpha_s, sigma_s) = denoiser.schedule(t), denoiser.schedule(s)
ancestral = sigma_s / sigma_t * torch.sqrt(sigma_t**2 - (alpha_t / alpha_s * sigma_s) ** 2)
for eta in (0.0, 0.25, 0.5, 1.0):
    torch.manual_seed(0)
    noise = DDIMSampler(denoiser, eta=eta).step(torch.zeros(200_000), t, s)
    print(f"eta {eta}: {noise.std() / ancestral:.2f} of the noise of eta 1")
PYTHON

seen=$(python/bin/python run.py)
printf '%s\n' "$seen"
[ "$seen" = "eta 0.0: 0.00 of the noise of eta 1
eta 0.25: 0.50 of the noise of eta 1
eta 0.5: 0.71 of the noise of eta 1
eta 1.0: 1.00 of the noise of eta 1" ]
