"""Faults in the networks."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "guidance-of-the-variance",
        "dtool/models/guidance.py",
        "given[:, :channels] = mean",
        "given = without + weight * (given - without)",
        "guidance extrapolates a learned variance, too",
    ),
    Fault(
        "labels-one-too-many",
        "dtool/models/labels.py",
        "(values >= network.classes).any()",
        "(values > network.classes).any()",
        "the first class beyond the last is taken, and means no class",
    ),
    Fault(
        "labels-of-two-names",
        "dtool/models/labels.py",
        "if composed.count(wanted) > 1:",
        "if composed.count(wanted) > 2:",
        "of two classes of one name the first is meant",
    ),
    Fault(
        "checkpoint-promises-unseen",
        "dtool/models/weight_file.py",
        " or value.numel() * value.element_size() > value.untyped_storage().nbytes()",
        "",
        "weights may stand for more numbers than the file holds",
    ),
    Fault(
        "archive-checksums-unseen",
        "dtool/models/pt_archive.py",
        "if bad := archive.testzip():",
        'if bad := "":',
        "a checkpoint with a flipped byte is read",
    ),
    Fault(
        "spec-unknown-is-no",
        "dtool/models/spec.py",
        "(self.null_class is not False)",
        "(self.null_class is True)",
        "where it is not known whether a label means no class, there is none",
    ),
    Fault(
        "batch-invariance-one-class",
        "dtool/models/batch_invariance.py",
        "label = np.where(trial.kept, own, last if by > 1 else 0)",
        "label = np.where(trial.kept, own, 0)",
        "a class that leaks into the other images of a batch is not noticed",
    ),
    Fault(
        "batch-invariance-two-at-a-time",
        "dtool/models/batch_invariance.py",
        "network.micro_batch = 1",
        "network.micro_batch = 2",
        "a network that mixes its batch runs two images at a time",
    ),
    Fault(
        "unet-wave-lengths",
        "dtool/models/unet_blocks.py",
        "(-math.log(1e4) / half)",
        "(-math.log(1e4) / (half - 1))",
        "the time embedding's wave lengths are not those of the checkpoints that there are",
    ),
    Fault(
        "variance-upside-down",
        "dtool/models/learned_variance.py",
        "((1 - self._v) / 2)",
        "((1 + self._v) / 2)",
        "where the network says β it gets β̃",
    ),
    Fault(
        "measure-loses-the-seed",
        "dtool/models/variance_measurement.py",
        "network.noise(seed, ids, 1)(t)[0]",
        "network.noise(0, ids, 1)(t)[0]",
        "the variance is measured with the noise of seed 0",
    ),
)
