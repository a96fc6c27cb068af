"""Parts of a package whose front door imports far more than they need."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from dtool.errors import DtoolError
from dtool.models.readers.opening import import_package


def import_part(name: str, part: str, package: str, purpose: str) -> ModuleType:
    """The module `part` of an installed package, e.g. `models.image_v1`, without running the package's `__init__`.

    It lives under a name of dtool's own, so that the package itself can still be imported, whole. Raises DtoolError if
    the package, or what the part itself imports, is not installed.
    """
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise DtoolError(f"{name} is needed to {purpose}", f"pip install {package}")
    own = f"_dtool_parts_of_{name}"
    if own not in sys.modules:
        parent = ModuleType(own)
        parent.__path__ = list(found.submodule_search_locations)
        sys.modules[own] = parent
    return import_package(f"{own}.{part}", package, purpose)
