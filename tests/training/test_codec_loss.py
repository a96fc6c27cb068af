"""The loss and the PSNR against what is known in closed form."""

import math

import pytest

torch = pytest.importorskip("torch")
from dtool.training.codec_loss import compute_kl, compute_psnr, compute_reconstruction_loss  # noqa: E402


def test_the_divergence_is_that_of_two_gaussians() -> None:
    """Against torch.distributions, and by hand: ½ (4 + e² - 1 - 2) for a mean of 2 and a deviation of e."""
    g = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(5, 2, 3, 4, generator=g), torch.randn(5, 2, 3, 4, generator=g)
    own = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0)).sum((1, 2, 3)).mean()
    torch.testing.assert_close(compute_kl(mean, log_variance), expected)
    one = compute_kl(torch.full((1, 1), 2.0), torch.full((1, 1), 2.0))
    assert float(one) == pytest.approx((4 + math.exp(2) - 1 - 2) / 2)
    assert float(compute_kl(torch.zeros(2, 3), torch.zeros(2, 3))) == 0


def test_the_divergence_is_diffusers_own() -> None:
    vae = pytest.importorskip("diffusers.models.autoencoders.vae")
    moments = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    posterior = vae.DiagonalGaussianDistribution(moments)
    torch.testing.assert_close(compute_kl(posterior.mean, posterior.logvar), posterior.kl().mean())


def test_a_shift_has_no_error_at_edges_and_a_step_has() -> None:
    truth = torch.zeros(1, 1, 4, 4)
    assert float(compute_reconstruction_loss(truth + 0.5, truth, edges=3.0)) == pytest.approx(0.5, rel=1e-5)
    step = truth.clone()
    step[..., 2:] = 0.8  # e² is 0.64 in half of the pixels; across, one of three differences is 0.8
    assert float(compute_reconstruction_loss(step, truth, edges=0.0)) == pytest.approx(math.sqrt(0.32), rel=1e-5)
    both = math.sqrt(0.32 + 3 * 0.64 / 3)
    assert float(compute_reconstruction_loss(step, truth, edges=3.0)) == pytest.approx(both, rel=1e-5)


def test_the_loss_is_the_mean_of_what_the_psnr_is_the_logarithm_of() -> None:
    g = torch.Generator().manual_seed(0)
    truth, error = torch.zeros(5, 3, 4, 4), 0.1 * torch.randn(5, 3, 4, 4, generator=g)
    expected = (2 * 10 ** (-compute_psnr(error, truth) / 20)).mean()
    torch.testing.assert_close(compute_reconstruction_loss(error, truth, edges=0.0), expected, rtol=1e-3, atol=0)


def test_a_perfect_picture_has_a_slope() -> None:
    pictures = torch.zeros(1, 1, 2, 2, requires_grad=True)
    compute_reconstruction_loss(pictures, torch.zeros(1, 1, 2, 2), edges=1.0).backward()
    assert torch.equal(pictures.grad, torch.zeros(1, 1, 2, 2))


def test_psnr_by_its_formula() -> None:
    """An error of a tenth of the range is 20 dB, of a hundredth 40; numbers beyond the range are cut off first."""
    truth = torch.zeros(2, 3, 4, 4)
    off = torch.stack([truth[0] + 0.2, truth[1] - 0.02])
    torch.testing.assert_close(compute_psnr(off, truth), torch.tensor([20.0, 40.0]))
    assert float(compute_psnr(torch.full((1, 1, 2, 2), 9.0), torch.full((1, 1, 2, 2), 1.0))) == math.inf
