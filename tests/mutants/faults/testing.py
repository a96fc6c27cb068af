"""Faults in the certificates."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "largest-goes-past-nan",
        "dtool/certify/result.py",
        "(inf if isnan(value) else value for value in values)",
        "(value for value in values)",
        "a deviation that is no number is none",
    ),
    Fault(
        "invariances-bar",
        "dtool/certify/invariances.py",
        "BAR = 1e-9",
        "BAR = 1e9",
        "no rule depends on its coordinates too much",
    ),
    Fault(
        "identities-noise-unseen",
        "dtool/certify/identities.py",
        "differences = (signal - other_signal) / scale, covariance / (scale * scale.T)",
        "differences = ((signal - other_signal) / scale,)",
        "methods that differ in their noise alone are the same",
    ),
    Fault(
        "certificates-one-grid-will-do",
        "dtool/certify/certificates.py",
        "good = all(s.exact or s.value > expected - 0.15 for s in slopes.values())",
        "good = any(s.exact or s.value > expected - 0.15 for s in slopes.values())",
        "a local order that holds on equal steps alone passes",
    ),
    Fault(
        "certificates-one-backend-will-do",
        "dtool/certify/certificates.py",
        "_to_status(not any(changes.values()))",
        "_to_status(not all(changes.values()))",
        "an image may depend on its batch on one backend",
    ),
    Fault(
        "ends-calls-too-few",
        "dtool/certify/ends.py",
        "if (inner_calls != rule.calls).any():",
        "if (inner_calls > rule.calls).any():",
        "a rule that calls the network less often than it states passes",
    ),
    Fault(
        "levels-whole-times-unseen",
        "dtool/certify/levels.py",
        '"pass" if error <= 1e-6 and exact else "fail"',
        '"pass" if error <= 1e-6 else "fail"',
        "a schedule whose whole times are not its table's entries passes",
    ),
    Fault(
        "rounding-bar",
        "dtool/certify/rounding.py",
        "BAR = 0.25",
        "BAR = 25.0",
        "a schedule on which float32 loses the image passes",
    ),
    Fault(
        "sweep-hint-unasked",
        "dtool/certify/sweep.py",
        "return bool(error.hint) and re.search(",
        "return re.search(",
        "a refusal need not say what to do",
    ),
)
