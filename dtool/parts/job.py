"""A run over many images as every process needs it that draws some of them, and the one function that does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.models.fingerprint import identify
from dtool.models.labels import take_in_turn
from dtool.models.network import Network
from dtool.parts.block import Block, Blocks, choose_block_size, divide
from dtool.plan.compiled_plan import Plan
from dtool.run.cascade import continue_cascade
from dtool.run.editing import GivenImage, restore_known
from dtool.run.load import load
from dtool.run.repeated_conditions import NOTHING_TOLD, RepeatedConditions
from dtool.run.sampled_plan import resolve_plan
from dtool.run.sampling import Samples, sample

Opener = Callable[[], Network | Sequence[Network]]


class GivenImages(Protocol):
    """Pictures that the images begin at, by their ids."""

    def take(self, ids: Sequence[int]) -> dict[str, Any]:
        """The options of `dtool.sample` for the images with these ids: image, mask."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """A run over `count` images of a seed, in blocks of `size`; immutable, and pickled without the network.

    model: what opens the network in each process, as `dtool.load` takes it, or a function of a module, without
    arguments; several networks are a cascade. plans: one for each; a recipe or a table for the only one.
    labels: classes, the image with id i gets that at i modulo their number [default: each class in turn].
    told: prompts and other conditions, repeated in the same way; given: pictures that the images begin at.
    options: those of `dtool.sample` that hold for all images: guidance, clip, threshold, batch_size, strength.
    files: what the network is in, whose content identifies it. about: what else is to be seen in a manifest.

    >>> network = dtool.targets.target("gmm:d=2").network()
    >>> job = dtool.parts.Job(model=network, plans="ddim", steps=5, count=100, size=40)
    >>> [len(dtool.parts.draw_block(job, block).x0) for block in job.blocks]
    [40, 40, 20]
    """

    model: str | Path | Network | Opener
    plans: Plan | str | Sequence[Plan]
    count: int
    steps: int | None = None
    seed: int = 0
    size: int | None = None
    labels: Sequence[int] | None = None
    told: RepeatedConditions = NOTHING_TOLD
    given: GivenImages | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[Path] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """What goes to other processes: everything but networks; raises UsageError for one that is in memory alone."""
        if isinstance(self.model, Network):
            raise UsageError(
                "a network in memory cannot be given to other processes",
                "name its file, or a function of a module that makes it (model=)",
            )
        own = dict(vars(self))
        own.pop("networks", None)
        return own

    def attach(self, networks: Sequence[Network]) -> Job:
        """This job, for which the networks are open already; in this process alone."""
        vars(self)["networks"] = networks
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    @cached_property
    def networks(self) -> Sequence[Network]:
        """The network, or those of a cascade, opened when they are first needed."""
        model = self.model
        if isinstance(model, str | Path):
            return [load(model)]
        opened = model if isinstance(model, Network) else model()
        return [opened] if isinstance(opened, Network) else list(opened)

    @cached_property
    def tables(self) -> list[Plan]:
        """The plan of each network."""
        if isinstance(self.plans, Plan | str):
            return [resolve_plan(self.networks[0], self.plans, self.steps)]
        return list(self.plans)

    @property
    def blocks(self) -> Blocks:
        """The ids 0 … count - 1 in blocks."""
        batch_size = self.options.get("batch_size")
        return divide(self.count, self.size or choose_block_size(self.networks[-1].picture_shape, batch_size))

    @cached_property
    def plan_hash(self) -> str:
        """The hash of the plan, or of all of a cascade's."""
        return self.tables[0].hash if len(self.tables) == 1 else _hash([table.hash for table in self.tables])

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What the images depend on besides plan and seed, as JSON has it: the networks and all that they are told."""
        return {
            "network": identify(self.networks, self.files),
            "backend": [network.backend for network in self.networks],
            "device": [network.device.partition(":")[0] for network in self.networks],
            "labels": None if self.labels is None else list(self.labels),
            **self.told.describe(), **{name: _plain(value) for name, value in self.options.items()}, **self.about,
        }  # fmt: skip

    @cached_property
    def model_hash(self) -> str:
        """A hash of the networks and of all that they are told."""
        return _hash(self.settings)


def draw_block(job: Job, block: Block, progress: Callable[[int, int], None] | None = None) -> Samples:
    """The images of one block: a pure function, in whatever process, order or machine it is called.

    progress(done, total): after every network call. Raises what `dtool.sample` raises.

    >>> network = dtool.targets.target("gmm:d=2").network()
    >>> job = dtool.parts.Job(model=network, plans="heun", steps=5, count=10**6, seed=3, size=100)
    >>> out = dtool.parts.draw_block(job, job.blocks[-1])
    >>> out.x0.shape, int(out.ids[0])
    ((100, 2), 999900)
    """
    ids = block.ids
    networks, tables = job.networks, job.tables
    labels = None if job.labels is None else take_in_turn(np.asarray(job.labels), ids).tolist()
    given = job.given.take(ids) if job.given is not None else {}
    out = sample(
        networks[0], tables[0], ids=ids, seed=job.seed, labels=labels, progress=progress,
        **given, **job.told.take(ids), **job.options,
    )  # fmt: skip
    if len(networks) > 1:
        kept = {name: value for name, value in job.options.items() if name in ("clip", "threshold", "batch_size")}
        out = continue_cascade(out, networks, tables[1:], seed=job.seed, progress=progress, **kept)
    return out


def show_block(job: Job, block: Block, out: Samples) -> NDArray[Any]:
    """The pictures of a block's samples, `(n, *picture_shape)`: decoded, and with what was known of them put back."""
    network = job.networks[-1]
    pictures = network.to_pictures(out.x0)
    given = job.given.take(block.ids) if job.given is not None else {}
    if network.codec is None or given.get("image") is None:
        return pictures
    return restore_known(network, pictures, GivenImage(strength=job.options.get("strength"), **given))


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else str(value)
