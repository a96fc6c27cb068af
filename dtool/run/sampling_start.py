"""What a call of `dtool.sample` begins with: starts, plan and conditions, each checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.guidances.guidance import Guidance
from dtool.models.conditions import ConditionPair
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.plan.guiding import find_double_rows
from dtool.plan.late_plans import start_late
from dtool.plan.recipe import Recipe
from dtool.run.condition_noise import add_condition_noise
from dtool.run.editing import Edit, GivenImage, resolve_edit
from dtool.run.given_start import unify_backends
from dtool.run.guided_conditions import Request, resolve_conditions
from dtool.run.guided_plan import require_comparable, resolve_guidance
from dtool.run.image_room import require_room
from dtool.run.interpolation import Interpolation, parse_interpolation
from dtool.run.noise import check_ids
from dtool.run.path_noise import require_path_noise
from dtool.run.sampled_plan import require_fitting, resolve_plan
from dtool.run.sampler_file import FusedNetwork
from dtool.run.starts import count_images, refuse_other_starts, refuse_path


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where the images of a run begin: at `x`, with the caller's `noise`, or at the noise of `ids`.

    given: an image that noise is put on; path: between two images; path_noise: whether rows add a Brownian path's
    increments.
    """

    x: Any
    noise: Any
    ids: list[int] | None
    given: GivenImage
    path: Interpolation | None
    path_noise: bool

    def name_images(self, count: int) -> list[int]:
        """The ids by which the images are known: those of a path are all its first one."""
        if self.path is not None:
            return [self.path.first] * count
        return [*range(count)] if self.ids is None else self.ids


def resolve_start(
    network: Network, *, x: Any, noise: Any, ids: Sequence[int] | None, given: GivenImage, interpolate: Any,
    as_numpy: bool,
) -> tuple[Network, Start]:  # fmt: skip
    """The start, and the network on the backend of `x`; raises UsageError for starts that exclude each other."""
    path, path_noise = parse_interpolation(interpolate), False
    if isinstance(noise, str):
        path_noise = require_path_noise(noise, x, of_file=isinstance(network, FusedNetwork))
    elif x is not None:
        refuse_other_starts(given, path)
        network, x, noise = unify_backends(network, x, noise, as_numpy)
    elif noise is not None:
        raise UsageError("noise is given without a start", "give x= too")
    names = None if ids is None else check_ids(ids).tolist()
    return network, Start(x=x, noise=noise, ids=names, given=given, path=path, path_noise=path_noise)


@dataclass(frozen=True, kw_only=True)
class Course:
    """How `count` images come to be: the plan with its guidance, of this scale, and the edit of a given image.

    told: what the network is told of each; classes: those among it; doubled: the rows that ask the network twice.
    """

    count: int
    plan: Plan
    scale: float
    edit: Edit | None
    weak: Network | None
    told: ConditionPair | None
    classes: NDArray[np.int64] | None
    doubled: NDArray[np.bool_]
    autoguided: bool

    @property
    def is_from_noise(self) -> bool:
        """Whether it begins at pure noise, or at what the caller has given."""
        return self.edit is None or self.edit.strength == 1

    @property
    def is_untouched(self) -> bool:
        """Whether the given image is what comes out, after no step."""
        return self.edit is not None and self.edit.strength == 0


def resolve_course(
    network: Network, start: Start, request: Request, *, plan: Plan | Recipe | str | None, steps: int | None,
    n: int | None, guidance: float | str | Guidance | None, weak: Network | None, seed: int, together: int, trace: bool,
) -> Course:  # fmt: skip
    """The plan for this network, and what it is told; raises UsageError for what cannot be had together.

    together, trace: how many images at a time, and whether the path is kept, which must fit into memory.
    """
    table = resolve_plan(network, plan, steps)
    require_fitting(network, table, start.x)
    refuse_path(network, start.path)
    others = start.given.count(network) if request.length is None else request.length
    count = count_images(start.path, n, start.ids, start.x, others)
    edit, conditions = resolve_edit(network, start.given, request.conditions, count)
    if edit is not None and edit.strength > 0:
        table = start_late(network, table, edit.strength)
    table, scale = resolve_guidance(network.spec, table, guidance)
    weak = network.weak if weak is None else weak
    require_comparable(network, weak)
    autoguided = weak is not None or network.is_autoguided
    if start.x is None:
        require_room(network, max(count, together), table.rows if trace else 0)
    request = replace(request, conditions=conditions, guidance=scale, plan=table, weak=autoguided)
    told, classes, scale = _resolve_told(network, start, request, count, seed)
    undoubled = told is None and not autoguided
    doubled = np.zeros(table.rows, bool) if undoubled else find_double_rows(table, scale)
    return Course(
        count=count, plan=table, scale=scale, edit=edit, weak=weak, told=told, classes=classes, doubled=doubled,
        autoguided=autoguided,
    )  # fmt: skip


def _resolve_told(
    network: Network, start: Start, request: Request, count: int, seed: int
) -> tuple[ConditionPair | None, Any, float]:
    """(what the network is told, the classes, the scale); noise is on the conditions that have some."""
    names = start.name_images(count)
    told, classes, scale = resolve_conditions(network, request, names if start.path else start.ids, count)
    if not isinstance(network, FusedNetwork):  # such a file puts noise on its conditions itself
        told = add_condition_noise(network.spec, told, seed, check_ids(names))
    return told, classes, scale
