"""What a comparison says: both errors, the verdict, a budget, and going on after an interruption."""

from __future__ import annotations

import json
import time
from functools import partial

import numpy as np
import pytest
from commandline import SHAPE, network

import dtool
from dtool.compare import drawing
from dtool.compare.document import document
from dtool.compare.drawing import affordable
from dtool.compare.paired import chance, error
from dtool.compare.result import Entry
from dtool.compare.verdict import verdict
from dtool.errors import UsageError
from dtool.targets import target

QUICK = {"repeats": 1, "n": 200}


@pytest.fixture(scope="module")
def exact():
    return target("gmm:d=2")


def test_both_errors_of_a_closed_form(exact):
    """Few steps are far from the solution and from the law; many are near both; a stochastic rule has no solution."""
    found = dtool.compare(exact.network(), ["ddim", "ddpm"], steps=[3, 50], reference=exact, **QUICK)
    few, many, *stochastic = found.entries
    assert few.solver.rmse > 5 * many.solver.rmse
    assert few.figures["w2"].value > 2 * many.figures["w2"].value
    assert few.figures["mmd"].z > 10 > many.figures["mmd"].z
    assert all(entry.solver is None and "noise" in entry.why_no_solver for entry in stochastic)
    assert found.solution.error < few.solver.rmse / 10
    assert found.metrics[0].headline


@pytest.mark.parametrize("seed", [0, 1])
def test_the_verdict_names_the_best_and_what_is_as_good(exact, seed):
    found = dtool.compare(exact.network(), ["dpmpp-2m", "unipc"], steps=[2, 60], reference=exact, seed=seed, **QUICK)
    alike = "dpmpp-2m with 60 calls and unipc with 60 calls"
    assert found.verdict == f"By MMD² (RBF) {alike} cannot be told apart at n = 200, and lead the others."


@pytest.mark.parametrize("seed", [0, 1])
def test_from_the_same_seeds_a_slightly_worse_recipe_is_found_out(exact, seed):
    found = dtool.compare(exact.network(), ["ddim"], steps=[30, 60], reference=exact, seed=seed, **QUICK)
    assert found.verdict == "ddim with 60 calls is best by MMD² (RBF)."


def test_twice_the_same_law_cannot_be_told_apart(exact):
    found = dtool.compare(exact.network(), ["dpmpp-2m", "unipc"], steps=60, reference=exact, **QUICK)
    assert "no recipe can be told from another" in found.verdict


@pytest.mark.parametrize(("k", "all_named"), [(2, "not surely nearer than"), (6, "and 2 others")])
def test_of_many_of_one_law_none_is_surely_nearer(k, all_named):
    """The null of the whole verdict, the best chosen after the fact: it fails in 5 % of comparisons at most."""
    random, failed = np.random.default_rng(k), 0
    for _ in range(200):
        squares = np.exp(random.standard_normal((k, 16, 1)) + random.standard_normal((16, 1)))
        images, truth = np.sqrt(squares), np.zeros((16, 1))
        entries = [
            Entry(f"r{i}", "ddim", 9, 9, "", 1, 1, 1, 1, solver=error(each, truth, 0.0, (-1, 1)))
            for i, each in enumerate(images)
        ]
        p = partial(lambda drawn, i, j: chance(drawn[i], drawn[j], np.zeros((16, 1))), images)
        failed += all_named not in verdict(entries, images, None, None, p)
    assert failed <= 22  # of 200; at 5 % more would come once in a thousand times


@pytest.mark.parametrize("n", [6, 16])
def test_a_recipe_that_is_nearer_on_every_image_is_surely_nearer(n):
    random = np.random.default_rng(n)
    far = random.standard_normal((n, 4)) * np.exp(random.standard_normal((n, 1)))
    near = 0.7 * far * np.exp(0.05 * random.standard_normal((n, 1)))
    assert chance(near, far, np.zeros((n, 4))) < 1e-4
    assert chance(far, far, np.zeros((n, 4))) == 1
    assert chance(near[:1], far[:1], np.zeros((1, 4))) == 1


def test_chance_is_student_s():
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(0)
    for n in (2, 3, 8, 40):
        a, b = np.exp(random.standard_normal((2, n, 1)))
        expected = stats.ttest_rel(2 * np.log(a), 2 * np.log(b)).pvalue[0]
        assert chance(a, b, np.zeros((n, 1))) == pytest.approx(expected, rel=1e-4)


def test_nothing_is_said_of_recipes_that_are_too_near_to_the_solution():
    near = Entry("r", "ddim", 9, 9, "", 1, 1, 1, 1, solver=error(np.ones((4, 1)), np.zeros((4, 1)), 0.5, (-1, 1)))
    assert "No recipe can be judged" in verdict([near, near], [np.ones((4, 1))] * 2, None, None, lambda i, j: 0.0)


def test_without_data_the_solver_decides(exact):
    found = dtool.compare(exact.network(), ["ddim", "dpmpp-2m", "ddpm"], steps=10, **QUICK)
    assert found.verdict.startswith("dpmpp-2m with 10 calls is nearest to the solution")
    assert "1 of 3 have no solution" in found.verdict
    only = dtool.compare(exact.network(), ["ddpm", "dpmpp-2m-sde"], steps=10, solver=False, **QUICK)
    assert "nothing to judge by" in only.verdict
    assert only.solution is None


def test_the_document_is_json_and_tells_where_it_was_made(exact):
    found = dtool.compare(exact.network(), ["ddim@cosine", "ddpm"], steps=4, reference=exact, repeats=1, n=40)
    made = json.loads(json.dumps(document(found, command="dtool compare", model="gmm"), allow_nan=False))
    assert [s["name"] for s in made["schedules"]] == ["the network's own", "cosine"]
    assert all(0 <= b <= 1 for s in made["schedules"] for b in s["beta"])
    assert made["versions"]["numpy"] == np.__version__
    assert made["entries"][0]["figures"]["w2"]["value"] > 0
    assert len(made["entries"][0]["points"]["beta"]) == 4


def test_a_budget_buys_images():
    calls = []

    def counted(x, t):
        calls.append(len(x))
        return 0.5 * x

    net = dtool.network(counted, shape=SHAPE)
    found = dtool.compare(net, ["ddim"], steps=2, budget=3.0, solver=False)
    assert found.n >= drawing.TIMED
    now = time.monotonic()
    assert affordable(4.0, 16, now + 1e9) == drawing.MOST
    assert affordable(4.0, 16, now - 5.0) == 16
    assert affordable(0.25, 16, now + 100) == pytest.approx(360, abs=2)
    both = affordable(0.25, 16, now + 100, judging=1.0, of=100)  # 0.25 n + (n/100)^2 = 90
    assert 0.25 * both + (both / 100) ** 2 == pytest.approx(90, abs=0.5)
    with pytest.raises(UsageError, match="both n and a budget"):
        dtool.compare(net, ["ddim"], n=3, budget=3.0)


@pytest.mark.parametrize("at", [3, 40])
def test_an_interrupted_comparison_goes_on(at, tmp_path):
    """Interrupted after some calls, then run again: the same result, and no image is drawn twice."""
    net = network()
    whole = dtool.compare(net, ["ddim", "heun"], steps=4, n=200, repeats=1, solver=False)
    seen = []

    def stop(done, total, what):
        seen.append(what)
        if len(seen) >= at and "timing" not in what:
            raise KeyboardInterrupt

    options = {"steps": 4, "n": 200, "repeats": 1, "solver": False, "keep": tmp_path / "parts"}
    with pytest.raises(KeyboardInterrupt):
        dtool.compare(net, ["ddim", "heun"], progress=stop, **options)
    drawn = []
    again = dtool.compare(net, ["ddim", "heun"], progress=lambda *now: drawn.append(now), **options)
    assert (again.images == whole.images).all()
    third = []
    dtool.compare(net, ["ddim", "heun"], progress=lambda *now: third.append(now), **options)
    assert len(third) < len(drawn)
    assert {what for *_, what in third} == {"ddim: timing", "heun: timing"}
