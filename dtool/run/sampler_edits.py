"""The inputs of a sampler's file for a run that begins at an image: image, mask and strength."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.models.spec import NetworkSpec
from dtool.onnx.sampler_inputs import EDITS, SamplerInputs
from dtool.plan.compiled_plan import Plan
from dtool.plan.late_plans import start_late
from dtool.run.editing import MASKED_STRENGTH, STRENGTH, Edit
from dtool.run.sampler_form import SamplerForm

IMAGE, MASK, SHARE = EDITS
USUAL = -1.0  # a strength that is not said
ALMOST_ALL = np.nextafter(np.float32(1), np.float32(0))  # every step, and yet not from noise
_HINT = "export it with --inputs image,mask,strength, or sample from the network's own file"


def make_no_edit(spec: NetworkSpec, form: SamplerForm) -> dict[str, NDArray[Any]]:
    """What the inputs are where there is no edit: no image, no mask, and the usual strength."""
    values: dict[str, Any] = {
        IMAGE: np.zeros((0, *spec.shape), np.float32),
        MASK: np.zeros((0, 1, *spec.shape[1:]), np.float32),
        SHARE: np.float32(USUAL),
    }
    return {name: np.asarray(value) for name, value in values.items() if name in form.edits}


def require_edits(form: SamplerForm, inputs: SamplerInputs, names: list[str]) -> None:
    """Raise UsageError for what is given of an edit and is no input of the file."""
    if not form.edits:
        raise UsageError("this sampler's file begins at noise, and takes no image", _HINT)
    missing = next((name for name in names if name not in inputs.takes), None)
    if missing is not None:
        raise UsageError(f"this sampler's file takes no {missing}", _HINT)


def require_own_edit(network: Any, edit: Edit, plan: Plan, *, fixed: bool) -> None:
    """Raise UsageError for an edit that the file cannot do: another plan than its own, if that is `fixed`, and so on.

    network: the `FusedNetwork`. plan: that of the steps which are taken.
    """
    if fixed:
        own = start_late(network, network.plan, edit.strength) if edit.strength > 0 else network.plan
        if own.hash != plan.hash:
            raise UsageError(
                f"this file runs its own plan alone: {network.plan.recipe}, {network.plan.steps} steps",
                "export it with plan among its --inputs",
            )
    usual = STRENGTH if edit.drawn is None else MASKED_STRENGTH
    if SHARE not in network.inputs.takes and edit.strength != usual:
        raise UsageError(
            f"this file's strength is {usual:g}, not {edit.strength:g}", "export it with strength among its --inputs"
        )
    if edit.drawn is not None and edit.drawn.shape[1] != 1:
        raise UsageError("the mask of a sampler's file has one channel", "give one of shape (1, H, W)")


def feed_edit(edit: Edit, plan: Plan, own: Plan, index: NDArray[Any], *, fixed: bool) -> dict[str, NDArray[Any]]:
    """The file's inputs for the images at `index`.

    Of its own plan the file chooses the steps by the strength; another is given as it is, and all of it is run.
    """
    share = np.float32(plan.steps / own.steps if fixed else edit.strength) if edit.strength > 0 else np.float32(0)
    feed = {IMAGE: edit.image[index], SHARE: np.asarray(share if edit.strength == 1 else min(share, ALMOST_ALL))}
    return feed if edit.drawn is None else feed | {MASK: edit.drawn[index]}
