"""A step of an autoencoder's training: what its loss is, that it depends on (seed, step) alone, and that it learns."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
pytest.importorskip("diffusers")
from dtool.training.codec_loop import CodecTrainer, reconstruct  # noqa: E402
from dtool.training.codec_loss import compute_psnr, compute_reconstruction_loss  # noqa: E402
from dtool.training.device import make_accelerator  # noqa: E402
from tests.support.codec_training import LATENT, SHAPE, make_config, make_pictures  # noqa: E402


def make_trainer(count: int = 24, **settings: object) -> CodecTrainer:
    return CodecTrainer(make_config(**settings), make_pictures(count), make_accelerator("cpu", "no"))


def test_shapes_and_the_loss_at_a_posterior_without_deviation() -> None:
    """Where nothing is drawn the loss is the reconstruction's own."""
    trainer = make_trainer(kl=0.0, edges=0.0, flip=False, batch_size=24)
    with torch.no_grad():
        trainer.network.quant_conv.weight[2:] = 0
        trainer.network.quant_conv.bias[2:] = -100  # the logarithm of the variance, which is cut off at -30
        truth = torch.from_numpy(trainer.images.take())
        posterior = trainer.network.encode(truth).latent_dist
        assert posterior.mean.shape == (24, *LATENT)
        expected = compute_reconstruction_loss(reconstruct(trainer.network, truth), truth, edges=0.0)
        assert tuple(truth.shape[1:]) == SHAPE
    torch.testing.assert_close(trainer.compute_loss(0).detach(), expected, rtol=1e-4, atol=1e-6)


def test_the_divergence_is_added_by_its_weight() -> None:
    losses = [float(make_trainer(kl=kl).compute_loss(2).detach()) for kl in (0.0, 1e-3, 2e-3)]
    assert losses[1] > losses[0]
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-3)


def test_a_step_is_a_function_of_the_seed_and_its_number() -> None:
    one, same, other = (make_trainer(seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.compute_loss(5), same.compute_loss(5))
    assert not torch.equal(one.compute_loss(5), one.compute_loss(6))
    assert not torch.equal(one.network.quant_conv.weight, other.network.quant_conv.weight)


def test_it_learns_and_the_psnr_is_that_of_the_average() -> None:
    trainer = make_trainer(steps=60, lr=5e-3, ema=0.8, batch_size=8)
    before = trainer.measure_psnr(trainer.images)
    losses = [progress.loss for progress in trainer.run()]
    after = trainer.measure_psnr(trainer.images)
    assert losses[-1] < 0.7 * losses[0]
    assert after > before + 2
    truth = torch.from_numpy(trainer.images.take())
    with torch.no_grad():
        expected = compute_psnr(reconstruct(trainer.get_average(), truth), truth).mean()
    assert after == pytest.approx(float(expected), abs=1e-3)
