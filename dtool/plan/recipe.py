"""A recipe in one token: SAMPLER[:k=v,…][@SCHEDULER[:k=v,…]][/SPACING[:k=v,…]]."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from dtool.containment import contained
from dtool.errors import DtoolError, PluginError, UsageError, shown
from dtool.options import parsed
from dtool.plugins.registry import registry
from dtool.samplers import sampler
from dtool.samplers.rule import Rule
from dtool.schedulers import schedule, spacing
from dtool.schedulers.schedule import UNNAMED, Schedule
from dtool.schedulers.spacing import Spacing

DEFAULT_SPACING = "trailing"
_PIECE = re.compile(r'[@/]?(?:"(?:[^"\\]|\\.)*"|[^@/"])+')


@dataclass(frozen=True)
class Recipe:
    """A sampler, the schedule to run it on (None: the one that the network was trained on), and a spacing."""

    rule: Rule
    scheduler: Schedule | None = None
    spacing: Spacing | None = None

    @classmethod
    def parse(cls, token: str) -> Recipe:
        """Read a recipe; raises UsageError for what cannot be read or is not known.

        SAMPLER may also be the name of a whole recipe, e.g. "DPM++ 2M Karras": options are then those of its sampler.
        """
        if not isinstance(token, str):
            raise UsageError(f"{shown(token)} is no recipe", "write it as text: SAMPLER@SCHEDULER/SPACING")
        first, at, slash = _split(token)
        recipe = _known_as(first)
        if recipe is None:
            registry().samplers.entry(parsed(first)[0], recipes=True)  # which knows what else could have been meant
            recipe = cls(sampler(first))
        return recipe.where(at or None, slash or None)

    def where(self, scheduler: str | Schedule | None, place: str | Spacing | None, **options: Any) -> Recipe:
        """This recipe with what it leaves open filled in; raises UsageError if something is said twice."""
        changed = self
        if scheduler is not None:
            if self.scheduler is not None:
                raise UsageError(f"{self} names its schedule already", "leave out @… or scheduler=")
            changed = replace(changed, scheduler=schedule(scheduler) if isinstance(scheduler, str) else scheduler)
        if place is not None:
            if self.spacing is not None:
                raise UsageError(f"{self} names its spacing already", "leave out /… or spacing=")
            changed = replace(changed, spacing=spacing(place) if isinstance(place, str) else place)
        if options:
            changed = replace(changed, rule=changed.rule.bind(**{**dict(self.rule.options), **options}))
        return changed

    def __str__(self) -> str:
        at = f"@{self.scheduler.token or UNNAMED}" if self.scheduler else ""
        slash = f"/{self.spacing.token}" if self.spacing and self.spacing.token != DEFAULT_SPACING else ""
        return self.rule.token + at + slash


def recipe_of_file(token: str, source: str) -> Recipe:
    """The recipe that the file `source` holds; raises UsageError as `Recipe.parse`, and if it names another file."""
    with contained(source):
        return Recipe.parse(token)


def _known_as(first: str) -> Recipe | None:
    """The recipe that people know by the name in `first`, with the options there; None if there is none."""
    known = registry()
    name, options = parsed(first)
    if known.samplers.knows(name):
        return None
    if known.recipes.get(name) is None:
        known.load_installed()
    found = known.recipes.get(name)
    if found is None or known.samplers.knows(name):
        return None
    try:
        head, at, slash = _split(found.token)
        whole = Recipe(sampler(head)).where(at or None, slash or None)
    except DtoolError as error:
        if found.provider.name == "dtool":
            raise
        who = f"{found.provider.name} {found.provider.version}"
        cause = f"recipe {found.name!r} of {who} is {found.token!r}, which cannot be had ({error})"
        raise PluginError(cause, f"upgrade or uninstall {found.provider.name}, or tell its authors") from error
    return whole.where(None, None, **options)


def _split(token: str) -> tuple[str, str, str]:
    """(sampler, scheduler, spacing) of a token, as text; `package/name` stays together."""
    pieces = _PIECE.findall(token)
    if "".join(pieces) != token or not pieces or pieces[0][0] in "@/":
        raise UsageError(f"cannot read the recipe {token!r}", "write SAMPLER[:k=v][@SCHEDULER[:k=v]][/SPACING[:k=v]]")
    joined = pieces[:1]
    for piece in pieces[1:]:
        if piece[0] == "/" and _is_package(joined[-1], piece):
            joined[-1] += piece
        else:
            joined.append(piece)
    found = {"": joined[0]}
    for piece in joined[1:]:
        if piece[0] in found or (piece[0] == "@" and "/" in found):
            raise UsageError(f"cannot read the recipe {token!r}", "the order is SAMPLER@SCHEDULER/SPACING, each once")
        found[piece[0]] = piece[1:]
    return found[""], found.get("@", ""), found.get("/", "")


def _is_package(head: str, name: str) -> bool:
    """Whether `head` is the package in a `package/name`. Other packages are loaded only for a head that is unknown."""
    known = registry()
    catalogue = {"@": known.schedulers, "/": known.spacings}.get(head[0], known.samplers)
    head = head.lstrip("@/")
    whole = head + name.partition(":")[0]
    if ":" in head:
        return False
    if not (catalogue.knows(whole) or catalogue.knows(head)):
        known.load_installed()
    return catalogue.knows(whole) or (head in {plugin.name for plugin in known.plugins} and not catalogue.knows(head))
