"""Faults in training."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "loss-first-level-left-out",
        "dtool/training/loss_weights.py",
        "compute_betas(signal) * np.concatenate",
        "np.concatenate([[0.0], compute_betas(signal)[1:]]) * np.concatenate",
        "the bound's weight of the first level is 0",
    ),
    Fault(
        "ema-without-warm-up",
        "dtool/training/ema.py",
        "decay = min(self.decay, (1 + step) / (10 + step))",
        "decay = self.decay",
        "the average remembers the first weights for a thousand steps",
    ),
    Fault(
        "draw-every-epoch-alike",
        "dtool/training/random_numbers.py",
        "generator(seed, Stream.ORDER, epoch)",
        "generator(seed, Stream.ORDER)",
        "every epoch has the order of the first",
    ),
    Fault(
        "draw-every-step-alike",
        "dtool/training/random_numbers.py",
        "g = make_generator(seed, Stream.STEP, step)",
        "g = make_generator(seed, Stream.STEP)",
        "every step has the times and the noise of the first",
    ),
    Fault(
        "loop-gradient-of-any-length",
        "dtool/training/loop.py",
        "clip_grad_norm_(self.network.parameters(), config.clip)",
        'clip_grad_norm_(self.network.parameters(), float("inf"))',
        "gradients are not clipped",
    ),
    Fault(
        "session-null-class-always",
        "dtool/training/preparation.py",
        "null_class=config.label_dropout > 0,",
        "null_class=config.label_dropout >= 0,",
        "a network that never saw a hidden label is said to know one",
    ),
)
