"""Who takes part: the network on its backends, the fused file, the other library; and who cannot, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dtool.backends.fused import FusedNetwork
from dtool.backends.load import load
from dtool.bench.diffusers_loop import Equivalent, NoEquivalentError, equivalent, installed
from dtool.errors import DtoolError, UsageError
from dtool.networks.network import Network
from dtool.plan.plan import Plan
from dtool.plan.recipe import Recipe

ONNX, FUSED, DIFFUSERS = "ONNX Runtime", "the fused file", "diffusers"


@dataclass(frozen=True)
class Entrants:
    """`main`: the network that all ratios are about. `beside`: the same one on PyTorch, if that is not `main`.

    `fused`: the exported sampler. `equal`: the plan in diffusers' words. `skipped`: who is missing, and why.
    """

    main: Network
    beside: Network | None = None
    fused: Network | None = None
    equal: Equivalent | None = None
    skipped: dict[str, str] = field(default_factory=dict)


def gather(
    network: Network, source: Path | str | None, recipe: Recipe, plan: Plan, *,
    clip: bool, fused: Path | str | None, keep: bool, folder: Path, where: Mapping[str, Any],
) -> Entrants:  # fmt: skip
    """Everyone who can be had, with exports in `folder`.

    source: the file of a network on ONNX Runtime; None for the package's own. fused: an exported sampler that is there
    already. keep: leave a PyTorch network on PyTorch. where: arguments of `dtool.load`, beside the
    network's device.
    Raises DtoolError if `fused` cannot be loaded, or is for another kind of network.
    """
    skipped: dict[str, str] = {}
    where = {"device": network.device} | dict(where)
    main, beside, origin = network, None, source if network.backend == "onnxruntime" else network
    if network.backend == "torch" and not keep:
        file = folder / "network.onnx"
        main = _exported(network, file, ONNX, skipped, where) or network
        beside, origin = (network, file) if main is not network else (None, network)
    if fused is not None:
        whole: Network | None = _loaded(fused, main, where)
    elif keep and network.backend == "torch":
        whole, skipped[FUSED] = None, "it runs on ONNX Runtime, and the backend torch was asked for"
    else:
        whole = _exported(origin, folder / "sampler.onnx", FUSED, skipped, where, plan=plan)
    return Entrants(main, beside, whole, _equal(main, recipe, plan.steps, clip, skipped), skipped)


def _exported(
    origin: Network | Path | str | None,
    path: Path,
    name: str,
    skipped: dict[str, str],
    where: Mapping[str, Any],
    plan: Plan | None = None,
) -> Network | None:
    """The network, or with a plan the whole sampler, as an ONNX file on the device; None if that cannot be had."""
    from dtool.export import export

    try:
        export(origin, path, plan=plan, check=False)
        return load(path, **where)
    except DtoolError as error:
        skipped[name] = _reason(error)
        return None


def _loaded(path: Path | str, main: Network, where: Mapping[str, Any]) -> Network:
    """The exported sampler in a file that the user named."""
    whole = load(path, **where)
    if not isinstance(whole, FusedNetwork):
        raise UsageError(f"{path} holds a network alone, no sampler", "make one with: dtool export --recipe …")
    if (whole.shape, whole.classes) != (main.shape, main.classes):
        raise UsageError(
            f"{path} draws samples of shape {whole.shape} in {whole.classes} classes; the network's are of "
            f"{main.shape} in {main.classes}",
            "give the network that the file was made of",
        )
    return whole


def _equal(network: Network, recipe: Recipe, steps: int, clip: bool, skipped: dict[str, str]) -> Equivalent | None:
    if not installed():
        skipped[DIFFUSERS] = "not installed: pip install diffusers torch"
        return None
    try:
        return equivalent(recipe, network, steps, clip=clip)
    except NoEquivalentError as error:
        skipped[DIFFUSERS] = str(error)
        return None


def _reason(error: DtoolError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)
