"""Runs from a fit's noises: the same bits and the same plan whoever does them, though a worker is killed."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

import dtool
from dtool import fit
from dtool.compare.work_sharing import WorkSharing
from dtool.errors import DtoolError, UsageError
from dtool.fit.noises import draw_noises
from dtool.fit.plan_runs import OpenedNetwork, PlanRun, make_runs, run_plan, share_runs, split_noises
from dtool.parts.share import Share
from dtool.plan import plan as make_plan
from tests.support.block_functions import open_and_die_once, open_gaussians


@pytest.fixture(scope="module")
def network():
    return open_gaussians()


def make_several(network, count, size, recipe="unipc:order=3", **options):
    noises = draw_noises(network, "judging", count, seed=0, scale=1.0)
    plan = make_plan(recipe, steps=9, network=network)
    return [
        PlanRun(plan=plan, noises=block, options={}, batch_size=size, **options) for block in split_noises(noises, size)
    ]


def test_blocks_have_the_bits_of_one_run(network):
    [whole] = make_runs(network)(make_several(network, 10, 10))
    parts = list(make_runs(network)(make_several(network, 10, 4)))
    assert np.concatenate([part.images for part in parts]).tobytes() == whole.images.tobytes()
    assert sum(part.evaluations for part in parts) == whole.evaluations == 10 * 9


def test_blocks_of_a_stochastic_run_have_the_bits_of_one_run_and_the_noise_of_their_ids(network):
    [run] = make_several(network, 10, 10, "ddpm")
    [whole] = make_runs(network)([run])
    parts = list(make_runs(network)(make_several(network, 10, 4, "ddpm")))
    assert np.concatenate([part.images for part in parts]).tobytes() == whole.images.tobytes()
    out = dtool.sample(network, run.plan, ids=run.noises.ids, seed=run.noises.seed)
    assert np.abs(out.x0 - whole.images).max() < 1e-4, "float32 beside float64"


def test_a_path_begins_at_the_noises(network):
    [run] = make_several(network, 6, 6, traced=True)
    result = run_plan(OpenedNetwork(network), run)
    assert result.path.shape == result.slope.shape == (9, 6, 2)
    assert (np.diff(result.angle) > 0).all()
    size = np.hypot(run.plan.alpha[0], run.plan.sigma[0])
    assert np.allclose(result.path[-1], run.plan.init * run.noises.z / size)


def test_a_rival_whose_images_are_not_finite_has_none_and_others_are_an_error(network):
    run = make_several(network, 4, 4)[0]
    broken = {"plan": run.plan, "noises": run.noises, "options": {"x": None}, "batch_size": 4}
    with pytest.raises(TypeError):
        run_plan(OpenedNetwork(network), PlanRun(**broken))
    infinite = OpenedNetwork(open_infinite())
    with pytest.raises(DtoolError, match="not finite"):
        run_plan(infinite, run)
    assert run_plan(infinite, PlanRun(**{**vars(run), "rival": True})).images is None


def open_infinite():
    return dtool.network(lambda x, t: x * np.inf, shape=(2,), schedule="linear")


def test_workers_have_the_bits_of_one_process_though_one_is_killed(network, tmp_path):
    several = make_several(network, 12, 3, traced=True)
    here = list(make_runs(network)(several))
    sharing = WorkSharing(workers=2, opener=partial(open_and_die_once, tmp_path / "died"))
    with share_runs(network, sharing) as runs:
        for _ in range(2):  # the workers stay
            there = list(runs(several))
            for one, other in zip(here, there, strict=True):
                for name in ("images", "angle", "path", "slope"):
                    assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert (tmp_path / "died").exists()


def test_a_fit_has_the_same_bytes_for_two_workers_of_which_one_is_killed(network, tmp_path):
    how = {"calls": 2, "noises": (40, 36, 36)}
    alone = fit(network, **how).to_json()
    sharing = WorkSharing(workers=2, opener=partial(open_and_die_once, tmp_path / "died"))
    assert fit(network, **how, sharing=sharing).to_json() == alone
    assert (tmp_path / "died").exists()


def test_a_fit_has_no_parts(network):
    with pytest.raises(UsageError, match="depends on all of the last"):
        fit(network, calls=2, sharing=WorkSharing(folder=Path("there"), share=Share(0, 2)))
