"""Faults in the metrics."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "frechet-biased-covariance",
        "dtool/measure/frechet.py",
        "np.cov(features, rowvar=False)",
        "np.cov(features, rowvar=False, bias=True)",
        "covariances are divided by n, not by n - 1",
    ),
    Fault(
        "frechet-parts-too-small",
        "dtool/metrics/frechet.py",
        "if n // k >= ROWS_PER_FEATURE * d and n // k >= 2]",
        "if n >= ROWS_PER_FEATURE * d and n // k >= 2]",
        "the line is fitted through parts with fewer images than features",
    ),
    Fault(
        "mmd-pairs-with-itself",
        "dtool/metrics/two_sample.py",
        "values[np.arange(len(block)), block] = 0",
        "values[np.arange(len(block)), block] *= 1",
        "a point is a pair with itself: the estimate is biased",
    ),
    Fault(
        "neighbours-one-too-near",
        "dtool/metrics/neighbours.py",
        "np.partition(pool.squared_distances(block, of), k, axis=1)[:, k]",
        "np.partition(pool.squared_distances(block, of), k - 1, axis=1)[:, k - 1]",
        "a point is the first of its own nearest neighbours",
    ),
    Fault(
        "sliced-directions-of-any-length",
        "dtool/metrics/sliced.py",
        "np.linalg.norm(vectors, axis=0)",
        "np.linalg.norm(vectors, axis=1, keepdims=True)",
        "directions are no unit vectors",
    ),
    Fault(
        "p-without-itself",
        "dtool/metrics/evaluation.py",
        "p = float((scores >= value).mean())",
        "p = float((scores > value).mean())",
        "the labels as they are do not count among the relabellings: p may be 0",
    ),
    Fault(
        "interval-of-ninety",
        "dtool/measure/half_sampling.py",
        "(0.025, 0.975)",
        "(0.05, 0.95)",
        "what is called a 95% interval holds 90%",
    ),
    Fault(
        "null-doubled",
        "dtool/metrics/reference.py",
        "ratio = (1 / n + 1 / m) * half / 2",
        "ratio = (1 / n + 1 / m) * half",
        "what real images score among themselves is taken for twice as much",
    ),
    Fault(
        "typical-distance-to-itself",
        "dtool/metrics/pool.py",
        "np.triu_indices(n, 1)",
        "np.triu_indices(n)",
        "the median distance counts that of each point to itself",
    ),
    Fault(
        "difference-unpaired",
        "dtool/metrics/difference.py",
        "theirs = np.roll(mine, n, axis=1)",
        "theirs = halves(random, n, n, total, len(mine))",
        "the interval of a difference is of halves that are not those of one seed",
    ),
)
