"""What a measurement depends on: every source that its code can reach."""

import subprocess
import sys
from pathlib import Path

import dtool
from dtool.certify import dependencies
from dtool.samplers import get_sampler
from dtool.samplers.rule import sampler

EULER = get_sampler("euler")
PACKAGE = Path(dtool.__file__).parent


def test_all_that_a_certificate_runs_is_among_its_sources():
    """Every module of dtool that is loaded once the certificates of a multistep rule have run."""
    code = (
        "import sys, dtool.certify\n"
        "for one in dtool.certify.checks('unipc'):\n"
        "    if not one.__name__.startswith('order-'): one()\n"
        "loaded = [m for name, m in sys.modules.items() if name.partition('.')[0] == 'dtool']\n"
        "print(*(m.__file__ for m in loaded if m.__file__), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    reachable = dependencies.find_reachable(dependencies.find_origins(get_sampler("unipc")))
    assert {Path(line) for line in done.stdout.splitlines()} <= reachable


def test_a_rule_depends_on_its_own_module_and_not_on_the_others():
    reachable = dependencies.find_reachable(dependencies.find_origins(get_sampler("dpmpp-3m")))
    assert PACKAGE / "samplers" / "dpmpp_3m.py" in reachable
    assert PACKAGE / "samplers" / "lms.py" not in reachable
    assert not [path for path in reachable if path.parent.name in ("cli", "report", "training", "compare")]


def test_every_source_changes_the_hash(monkeypatch):
    before = dependencies.hash_dependencies(EULER)
    read = Path.read_bytes
    for changed in (
        "certify/order.py",
        "plan/compiler.py",
        "targets/line.py",
        "schedulers/cosine.py",
        "samplers/euler.py",
    ):
        monkeypatch.setattr(
            Path, "read_bytes", lambda self, at=PACKAGE / changed: read(self) + (b"#" if self == at else b"")
        )
        dependencies._hash_sources.cache_clear()
        assert dependencies.hash_dependencies(EULER) != before, changed
    monkeypatch.undo()
    dependencies._hash_sources.cache_clear()
    assert dependencies.hash_dependencies(EULER) == before


def test_a_rule_of_another_package_depends_on_that_package():
    @sampler("elsewhere", order=1)
    def elsewhere(now, to):
        return to.alpha * now.x0 + to.sigma * now.eps

    assert Path(__file__) in dependencies.find_origins(elsewhere)
