"""What the file of an exported sampler says of itself: the plan it was made with, and which others it has room for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from dtool.errors import DtoolError
from dtool.models.spec import NetworkSpec
from dtool.onnx.inspection import inspect
from dtool.onnx.large_weights import read_skeleton
from dtool.onnx.sampler_inputs import WORDS, require_described
from dtool.plan.compiled_plan import Plan
from dtool.plan.packed import Room
from dtool.run.clipping import Threshold

UNBOUNDED = 1e38  # bounds that keep nothing back; their distance is still a float32


class SamplerForm(BaseModel):
    """What an exported sampler has room for, and so which plans it can run.

    `history` older predictions; `saved`: an x that is kept; `quantile`: dynamic thresholding in the place of clipping,
    bounded by `most`. `frozen`: the plan that it was made with, and `seed`, alone. `micro_batch`: how many images it
    runs at a time. `even`: no image's bits depend on how many those are, so they are shared out evenly, none padded.
    `inputs`: of "seed", "guidance", "plan" and "without" those that must be given at each run, all else being constant;
    None: everything may be given, and has a default. `mixes`: the network mixes images, so that each is run alone.
    `gaps`, `rescales`: see `dtool.plan.packed.Room`. `picture_shape`: what each sample is decoded to, where there is a
    decoder behind the loop. `told`: the conditions that are built in, so that they need not be given. `edits`: of
    "image", "mask" and "strength" those that it takes, so that a run may begin at an image; they have defaults unless
    they are among `inputs`, too. `weak`: guidance compares with another network, which is in the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: int
    saved: bool
    quantile: float | None = None
    most: float | None = None
    frozen: bool = False
    seed: int = 0
    micro_batch: int | None = None
    even: bool = False
    inputs: tuple[str, ...] | None = None
    mixes: bool = False
    picture_shape: tuple[int, ...] | None = None
    told: tuple[str, ...] = ()
    gaps: int | None = None
    rescales: bool = False
    edits: tuple[str, ...] = ()
    weak: bool = False

    def to_fields(self) -> dict[str, Any]:
        """The fields as a file's metadata hold them: nothing of what it does not have, or has no room for."""
        absent = {name for name in ("picture_shape", "told", "rescales", "edits", "weak") if not getattr(self, name)}
        return self.model_dump(exclude=absent | ({"gaps"} if self.gaps is None else set()) or None)

    @property
    def room(self) -> Room:
        """What there is room for in the table and the loop."""
        return Room(self.history, self.gaps, self.rescales, bool(self.edits))

    def mark_built_in(self, spec: NetworkSpec) -> NetworkSpec:
        """The spec, its conditions that are built in marked so."""
        marked = [one.model_copy(update={"built_in": one.name in self.told}) for one in spec.conditions]
        return spec.model_copy(update={"conditions": tuple(marked)}) if self.told else spec

    @property
    def is_configurable(self) -> bool:
        """Whether everything may be given, and traces are to be had."""
        return not self.frozen and self.inputs is None

    @property
    def required(self) -> frozenset[str]:
        """The graph's inputs that have no default, beside ids and label."""
        return frozenset(name for word in self.inputs or () for name in WORDS[word])


def read_plan_and_form(metadata: dict[str, str], source: str) -> tuple[Plan, SamplerForm] | None:
    """The plan and the form that a file's metadata tell of; None if it is no sampler. Raises DtoolError if garbled."""
    try:
        document = json.loads(metadata.get("dtool", "{}"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("kind") != "sampler":
        return None
    try:
        form = SamplerForm.model_validate(document["form"])
        if document["columns"] != [*form.room.columns]:
            raise DtoolError(f"{source} is a sampler of another version of dtool", "export it again")
        return Plan.from_json(json.dumps(document["plan"])), form
    except (KeyError, ValueError) as error:
        raise DtoolError(f"{source}: its dtool metadata cannot be read", "export it again") from error


def read_tokenizers(metadata: dict[str, str]) -> dict[str, str]:
    """The files of the tokenizers that a sampler's file names, by the input that each is for; {} if it has none."""
    try:
        named = json.loads(metadata.get("dtool", "{}")).get("tokenizers", {})
    except (ValueError, RecursionError, AttributeError):
        return {}
    is_named = isinstance(named, dict) and all(isinstance(file, str) for file in named.values())
    return named if is_named else {}


def read_plan(path: Path) -> Plan:
    """The plan that a sampler's file holds, read without running anything; raises DtoolError if there is none."""
    file = inspect(read_skeleton(path).data, str(path))
    require_described(file, str(path))
    sampler = read_plan_and_form(file.metadata, str(path))
    if sampler is None:
        raise DtoolError(f"{path} holds no plan", "give a file that dtool export made with --recipe")
    return sampler[0]


def suggest_export(threshold: Threshold | None) -> str:
    """How to make a file with this thresholding, or with none."""
    quoted = str(threshold) if threshold is None or threshold.most is None else f'"{threshold}"'
    again = "without threshold" if threshold is None else f"with threshold={quoted} (--threshold {threshold})"
    return f"export it again {again}"
