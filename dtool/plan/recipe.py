"""A recipe in one token: SAMPLER[:k=v,…][@SCHEDULER[:k=v,…]][/SPACING[:k=v,…]][~GUIDANCE]."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError, PluginError, UsageError, format_value
from dtool.guidances import get_guidance
from dtool.guidances.guidance import Guidance
from dtool.plan.foreign import find_library, read_foreign_rule
from dtool.plan.plan_file import SavedPlan, find_plan_file, read_plan_file
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler
from dtool.samplers.rule import Rule
from dtool.schedulers import get_scheduler
from dtool.schedulers.schedule import UNNAMED, Schedule
from dtool.spacings import get_spacing
from dtool.spacings.spacing import Spacing
from dtool.util.file_references import contain_names
from dtool.util.options import parse_token

DEFAULT_SPACING = "trailing"
FORM = "SAMPLER[:k=v][@SCHEDULER[:k=v]][/SPACING[:k=v]][~GUIDANCE]"
_UNGUIDED = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^~"])*')
_PIECE = re.compile(r'[@/]?(?:"(?:[^"\\]|\\.)*"|[^@/"])+')


@dataclass(frozen=True)
class Recipe:
    """A sampler, the schedule to run it on (None: the one that the network was trained on), a spacing, and guidance.

    >>> recipe = dtool.Recipe.parse("ddim:eta=0.5@cosine/karras:rho=5")
    >>> recipe.rule.token, recipe.scheduler.T, str(recipe)
    ('ddim:eta=0.5', 1000, 'ddim:eta=0.5@cosine/karras:rho=5.0')
    """

    rule: Rule
    scheduler: Schedule | None = None
    spacing: Spacing | None = None
    guidance: Guidance | None = None

    @classmethod
    def parse(cls, token: str) -> Recipe:
        """Read a recipe; raises UsageError for what cannot be read or is not known.

        SAMPLER may also be the name of a whole recipe, e.g. "DPM++ 2M Karras": options are then those of its sampler;
        or a sampler of another library, e.g. "diffusers:DDIMScheduler" or "k-diffusion:sample_heun", which is imported;
        or the file of a plan that was saved, e.g. "five.json".
        """
        if not isinstance(token, str):
            raise UsageError(f"{format_value(token)} is no recipe", "write it as text: SAMPLER@SCHEDULER/SPACING")
        if (library := find_library(token)) is not None:
            return _parse_foreign(library, token)
        if find_plan_file(token) is not None:
            unguided, guided = split_guidance(token)
            return cls(read_plan_file(unguided)).add_guidance(guided or None)
        first, at, slash, guided = _split_token(token)
        recipe = _find_named_recipe(first)
        if recipe is None:
            get_registry().samplers.entry(
                parse_token(first)[0], recipes=True
            )  # which knows what else could have been meant
            recipe = cls(get_sampler(first))
        return recipe.complete(at or None, slash or None).add_guidance(guided or None)

    def complete(self, scheduler: str | Schedule | None, place: str | Spacing | None, **options: Any) -> Recipe:
        """This recipe with what it leaves open filled in; raises UsageError if something is specified twice."""
        changed = self
        if scheduler is not None:
            if self.scheduler is not None:
                raise UsageError(f"{self} names its schedule already", "leave out @… or scheduler=")
            changed = replace(changed, scheduler=get_scheduler(scheduler) if isinstance(scheduler, str) else scheduler)
        if place is not None:
            if self.spacing is not None:
                raise UsageError(f"{self} names its spacing already", "leave out /… or spacing=")
            changed = replace(changed, spacing=get_spacing(place) if isinstance(place, str) else place)
        if options:
            changed = replace(changed, rule=changed.rule.bind(**{**dict(self.rule.options), **options}))
        return changed

    def add_guidance(self, guidance: str | Guidance | None) -> Recipe:
        """This recipe with guidance, e.g. "3@-1.3:0.3"; raises UsageError if it names another already."""
        if guidance is None:
            return self
        if self.guidance is not None:
            raise UsageError(f"{self} names its guidance already", "leave out ~… or guidance=")
        return replace(self, guidance=get_guidance(guidance) if isinstance(guidance, str) else guidance)

    @property
    def own_steps(self) -> int | None:
        """The number of steps that a saved plan has; None of a rule, which has as many as are asked for."""
        return self.rule.plan.steps if isinstance(self.rule, SavedPlan) else None

    def __str__(self) -> str:
        at = f"@{self.scheduler.token or UNNAMED}" if self.scheduler else ""
        slash = f"/{self.spacing.token}" if self.spacing and self.spacing.token != DEFAULT_SPACING else ""
        tilde = f"~{self.guidance.token}" if self.guidance else ""
        return self.rule.token + at + slash + tilde


def _parse_foreign(library: str, token: str) -> Recipe:
    """The recipe of another library's sampler: a folder's path, or a name that may be followed as any other."""
    unguided, guided = split_guidance(token)
    word = unguided.partition(":")[2]
    if library == "diffusers" and (word.startswith((".", "/", "~")) or ("/" in word and Path(word).is_dir())):
        return Recipe(read_foreign_rule(library, word)).add_guidance(guided or None)
    first, at, slash, _ = _split_token(word) if word else ("", "", "", "")
    rule = read_foreign_rule(library, first)
    if slash and rule.own_grid:
        raise UsageError(f"{rule.token} has levels of its own, and takes no spacing", f"leave out /{slash}")
    return Recipe(rule).complete(at or None, slash or None).add_guidance(guided or None)


def parse_recipe_of_file(token: str, source: str) -> Recipe:
    """The recipe that the file `source` holds; raises UsageError as `Recipe.parse`, and if it names another file."""
    with contain_names(source):
        return Recipe.parse(token)


def split_guidance(token: str) -> tuple[str, str]:
    """(the recipe without its guidance, the guidance or "") of a token, as text."""
    unguided = _UNGUIDED.match(token)
    head = unguided.group() if unguided else ""
    return head, token[len(head) :].removeprefix("~")


def _find_named_recipe(first: str) -> Recipe | None:
    """The recipe that people know by the name in `first`, with the options there; None if there is none."""
    registry = get_registry()
    name, options = parse_token(first)
    if registry.samplers.knows(name):
        return None
    if registry.recipes.get(name) is None:
        registry.load_installed()
    entry = registry.recipes.get(name)
    if entry is None or registry.samplers.knows(name):
        return None
    try:
        head, at, slash, guided = _split_token(entry.token)
        whole = Recipe(get_sampler(head)).complete(at or None, slash or None).add_guidance(guided or None)
    except DtoolError as error:
        if entry.provider.name == "dtool":
            raise
        who = f"{entry.provider.name} {entry.provider.version}"
        cause = f"recipe {entry.name!r} of {who} is {entry.token!r}, which cannot be had ({error})"
        raise PluginError(cause, f"upgrade or uninstall {entry.provider.name}, or tell its authors") from error
    return whole.complete(None, None, **options)


def _split_token(token: str) -> tuple[str, str, str, str]:
    """(sampler, scheduler, spacing, guidance) of a token, as text; `package/name` stays together."""
    unguided = _UNGUIDED.match(token)
    head = unguided.group() if unguided else ""
    guided = token[len(head) :]
    pieces = _PIECE.findall(head)
    if "".join(pieces) != head or not pieces or pieces[0][0] in "@/" or (guided and not guided.strip("~")):
        raise UsageError(f"cannot read the recipe {token!r}", f"write {FORM}")
    joined = pieces[:1]
    for piece in pieces[1:]:
        if piece[0] == "/" and _is_package(joined[-1], piece):
            joined[-1] += piece
        else:
            joined.append(piece)
    parts = {"": joined[0]}
    for piece in joined[1:]:
        if piece[0] in parts or (piece[0] == "@" and "/" in parts):
            raise UsageError(f"cannot read the recipe {token!r}", f"each comes once, in this order: {FORM}")
        parts[piece[0]] = piece[1:]
    return parts[""], parts.get("@", ""), parts.get("/", ""), guided.removeprefix("~")


def _is_package(head: str, name: str) -> bool:
    """Whether `head` is the package in a `package/name`. Other packages are loaded only for a head that is unknown."""
    registry = get_registry()
    catalogue = {"@": registry.schedulers, "/": registry.spacings}.get(head[0], registry.samplers)
    head = head.lstrip("@/")
    whole = head + name.partition(":")[0]
    if ":" in head:
        return False
    if not (catalogue.knows(whole) or catalogue.knows(head)):
        registry.load_installed()
    return catalogue.knows(whole) or (
        head in {plugin.name for plugin in registry.plugins} and not catalogue.knows(head)
    )
