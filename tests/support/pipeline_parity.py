"""diffusers' own pipelines, watched while they sample, and the comparison with what dtool makes of the same noise."""

from contextlib import contextmanager
from functools import wraps
from types import SimpleNamespace

import numpy as np
import torch

from tests.support.parity_record import record_parity

TOLERANCE = 1e-4  # of the largest value


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@contextmanager
def watch_steps(pipe):
    """What the scheduler is given at first, and what it gives at last: `first` and `last`, numpy arrays."""
    seen, step = SimpleNamespace(first=None, last=None), pipe.scheduler.step

    @wraps(step)  # pipelines look at its signature, and pass their generator on only if it takes one
    def watch(output, t, sample, *given, **options):
        seen.first = sample.numpy() if seen.first is None else seen.first
        stepped = step(output, t, sample, *given, **options)
        seen.last = (stepped[0] if isinstance(stepped, tuple) else stepped.prev_sample).numpy()
        return stepped

    pipe.scheduler.step = watch
    try:
        yield seen
    finally:
        del pipe.scheduler.step


def run_theirs(pipe, steps, **arguments):
    """What the pipeline's last step gave, and its pictures in -1 … 1."""
    with watch_steps(pipe) as seen:
        pictures = pipe(num_inference_steps=steps, output_type="np", **arguments)[0]
    return seen.last, 2 * np.asarray(pictures).transpose(0, 3, 1, 2) - 1


def require_equal(ours, theirs, request):
    """Both within TOLERANCE of the largest value; the figure is kept for the table of docs/models.md."""
    error, largest = np.abs(ours - theirs).max(), np.abs(theirs).max()
    print(f"{request.node.name}: {error:.2e} [{largest:.3g}]")
    record_parity(error, largest)
    assert np.isfinite(largest)
    assert error <= TOLERANCE * largest
