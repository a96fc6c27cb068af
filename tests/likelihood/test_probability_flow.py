"""The probability-flow ODE's likelihood against closed forms, and the order of its error."""

import numpy as np
import pytest
from scipy import stats

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.likelihood import ode, ode_solver
from dtool.likelihood.network_calls import draw_uniforms

LINEAR = dtool.get_scheduler("linear")
START = float(LINEAR.sigma[0] / LINEAR.alpha[0]) ** 2  # variance, in units of the image, of the first level's noise


def level(t, times, like):
    alpha, sigma = LINEAR.level(np.clip(t, 0, 999))
    return (v.reshape(-1, *(1,) * (like.ndim - 1 + times)) for v in (alpha, sigma))


def gaussian(variances, prediction="eps"):
    """The exact network for N(0, diag(variances))."""
    variances = np.asarray(variances, dtype=np.float64)

    def fn(x, t):
        alpha, sigma = level(t, 0, x)
        off = x / (alpha**2 * variances + sigma**2)
        eps, x0 = sigma * off, alpha * variances * off
        return {"eps": eps, "x0": x0, "v": alpha * eps - sigma * x0}[prediction]

    return dtool.network(fn, shape=variances.shape, prediction=prediction)


def flowed(variances):
    """The variances that the flow makes of N(0, I): the prior is off by what is left of the image at T-1."""
    share = LINEAR.alpha_bar[-1]
    return (variances + START) / (share * variances + 1 - share)


MEANS, STD = np.array([-0.7, 0.5]), 0.2


def mixture(x, t):
    """E[ε | x] of the mixture of N(±, 0.2²) in each number by itself."""
    alpha, sigma = level(t, 1, x)
    wide = (alpha * STD) ** 2 + sigma**2
    off = x[..., None] - alpha * MEANS
    share = np.exp(-(off**2) / (2 * wide))
    share = share / share.sum(-1)[..., None]
    return (sigma * share * off / wide).sum(-1)


def mixture_nll(x):
    """-log p at the first level, in bits per dimension, `(n,)`."""
    density = stats.norm.pdf(x[..., None], MEANS, np.sqrt(STD**2 + START)).mean(axis=-1)
    return -np.log2(density).reshape(len(x), -1).mean(axis=1)


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_on_gaussian_data_it_is_the_closed_form(prediction):
    rng = np.random.default_rng(0)
    variances = rng.uniform(0.05, 1.5, 5)
    x = np.sqrt(variances) * rng.standard_normal((6, 5))
    exact = -stats.norm.logpdf(x, 0, np.sqrt(flowed(variances))).mean(axis=1) / np.log(2)
    density = ode(gaussian(variances, prediction), x, levels=None, tolerance=1e-7)
    assert density.per_image == pytest.approx(exact, abs=2e-6)
    assert density.error < 1e-5
    rough = ode(gaussian(variances, prediction), x, levels=None)
    assert abs(rough.per_image - exact).max() <= rough.error < 1e-2


def test_on_a_mixture_it_is_the_closed_form():
    x = np.random.default_rng(1).uniform(-1, 1, (5, 3))
    density = ode(dtool.network(mixture, shape=(3,)), x, levels=None, tolerance=1e-7)
    # what the prior is off by: T-1 still has 4e-5 of the image's variance
    assert density.per_image == pytest.approx(mixture_nll(x), abs=2e-3)
    rough = ode(dtool.network(mixture, shape=(3,)), x, levels=None)
    assert abs(density.per_image - rough.per_image).max() < rough.error < 1e-2


@pytest.mark.parametrize("seed", [0, 1])
def test_heuns_error_is_of_second_order(seed):
    rng = np.random.default_rng(seed)
    variances = rng.uniform(0.1, 1.5, 3)
    x = np.sqrt(variances) * rng.standard_normal((4, 3))
    exact = -stats.norm.logpdf(x, 0, np.sqrt(flowed(variances))).mean(axis=1) / np.log(2)
    densities = [ode(gaussian(variances), x, levels=None, steps=steps) for steps in (64, 128, 256)]
    errors = np.array([abs(density.per_image - exact).max() for density in densities])
    assert np.log2(errors[:-1] / errors[1:]) == pytest.approx(2, abs=0.2)
    assert all(error < density.error for error, density in zip(errors, densities, strict=True))


def test_hutchinson_agrees_with_the_exact_likelihood():
    x = np.random.default_rng(6).uniform(-1, 1, (40, 2))
    network = dtool.network(lambda x, t: mixture(x, t) + 0.1 * np.tanh(x[:, ::-1]), shape=(2,))
    exact = ode(network, x, levels=None, tolerance=1e-3)
    guessed = ode(network, x, levels=None, tolerance=1e-3, trace="hutchinson", probes=2, seed=3)
    off = guessed.per_image - exact.per_image
    assert abs(off.mean()) < 4 * off.std() / np.sqrt(len(off)) + exact.error + guessed.error
    assert (guessed.trace, guessed.probes, exact.trace, exact.probes) == ("hutchinson", 2, "exact", 0)


def test_dequantised_pixels_cost_more_than_the_density_says():
    """-log2 P of a level is at most what uniform noise costs, and equal to it where the density is flat in a level."""
    wide = gaussian(np.full(3, 0.3))
    x = np.random.default_rng(7).integers(60, 190, (50, 3)) / 127.5 - 1
    density = ode(wide, x, levels=256)
    half, std = 1 / 255, np.sqrt(flowed(np.full(3, 0.3)))
    truth = -np.log2(stats.norm.cdf(x + half, 0, std) - stats.norm.cdf(x - half, 0, std)).mean(axis=1)
    assert density.total == pytest.approx(truth.mean(), abs=4e-3)
    coarse = ode(gaussian(np.full(3, 0.001)), np.zeros((200, 3)), levels=3)
    sure = -np.log2(1 - 2 * stats.norm.sf(0.5, 0, np.sqrt(flowed(0.001))))
    assert coarse.total > sure + 1


def test_dequantised_pixels_stay_in_their_level():
    """The flow begins at the levels moved by less than half a level, up as often as down."""
    starts, exact = [], gaussian(np.full(4, 0.3))

    def fn(x, t):
        if len(x) == 64 and (t == 0).all():
            starts.append(np.array(x))
        return exact.fn(x, t)

    x = np.random.default_rng(9).integers(0, 9, (64, 4)) / 4 - 1
    ode(dtool.network(fn, shape=(4,)), x, levels=9, tolerance=0.1, trace="hutchinson")
    moved = min((start / LINEAR.alpha[0] - x for start in starts), key=lambda off: abs(off).max())
    assert abs(moved).max() == pytest.approx(1 / 8, rel=0.05)
    assert abs(moved.mean()) < 5 / np.sqrt(12 * moved.size) / 4


def test_each_probe_is_drawn_anew():
    x = np.random.default_rng(6).uniform(-1, 1, (9, 2))
    network = dtool.network(lambda x, t: mixture(x, t) + 0.5 * np.tanh(x[:, ::-1]), shape=(2,))
    how = {"levels": None, "tolerance": 1e-3, "trace": "hutchinson", "seed": 3}
    one, two = (ode(network, x, probes=probes, **how).per_image for probes in (1, 2))
    assert abs(two - one).max() > 1e-3


def test_no_image_depends_on_its_company_and_the_seed_says_it_all():
    rng = np.random.default_rng(8)
    x = np.round(rng.uniform(0, 255, (67, 3))) / 127.5 - 1
    network, how = dtool.network(mixture, shape=(3,)), {"tolerance": 1e-3, "trace": "hutchinson"}
    whole = ode(network, x, seed=4, **how)
    part = ode(network, x[63:66], seed=4, ids=range(63, 66), **how)
    assert np.array_equal(whole.per_image[63:66], part.per_image)
    assert not np.array_equal(part.per_image, ode(network, x[63:66], seed=5, ids=range(63, 66), **how).per_image)
    values = draw_uniforms(1, np.arange(50, dtype=np.uint64), 3, (7, 5))
    assert stats.kstest(values.ravel(), "uniform").pvalue > 1e-3
    assert np.array_equal(values[20:], draw_uniforms(1, np.arange(20, 50, dtype=np.uint64), 3, (7, 5)))


def test_a_schedule_that_ends_without_signal_and_labels():
    def fn(x, t, label):
        schedule = dtool.get_scheduler("linear:zero_snr=true")
        alpha, sigma = (v[:, None] for v in schedule.level(np.clip(t, 0, 999)))
        mean = np.array([-0.5, 0.5, 0.0])[label][:, None]
        off = (x - alpha * mean) / (alpha**2 * 0.1 + sigma**2)
        return alpha * sigma * off - sigma * (mean + alpha * 0.1 * off)

    network = dtool.network(fn, shape=(2,), schedule="linear:zero_snr=true", prediction="v", classes=2)
    x = np.random.default_rng(9).uniform(-1, 1, (3, 2))
    density = ode(network, x, levels=None, labels=[0, 1, -1], tolerance=1e-7)
    schedule = network.schedule
    std = np.sqrt(0.1 + (schedule.sigma[0] / schedule.alpha[0]) ** 2)
    exact = -stats.norm.logpdf(x, np.array([[-0.5], [0.5], [0.0]]), std).mean(axis=1) / np.log(2)
    assert density.per_image == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"tolerance": 0.5}, "tolerance"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"steps": 1}, "too few"),
        ({"probes": 0}, "too few"),
        ({"trace": "rough"}, "no trace"),
        ({"jacobian": "products"}, "cannot be differentiated"),
        ({"jacobian": "guesses"}, "there is no jacobian 'guesses'"),
        ({"labels": 1}, "not conditional"),
        ({"levels": 255}, "not on 255 levels"),
    ],
)
def test_what_cannot_be_solved_is_refused(options, cause):
    with pytest.raises(UsageError, match=cause) as caught:
        ode(gaussian([0.1, 0.2]), np.ones((2, 2)) / 255, **{"levels": None, **options})
    assert caught.value.hint


def test_a_network_that_breaks_or_never_settles_is_said(monkeypatch):
    broken = dtool.network(lambda x, t: x * np.where(t < 500, 1.0, np.nan)[:, None], shape=(2,))
    with pytest.raises(DtoolError, match="returned NaN or infinity"):
        ode(broken, np.zeros((1, 2)), levels=None)
    monkeypatch.setattr(ode_solver, "MAX_TRIES", 60)
    rough = dtool.network(lambda x, t: np.sin(1e7 * x) * 50, shape=(1,))
    with pytest.raises(DtoolError, match="stiff"):
        ode(rough, np.full((1, 1), 0.1), levels=None)


def test_progress_ends_at_its_end():
    seen = []
    ode(gaussian([0.1, 0.2]), np.zeros((3, 2)), levels=None, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (1000, 1000)
