"""Which tests each command runs (tests/support/tiers.py), and fixtures of several rooms."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import tiers

# The same examples in every run, so that a change is judged by what it changes.
settings.register_profile("dtool", derandomize=True)
settings.load_profile("dtool")

# A shell that runs tests in the background has them ignore Ctrl-C, and so would all that they start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

NODES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("samples", "cases that stand for others in make test")
    group.addoption("--sample-seed", default=tiers.SEED, metavar="WORDS", help="chooses them; any text")
    group.addoption("--sample-factor", default=1.0, type=float, metavar="X", help="so many times as many of them")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    nodes = config.stash[NODES] = [item.nodeid for item in items]
    seed, factor = config.getoption("--sample-seed"), config.getoption("--sample-factor")
    whole, core = tiers.find_whole(nodes, seed, factor), tiers.find_core(nodes, seed)
    for item in items:
        if item.nodeid in whole:
            item.add_marker(pytest.mark.whole)
        if item.nodeid in core:
            item.add_marker(pytest.mark.core)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own folder, which is the working directory, too."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def host_file(folder: Path) -> Path:
    """`net.onnx` in the test's own folder: a small network with classes and guidance, to put a sampler around."""
    pytest.importorskip("onnx")
    from tests.support.small_networks import write

    write(folder / "net.onnx", shape=(1, 6, 5), classes=3, guidance=1.5, clip=True)
    return folder / "net.onnx"


@pytest.fixture
def collected(pytestconfig: pytest.Config) -> list[str]:
    """The node ids of all tests that were collected, those included that this command does not run."""
    return pytestconfig.stash[NODES]
