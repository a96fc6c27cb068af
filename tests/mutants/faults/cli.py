"""Faults in the command line."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "compare-limit-exits-with-1",
        "dtool/cli/commands/compare.py",
        "FAILED = 3",
        "FAILED = 1",
        "a figure beyond its limit cannot be told from a failure",
    ),
    Fault(
        "errors-bar-exits-with-1",
        "dtool/errors.py",
        "exit_code = 3",
        "exit_code = 1",
        "an export that loses too much cannot be told from a failure",
    ),
    Fault(
        "sample-drops-the-threshold",
        "dtool/cli/flags/sample_words.py",
        'return how | {"threshold": words.threshold} | (',
        "return how | (",
        "--threshold is not handed on",
    ),
    Fault(
        "arguments-drop-the-device",
        "dtool/cli/flags/loading.py",
        "return open_source(model, description, runtime)",
        'return open_source(model, description, replace(runtime, device="auto"))',
        "--device of a file is not handed on",
    ),
    Fault(
        "likelihood-drops-the-clip",
        "dtool/cli/commands/likelihood.py",
        '"spacing": chain.spacing, "clip": chain.clip,',
        '"spacing": chain.spacing,',
        "--clip is not handed on to the bound",
    ),
    Fault(
        "forward-loses-the-seed",
        "dtool/cli/commands/forward.py",
        "normals(seed, np.zeros(1, np.uint64), 0, x0.shape)",
        "normals(0, np.zeros(1, np.uint64), 0, x0.shape)",
        "--seed changes nothing",
    ),
    Fault(
        "values-hour-of-six-minutes",
        "dtool/cli/flags/values.py",
        '"h": 3600',
        '"h": 360',
        "--budget 1h is six minutes",
    ),
    Fault(
        "train-size-swapped",
        "dtool/cli/flags/training.py",
        "return parts[0], parts[-1]",
        "return parts[-1], parts[0]",
        "--size HEIGHTxWIDTH is read the other way round",
    ),
    Fault(
        "check-first-sampler-alone",
        "dtool/cli/commands/check.py",
        "for checks in results.values() for result in checks):",
        "for checks in list(results.values())[:1] for result in checks):",
        "the exit code says nothing of the second sampler",
    ),
    Fault(
        "limits-last-one-alone",
        "dtool/cli/flags/fail_if.py",
        "failed = failed or any(one.sure for one in violations)",
        "failed = any(one.sure for one in violations)",
        "of several limits the last one decides",
    ),
    Fault(
        "run-warns-again-and-again",
        "dtool/cli/run.py",
        "if text in self.shown or issubclass(category, FOR_PROGRAMMERS):",
        "if issubclass(category, FOR_PROGRAMMERS):",
        "the same warning is shown each time",
    ),
)
