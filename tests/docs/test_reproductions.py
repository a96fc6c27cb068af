"""docs/reproductions: the effects show again with another seed, and the pages say how they were made."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from tests.support.places import DOCS, MNIST

FOLDER = DOCS / "reproductions"
NAMES = ("noise", "ddim_table1", "schedules", "likelihood", "prediction")
SEED = 7


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def test_without_noise_variety_is_lost():
    import noise

    _, made = noise.closed_form(60, SEED, steps=20)
    assert {"variance", "recall", "MMD²"} <= set(noise.worse(made))
    assert made.more[noise.NONE]["density"].more
    assert "surely worse without: variance" in noise.result(made, "it")
    same = noise.Measured(made.found, {noise.NONE: dict.fromkeys(made.more[noise.NONE], _estimate(0, 1))})
    assert "the effect does not show" in noise.result(same, "it")


def test_the_order_of_ddims_table(monkeypatch):
    import ddim_table1 as script

    kept = {name: script.RECIPES[name] for name in ("η = 0", "η = 1", "σ̂")}
    monkeypatch.setattr(script, "RECIPES", kept)
    values, floor = script.closed_form(1500, SEED, steps=(10, 50))
    found, pairs = script.common.estimates(values), script.pairs_of(values)
    assert pairs.far
    assert pairs.before("η = 1")
    assert pairs.closes
    assert abs(pairs.share) < 0.1
    assert found["η = 0"][50].value < 3 * floor.value
    assert script.common.less(values, "σ̂", script.OTHER)[10].more
    said = script.result(pairs, found, "it")
    assert "σ̂ is surely worst; surely behind η = 0: η = 1 and σ̂" in said
    assert "less harm, by" in script.on_the_grid(values)
    for row in values.values():  # from here on there is no effect
        row.update(dict.fromkeys(row, np.arange(6.0)))
    said = script.result(script.pairs_of(values), found, "it")
    assert "does not show; not told apart: η = 1 and σ̂" in said
    assert "no sure gap" in said


def test_what_becomes_of_the_gap():
    import ddim_table1 as script

    def closing(last):
        gap = {10: _estimate(1, 2), 1000: last}
        return script.closing(script.Pairs({"σ̂": gap}, {"η = 0": gap[10]}))

    assert closing(_estimate(-0.1, 0.1)).startswith("The gap between σ̂ and η = 0 has closed: of 1.50 ± 0.50")
    assert closing(_estimate(0.1, 0.2)) == "The gap between σ̂ and η = 0 has closed to 10%, which is surely left"
    assert closing(_estimate(-0.2, -0.1)) == "σ̂ has overtaken η = 0"
    assert "not surely smaller" in closing(_estimate(0.1, 1.5))


def test_linear_destroys_information_first(monkeypatch):
    import information
    import schedules

    monkeypatch.setattr(information, "SHARES", np.linspace(0, 1, 9))
    found = information.falls(60, SEED)
    half = {name: fall.half.mean() for name, fall in found.items()}
    assert half["linear"] < min(half["cosine"], half["sigmoid"]) - 0.1
    assert abs(half["cosine"] - half["sigmoid"]) < 0.1
    assert found["linear"].idle.mean() > found["cosine"].idle.mean()
    for fall in found.values():
        unknown = fall.unknown.mean(axis=0)
        assert np.diff(unknown).min() > -0.05
        assert 0 < unknown[0] < 0.01
        assert unknown[-1] == pytest.approx(1, abs=0.2)
        assert fall.bits[:, 0].mean() == pytest.approx(np.log2(10), abs=0.1)
    assert schedules.fast(found).startswith("Linear surely destroys it first: half of the bits")
    turned = {"linear": found["cosine"], "cosine": found["linear"], "sigmoid": found["sigmoid"]}
    assert schedules.fast(turned).startswith("That linear destroys it first does not show")


def test_what_skipping_costs_follows_the_figures():
    import schedules

    base = np.arange(6.0)
    some = base + 0.3 + base / 100
    found = {"linear": {0.0: base, 0.4: base}, "cosine": {0.0: base, 0.4: some}}
    assert "as the paper says" in schedules.harm(found)
    assert "does not show" in schedules.harm({"linear": found["cosine"], "cosine": found["linear"]})


@pytest.mark.parametrize("law", ["gaussian:d=16,var=0.25", "digits-gmm"])
def test_the_order_of_analytic_dpms_table(law):
    import likelihood

    values, _ = likelihood.closed_form(law, 16, SEED, steps=(10, 60))
    found = likelihood.common.estimates(values)
    pairs = likelihood.gains(values)
    assert "analytic is surely best" in likelihood.best(values)
    assert pairs["β̃ less analytic"][10].more
    assert pairs["β less analytic"][10].more
    assert "in 10 steps β̃ is surely worse than β" in likelihood.crossing(values)
    assert found["analytic"][10].high > 0
    for row in found.values():
        assert row[60].value < row[10].value + likelihood.SLACK
    if law.startswith("gaussian"):
        assert found["analytic"][10].low < 0 < found["analytic"][10].high  # the bound is the truth


def test_what_is_said_of_likelihoods_follows_the_figures():
    import likelihood

    base = np.arange(8.0)
    above, below = base + 1 + base / 100, base - 1 - base / 100
    crossed = {"β̃": {10: above, 99: below}, "β": {10: base, 99: base}, "analytic": {10: below, 99: base}}
    assert likelihood.crossing(crossed).endswith("β̃ is surely before β first at 99 steps")
    said = likelihood.best(crossed)
    assert said.startswith("analytic is surely best in 10 steps")
    assert said.endswith("surely behind another, by more than 0.001, in 99 steps")
    level = {kind: {10: base, 99: base} for kind in likelihood.KINDS}
    assert likelihood.best(level) == "analytic is not told apart from the best in 10 and 99 steps"
    assert "from 10 steps on they cannot be told apart" in likelihood.crossing(level)


def test_the_posterior_is_that_of_the_chain():
    import outputs

    from dtool.schedulers import get_scheduler

    made = get_scheduler("linear")
    share, kept = outputs.posterior(made)
    beta, alpha_bar = made.betas, made.alpha**2
    before = np.concatenate([[1.0], alpha_bar[:-1]])
    np.testing.assert_allclose(share, np.sqrt(before) * beta / (1 - alpha_bar), rtol=1e-9)
    np.testing.assert_allclose(kept, np.sqrt(1 - beta) * (1 - before) / (1 - alpha_bar), rtol=1e-9, atol=1e-15)


def test_the_mean_is_worst_to_be_wrong_about():
    import outputs
    import prediction

    from dtool.schedulers import get_scheduler
    from dtool.targets import target

    gain = outputs.gains(get_scheduler("linear"), outputs.power_of(target(prediction.LAW)))
    for name in ("eps", "x0", "v"):
        assert (gain["mean"][1:] > gain[name][1:]).all()
    assert (gain["v"] <= gain["eps"] + 1e-12).all()
    values = prediction.closed_form(300, SEED, steps=(5, 20))
    assert prediction.worst(values, 5)
    assert prediction.worst(values, 20)
    assert "the mean is surely worst of all in 5 and 20 steps" in prediction.of_mixture(values)
    same = {name: dict.fromkeys(row, np.arange(6.0)) for name, row in values.items()}
    assert prediction.NOT_WORST in prediction.of_mixture(same)


def test_a_network_that_says_the_mean_is_read_as_one_that_says_x0():
    torch = pytest.importorskip("torch")
    import outputs
    import trained

    from dtool.schedulers import get_scheduler

    made = get_scheduler("linear")
    share, kept = outputs.posterior(made)
    x0, eps = torch.randn(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(SEED)).double()
    loss = trained.MeanLoss(made)
    for t in (0, 7, 999):
        x = made.alpha[t] * x0 + made.sigma[t] * eps
        mean = share[t] * x0 + kept[t] * x
        network = trained.AsImage(lambda x, t, label, mean=mean: mean, made)
        time = torch.full((3,), float(t))
        np.testing.assert_allclose(network(x, time, None), x0, atol=1e-8)
        assert loss(mean, x0, eps, time.long()) < 1e-10


def test_the_loss_of_a_variance_is_the_divergence_of_two_gaussians():
    torch = pytest.importorskip("torch")
    pytest.importorskip("accelerate")
    import learned

    from dtool.schedulers import get_scheduler

    made = get_scheduler(learned.SCHEDULE)
    torch.manual_seed(SEED)
    x0, eps, said = (torch.randn(5, 1, 3, 2).clamp(-0.9, 0.9) for _ in range(3))
    v = torch.rand(5, 1, 3, 2) * 2 - 1
    t = torch.tensor([0, 1, 40, 500, 999])  # what follows t = 0 is not learned
    loss = learned.VarianceLoss(made, lambda x, at: said)
    expected = []
    for i, at in enumerate(t.tolist()):
        if at == 0:
            continue
        a, s, a1, s1 = (float(c[j]) for j in (at, at - 1) for c in (made.alpha, made.sigma))
        beta = 1 - (a / a1) ** 2
        tilde = beta * s1**2 / s**2
        image = ((a * x0[i] + s * eps[i] - s * said[i]) / a).clamp(-1, 1)
        share = a1 * beta / s**2
        width = np.log(beta / tilde)
        f = (v[i].double() + 1) / 2
        spread = torch.exp(f * np.log(beta) + (1 - f) * np.log(tilde))
        one, other = ((share * of).double() for of in (x0[i], image))
        normal = torch.distributions.Normal
        nats = torch.distributions.kl_divergence(normal(one, tilde**0.5), normal(other, spread**0.5))
        expected.append(float(nats.mean()) / width)
    assert float(loss(v, x0, eps, t)) == pytest.approx(sum(expected) / 5, rel=1e-3)


@pytest.mark.skipif(not MNIST.exists(), reason="the images of MNIST are not here: ../shared/data/mnist")
def test_a_learned_variance_is_measured_beside_the_others(monkeypatch):
    pytest.importorskip("accelerate")
    import likelihood

    monkeypatch.setattr(likelihood, "OTHERS", 2)
    found = likelihood.with_learned(str(MNIST), 2, 2, SEED, counts=(3,))
    assert {name: len(row[3]) for name, row in found.items()} == dict.fromkeys(("β̃", "β", "analytic", "learned"), 4)
    bits = {name: row[3].mean() for name, row in found.items()}
    assert bits["β̃"] > bits["learned"] > 0  # after so little training it is between β̃ and β


def test_what_is_said_of_a_learned_variance_follows_the_figures():
    import likelihood

    base = np.arange(6.0)
    some = base + np.arange(6) / 100
    found = {"β̃": {10: some + 1, 99: some + 1}, "β": {10: some - 1, 99: some + 1}, "analytic": {10: base, 99: base}}
    said = likelihood.learning(found | {"learned": {10: base, 99: base}})
    assert "than β̃ in 10 and 99 steps, and more in none" in said
    assert "than β in 99 steps, and more in 10" in said
    assert "than analytic in no steps, and more in none" in said


@pytest.mark.skipif(not MNIST.exists(), reason="the images of MNIST are not here: ../shared/data/mnist")
def test_two_networks_are_trained_alike():
    pytest.importorskip("accelerate")
    import trained

    images, held = trained.split(str(MNIST), SEED)
    assert images.shape == (1, 14, 14)
    assert len(images) + len(held.images) == 10_000
    two = {name: trained.train(name, images, 2, SEED) for name in ("v", "mean")}
    few = trained.Digits(held.images[:4], held.labels[:4])
    found = trained.errors(two, few, (10, 500), SEED)
    assert found["mean"][500].mean() > 10 * found["v"][500].mean()  # untrained, and divided by a
    assert two["mean"].network.spec.prediction == "x0"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_names_its_command_and_shows_its_pictures(name):
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert f"\npython docs/reproductions/{name}.py" in text
    assert re.search(r"--seed \d+ -n \d+ --closed \d+( --train \d+)?\n", text)
    assert "\n**Result.** " in text
    assert "arxiv.org/abs/" in text
    shown = re.findall(r"\]\((\S+\.png)\)", text)
    assert shown
    for picture in shown:
        assert (FOLDER / picture).stat().st_size < 150_000
        with Image.open(FOLDER / picture) as opened:
            opened.verify()
    assert not re.search(r"/work|/home|/tmp|20\d\d-\d\d-\d\d", text)


def test_the_index_is_in_step_with_the_pages():
    import writing

    assert writing.index(FOLDER) == (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(NAMES) == set(writing.ORDER)


def test_a_script_without_data_says_so(tmp_path, monkeypatch):
    import likelihood

    monkeypatch.setattr(likelihood, "LAWS", likelihood.LAWS[:1])
    monkeypatch.setattr(likelihood, "STEPS", (10, 20))
    monkeypatch.setattr(likelihood, "closed_form", lambda name, n, seed: _closed(likelihood, name, n, seed))
    likelihood.main(["--seed", "3", "--closed", "4", "--out", str(tmp_path)])
    text = (tmp_path / "likelihood.md").read_text(encoding="utf-8")
    assert "python docs/reproductions/likelihood.py --seed 3 -n 8 --closed 4" in text
    assert "nothing was measured on a trained network" in text
    assert (tmp_path / "likelihood.png").exists()
    assert "(likelihood.md)" in (tmp_path / "README.md").read_text(encoding="utf-8")


def _closed(script, name, n, seed):
    values = {kind: {count: np.array([1.0, 2.0]) / count for count in (10, 20)} for kind in script.KINDS}
    return values, _estimate(0.5, 1.5)


def _estimate(low, high):
    from common import Estimate

    return Estimate((low + high) / 2, low, high)
