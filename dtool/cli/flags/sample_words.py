"""The words of `dtool sample` together: what they ask for, found out before any image is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.cli.flags.conditions import ConditionWords
from dtool.cli.flags.decoder import DecoderWords
from dtool.cli.flags.drawing import Drawing
from dtool.cli.flags.editing import EditingWords
from dtool.cli.flags.loading import Opening
from dtool.cli.flags.parts import PartsWords, SampleModel
from dtool.cli.flags.recipe_words import RecipeWords
from dtool.cli.flags.sample_files import SampleFiles
from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.cli.flags.editing import EditedFiles
    from dtool.cli.flags.sampler_options import Options
    from dtool.models.network import Network
    from dtool.parts.job import Job
    from dtool.parts.share import Share
    from dtool.plan import Plan
    from dtool.run.repeated_conditions import RepeatedConditions


@dataclass(frozen=True, kw_only=True)
class SampleWords:
    """What was typed; see the command for each."""

    model: str | None
    n: int | None
    ids: str | None
    augment: str | None
    drawing: Drawing
    conditions: ConditionWords
    editing: EditingWords
    threshold: str | None
    noise: str | None
    recipe: RecipeWords
    outputs: SampleFiles
    many: PartsWords
    decoder: DecoderWords
    opening: Opening
    options: Options
    quiet: bool

    def find_share(self) -> Share | None:
        """The part of a run into a folder that this process draws, None of any other run.

        Raises UsageError for flags of the one kind of run that are given to the other.
        """
        self.many.require_folder()
        self.many.require_alone(
            {"-o": self.outputs.output is not None, "--npz": self.outputs.npz is not None,
             "--trace": self.outputs.trace, "--latents": self.outputs.latents, "--ids": self.ids is not None,
             "--interpolate": self.editing.interpolate is not None}
        )  # fmt: skip
        return self.many.find_share() if self.many.into is not None else None

    def prepare(self) -> SampleRun:
        """Open the networks, and find out all that the run needs; raises UsageError for what cannot be had."""
        from dtool.run.cascade import parse_levels, split_cascade
        from dtool.run.repeated_conditions import refuse_extra_prompts, repeat_conditions

        _ = self.image_ids, self.path  # what they refuse is refused before a network is opened
        parts = split_cascade(self.model)
        self._check_paths(parts)
        opener = SampleModel(names=tuple(parts), opening=self.opening, decoder=self.decoder, drawing=self.drawing)
        networks = opener()
        self._check_cascade(parts, networks)
        levels = None if self.augment is None else parse_levels(self.augment, parts, networks)
        files = self._choose_files(networks[-1])
        pictures = self.editing.read(networks[0])
        self._refuse_edited_cascade(networks)
        count = self._count_images(len(pictures))
        plans, scale = self._resolve_plans(networks, count)
        told = repeat_conditions(networks[0], self.conditions.read(networks[0], scale))
        refuse_extra_prompts(told, count)
        networks[0].text = None  # all that it would be asked is told: its memory is free for the run
        return SampleRun(
            words=self, opener=opener, networks=networks, plans=plans, scale=scale, levels=levels, files=files,
            pictures=pictures, count=count, told=told,
        )  # fmt: skip

    @cached_property
    def image_ids(self) -> Sequence[int] | None:
        """The ids that were named."""
        from dtool.cli.flags.values import parse_ids

        return parse_ids(self.ids)

    @cached_property
    def path(self) -> Any:
        """The ids that the run interpolates between, None for none."""
        from dtool.run.interpolation import parse_interpolation

        return parse_interpolation(self.editing.interpolate)

    def _check_paths(self, parts: Sequence[str]) -> None:
        from dtool.cli.show.sample_files import check_paths
        from dtool.util.files import find_option_files

        recipe, schedule = self.recipe, self.opening.description.schedule
        tokens = (recipe.recipe, recipe.plan, recipe.sampler, recipe.scheduler, recipe.spacing, schedule)
        own = find_option_files(*tokens, *(f"={value}" for value in self.options.values()))
        read = [*self.conditions.list_files(), *self.editing.list_files(), *self.drawing.list_files()]
        if self.many.into is None:
            check_paths(self.outputs, [*parts, self.decoder.path, *read, *own])

    def _check_cascade(self, parts: Sequence[str], networks: Sequence[Network]) -> None:
        """Raise UsageError for parts of a cascade that do not fit, before any work."""
        from dtool.run.cascade import require_cascade

        if len(networks) < 2:
            return
        if self.outputs.trace:
            raise UsageError("--trace is of one network, not of a cascade", "leave it out")
        require_cascade(parts, networks)

    def _choose_files(self, net: Network) -> dict[str, Path]:
        from dtool.cli.show.sample_files import choose_files

        return {} if self.many.into else choose_files(net, self.outputs)

    def _refuse_edited_cascade(self, networks: Sequence[Network]) -> None:
        is_edited = any(value not in (None, False) for value in vars(self.editing).values())
        if len(networks) > 1 and (self.noise or is_edited):
            raise UsageError(
                "--image, --mask, --noise and the like are of one network, not of a cascade", "leave them out"
            )

    def _count_images(self, pictures: int) -> int:
        """How many images: as many as are asked for, or named; else one for each prompt or picture, or 16."""
        from dtool.run.starts import count_images

        if self.path:
            return count_images(self.path, self.n, self.image_ids, None, None)
        prompts = len(self.conditions.read_prompts() or ())
        if self.image_ids is None:
            return self.n if self.n is not None else max(prompts if prompts > 1 else 0, pictures) or 16
        if self.n is not None and self.n != len(self.image_ids):
            raise UsageError(f"-n {self.n}, but --ids names {len(self.image_ids)} images", "leave -n out")
        return len(self.image_ids)

    def choose_block_size(self, net: Network) -> int:
        """How many images a block has."""
        from dtool.parts.block import choose_block_size

        return self.many.block_size or choose_block_size(net.picture_shape, self.opening.batch_size)

    def _resolve_plans(self, networks: Sequence[Network], count: int) -> tuple[list[Plan], float]:
        """The plan of each network, and the guidance scale of the first; what is refused is refused before any work."""
        from dtool.cli.flags.named_plan import resolve_named_plan
        from dtool.run.guided_plan import require_use, resolve_guidance
        from dtool.run.image_room import require_room

        plan, *others = [resolve_named_plan(each, self.recipe, self.options, self.quiet) for each in networks]
        size = count if self.many.into is None else min(count, self.choose_block_size(networks[-1]))
        at_once = max(size, self.opening.batch_size or 0)
        require_room(networks[0], at_once, plan.rows if self.outputs.trace else 0, decoded=True)
        for each, own in zip(networks[1:], others, strict=True):
            require_room(each, at_once, 0)
            resolve_guidance(each.spec, own, None)
        plan, scale = resolve_guidance(networks[0].spec, plan, self.drawing.guidance)
        require_use(networks[0], plan, scale)
        return [plan, *others], scale


@dataclass(frozen=True, kw_only=True)
class SampleRun:
    """A run that can begin: the networks with a plan each, and how many images they draw.

    scale: of guidance; levels: of the noise on what each network of a cascade is fed; files: what is written.
    """

    words: SampleWords
    opener: SampleModel
    networks: Sequence[Network] = field(repr=False)
    plans: Sequence[Plan]
    scale: float
    levels: Sequence[float] | None
    files: dict[str, Path]
    pictures: EditedFiles = field(repr=False)
    count: int
    told: RepeatedConditions

    @property
    def image_ids(self) -> Sequence[int] | None:
        """The ids that were named."""
        return self.words.image_ids

    @property
    def noise_ids(self) -> Sequence[int]:
        """The id whose noise each image begins at, and whose conditions it is told."""
        path = self.words.path
        return [path.first] * self.count if path else self.image_ids or range(self.count)

    @property
    def edited(self) -> dict[str, Any]:
        """The pictures that the images begin at, as `dtool.sample` takes them."""
        return self.pictures.take(self.image_ids or range(self.count)) | {"strength": self.words.editing.strength}

    @property
    def how(self) -> dict[str, Any]:
        """The options of `dtool.sample` that files and --json tell, too."""
        words = self.words
        how = {"seed": words.drawing.seed, "guidance": self.scale, "clip": words.drawing.clip}
        return how | {"threshold": words.threshold} | ({} if words.noise is None else {"noise": words.noise})

    def parse_labels(self) -> Any:
        """The class of each image."""
        from dtool.cli.flags.values import parse_classes

        net = self.networks[0]
        return parse_classes(self.words.drawing.classes, net.spec.class_names, net.classes, self.count)

    def make_job(self) -> Job:
        """The run in blocks, as each of its processes is given it."""
        from dtool.cli.flags.values import parse_class_words
        from dtool.parts.job import Job

        words, net = self.words, self.networks[0]
        options = {name: value for name, value in self.how.items() if name != "seed"}
        job = Job(
            model=self.opener, plans=tuple(self.plans), count=self.count,
            size=words.choose_block_size(self.networks[-1]), seed=words.drawing.seed, told=self.told,
            labels=parse_class_words(words.drawing.classes, net.spec.class_names, net.classes),
            levels=self.levels, given=self.pictures if len(self.pictures) else None, about=self.pictures.describe(),
            files=self.opener.list_files(),
            options=options | {"batch_size": words.opening.batch_size, "strength": words.editing.strength},
        )  # fmt: skip
        return job.attach(self.networks)
