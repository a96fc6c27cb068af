"""There is a hook for each kind of thing, which a package may implement, and dtool's own implement each."""

import inspect

from dtool.plugins import builtin, hookspecs
from dtool.plugins.loader import KINDS

HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("register_")}


def test_each_kind_has_a_hook_that_says_how_it_is_used():
    assert set(HOOKS) == {f"register_{kind}" for kind in KINDS}
    for hook in HOOKS.values():
        assert list(inspect.signature(hook).parameters) == ["register"]
        assert "register(" in inspect.getdoc(hook)


def test_dtool_s_own_things_come_in_by_the_same_hooks():
    assert set(HOOKS) <= set(vars(builtin))
