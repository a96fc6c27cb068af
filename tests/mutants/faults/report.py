"""Faults in the report."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "values-script-is-broken-out-of",
        "dtool/report/values.py",
        '_UNSAFE = "<>&',
        '_UNSAFE = ">&',
        "a name with </script> in it ends the page's script",
    ),
    Fault(
        "front-of-what-costs-more",
        "dtool/report/quality.py",
        'if sign * rows[i]["value"] < best:',
        'if sign * rows[i]["value"] <= best:',
        "a recipe as good as a cheaper one is on the front",
    ),
    Fault(
        "pictures-without-the-end",
        "dtool/report/pictures.py",
        "round(i * (states - 1) / (frames - 1))",
        "round(i * (states - 1) / frames)",
        "of many states the last is not shown",
    ),
)
