"""dtool's own entries come through the door of plugins."""

import sys

from dtool.plan import plan
from dtool.plugins import builtin, hookspecs
from dtool.plugins.loader import KINDS
from dtool.plugins.registrar import Provider, Registrar
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler
from tests.support.plugin_packages import good


def test_built_in_names_import_no_plugin(install_package):
    install_package("dtool-lazy", good("lazy", "dtool_lazy"))
    plan("ddim@linear/karras", steps=5)
    assert "dtool_lazy" not in sys.modules


def test_a_built_in_name_stays_built_in(install_package):
    install_package("dtool-thief", good("ddim", "dtool_thief"))
    list(get_registry().samplers)
    assert get_sampler("ddim").step.__module__ == "dtool.samplers.ddim"
    assert get_sampler("dtool-thief/ddim").step.__module__ == "dtool_thief.rule"
    assert get_sampler("dtool/ddim").step.__module__ == "dtool.samplers.ddim"


def test_built_ins_come_through_the_same_door():
    for kind in KINDS:
        registrar = Registrar(kind.removesuffix("s"), Provider("dtool", "0"))
        getattr(builtin, f"register_{kind}")(registrar)
        assert {e.name for e in registrar.entries} <= {e.name for e in getattr(get_registry(), kind)}
        assert (getattr(hookspecs, f"register_{kind}").__doc__ or "").count("e.g.") == 1
        for entry in registrar.entries:
            assert isinstance(entry.target, str), "imported when it is used"
            assert entry.load().name == entry.name
            assert entry.load().doc
