"""Packages of strangers, made up on the spot: their source, and their entry point in the group dtool."""

import textwrap
from pathlib import Path

from dtool.plugins.registry import get_registry

HOOK = "from dtool import hookimpl\n"
RULE = '''
from dtool.samplers.rule import sampler
@sampler("{declared}", order=1)
def step(now, to):
    """A stranger's rule."""
    {body}
    return to.alpha * now.x0 + to.sigma * now.eps
'''
REGISTER = "\n@hookimpl\ndef register_{kind}s(register):\n    register({what})\n"
WHO = "bad-one 1.2"


def rule(what='"good", step', declared="good", body="pass"):
    """A plugin's source: one rule, and what is registered."""
    return HOOK + RULE.format(declared=declared, body=body) + REGISTER.format(kind="sampler", what=what)


def thing(kind, body, name="odd", signature=None, decorator=None):
    """A plugin's source: one schedule, spacing or metric with this body."""
    module = {"scheduler": "schedulers.scheduler", "spacing": "spacings.spacing", "metric": "metrics"}[kind]
    takes = {"scheduler": "*, T: int = 1000", "spacing": "schedule, n", "metric": "samples, reference"}[kind]
    title = ', "Odd"' if kind == "metric" else ""
    source = f'from dtool.{module} import {kind}\n@{kind}("{name}"{title})\ndef thing({signature or takes}):\n'
    source += f'    """Odd."""\n    {body}\n'
    return HOOK + source + REGISTER.format(kind=kind, what=f'"{name}", thing')


def good(name, module):
    """The sources of a package with one rule, which is registered by where it is."""
    hook = f'''
        from dtool import hookimpl

        @hookimpl
        def register_samplers(register):
            register("{name}", "{module}.rule:step")
    '''
    return {"__init__": hook, "rule": RULE.format(declared=name, body="pass")}


def plugin(name="bad-one"):
    """The plugin of this name, with all that are installed loaded."""
    get_registry().load_installed()
    return next(p for p in get_registry().plugins if p.name == name)


def write_package(folder: Path, package: str, sources: dict[str, str], version: str = "1.2") -> Path:
    """A distribution of these modules with the entry point `package`; returns the folder for sys.path."""
    module = package.replace("-", "_")
    root = folder / package
    (root / module).mkdir(parents=True)
    for name, source in sources.items():
        (root / module / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    info = root / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[dtool]\n{package} = {module}\n")
    return root
