"""The flags of `dtool sample` that say a recipe, in one word or in several."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from dtool.cli.flags.groups import FlagGroup
from dtool.cli.flags.sampler_options import complete_samplers, complete_schedulers, complete_spacings

_how = partial(typer.Option, rich_help_panel="The recipe")


@dataclass(frozen=True, kw_only=True)
class RecipeWords:
    """A recipe as it was typed; each None where nothing was."""

    sampler: Annotated[
        str | None, _how(help="the rule: see dtool samplers [default: ddpm]", autocompletion=complete_samplers)
    ] = None
    scheduler: Annotated[
        str | None,
        _how(
            help="noise schedule: see dtool schedulers [default: the network's own]",
            autocompletion=complete_schedulers,
        ),
    ] = None
    spacing: Annotated[
        str | None,
        _how(help="where the steps fall: see dtool spacings [default: trailing]", autocompletion=complete_spacings),
    ] = None
    steps: Annotated[int | None, _how(min=1, help="how many steps [default: 50]")] = None
    points: Annotated[str | None, _how(help="your own times instead, falling: 999,750,500,250")] = None
    recipe: Annotated[str | None, _how(help="all in one word: ddim:eta=0.5@cosine/karras")] = None

    plan: Annotated[
        str | None, _how(help="a plan that was saved, FILE.json: dtool plan RECIPE -o FILE.json", metavar="FILE")
    ] = None

    @property
    def names_a_sampler(self) -> bool:
        """Whether the sampler is said, in one way or the other."""
        return (self.sampler, self.recipe, self.plan) != (None,) * 3

    @property
    def has_grid(self) -> bool:
        """Whether a schedule, a spacing, steps or times are said."""
        return (self.scheduler, self.spacing, self.steps, self.points) != (None,) * 4


RECIPE_WORDS = FlagGroup.of(RecipeWords)
