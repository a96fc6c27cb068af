"""Packages of strangers that are installed for one test."""

import sys
import warnings

import pytest

from dtool.plugins.loader import PluginWarning
from dtool.plugins.registry import get_registry
from tests.support.plugin_packages import write_package


@pytest.fixture
def install_package(tmp_path, monkeypatch):
    """install_package(package, {module: source}): a distribution on sys.path with an entry point in the group dtool."""
    for switch in ("DTOOL_NO_PLUGINS", "DTOOL_DISABLE_PLUGINS", "DTOOL_STRICT_PLUGINS"):
        monkeypatch.delenv(switch, raising=False)
    modules = []

    def one(package, sources, version="1.2"):
        root = write_package(tmp_path, package, sources, version)
        monkeypatch.syspath_prepend(str(root))
        modules.append(package.replace("-", "_"))
        get_registry.cache_clear()
        return root

    yield one
    get_registry.cache_clear()
    for name in [n for n in sys.modules if n.split(".")[0] in modules]:
        del sys.modules[name]


@pytest.fixture
def install(install_package):
    """install(source, package): a distribution of this one module, and of more by keyword."""
    return lambda source, package="bad-one", **more: install_package(package, {"__init__": source, **more})


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        yield
