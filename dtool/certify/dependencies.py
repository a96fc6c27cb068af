"""What a measurement depends on: the source of every module that its code can import, as one hash."""

from __future__ import annotations

import ast
import platform
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np

import dtool
from dtool.plan import Recipe
from dtool.samplers.rule import Rule

_PACKAGE = Path(dtool.__file__).parent


def hash_dependencies(rule: Rule) -> str:
    """Of a rule's certificates: its module's and dtool's own sources that they can reach, numpy, and this machine.

    A plugin's rule depends on every module of its package, too. Raises OSError if a source cannot be read.
    """
    return _hash_sources(rule.step.__module__, *find_origins(rule))


def find_origins(rule: Rule) -> tuple[Path, ...]:
    """The files with which the search begins: the rule's module or package, and the examination's own."""
    origins = [_PACKAGE / "certify" / "conformance.py", _PACKAGE / "certify" / "convergence.py"]
    for room in ("schedulers", "spacings"):  # the registry names their modules as text; nothing imports them
        origins += sorted((_PACKAGE / room).glob("*.py"))
    for one in (
        rule,
        *(Recipe.parse(claim.recipe).rule for claim in rule.same),
    ):  # and the methods with which its certificate compares it
        origins += _find_sources(one.step.__module__)
    return tuple(origins)


def _find_sources(module: str) -> list[Path]:
    """A module of dtool, or the whole package that another one is in."""
    top = module.partition(".")[0]
    file = getattr(sys.modules.get(module if top == _PACKAGE.name else top), "__file__", None)
    if file is None:
        return []
    path = Path(file)
    return sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]


@cache
def _hash_sources(module: str, *origins: Path) -> str:
    digest = sha256(f"{module} {np.__version__} {sys.version} {platform.machine()}".encode())
    for path in sorted(find_reachable(origins)):
        digest.update(f"\n{path.relative_to(_PACKAGE.parent) if _is_own(path) else path.name}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def find_reachable(origins: Iterable[Path]) -> set[Path]:
    """These files and all of dtool that they import, at any remove, in functions too."""
    reachable: set[Path] = set()
    waiting = list(origins)
    while waiting:
        path = waiting.pop()
        if path not in reachable:
            reachable.add(path)
            waiting += _list_imported(path)
    return reachable


@cache
def _list_imported(path: Path) -> tuple[Path, ...]:
    tree = ast.parse(path.read_bytes())
    return tuple(file for name in _list_names(tree) for file in _find_files(name))


def _list_names(tree: ast.Module) -> Iterator[str]:
    """Every module that an import may mean: in `from a import b`, b may be one of its own. None for type checkers."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _find_files(name: str) -> Iterator[Path]:
    """The files of dtool that importing a module runs: its own, and those of the packages that it is in."""
    parts = name.split(".")
    if parts[0] != _PACKAGE.name:
        return
    for depth in range(1, len(parts) + 1):
        place = _PACKAGE.joinpath(*parts[1:depth])
        yield from (file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file())


def _is_own(path: Path) -> bool:
    return path.is_relative_to(_PACKAGE)
