"""Who takes part: the network on its backends, the fused file, the other library; and who cannot, and why."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from dtool.backends.fused import FusedNetwork
from dtool.backends.load import compiled, load
from dtool.bench.diffusers_loop import Equivalent, NoEquivalentError, equivalent, installed
from dtool.errors import DtoolError, UsageError
from dtool.networks.network import Network
from dtool.networks.spec import NetworkSpec
from dtool.plan.plan import Plan
from dtool.plan.recipe import Recipe

ONNX, FUSED, DIFFUSERS = "ONNX Runtime", "the fused file", "diffusers"
GRAPH, FROM_HOST = "dtool.sample, CUDA graph", "dtool.sample, arrays from the host"
COMPILED = "PyTorch compiled, dtool.sample"


@dataclass(frozen=True)
class Entrants:
    """`main`: the network that all ratios are about. `beside`: the same one on PyTorch, if that is not `main`.

    `others`: further ways of running it, by name. `fused`: the exported sampler. `equal`: the plan in diffusers' words.
    `skipped`: who is missing, and why.
    """

    main: Network
    beside: Network | None = None
    fused: Network | None = None
    equal: Equivalent | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    others: dict[str, Network] = field(default_factory=dict)


def gather(
    network: Network, source: Path | str | None, recipe: Recipe, plan: Plan, *,
    clip: bool, fused: Path | str | None, keep: bool, folder: Path, where: Mapping[str, Any],
    compile: bool = False, cuda_graph: bool = False,  # noqa: A002 - PyTorch's own word for it
) -> Entrants:  # fmt: skip
    """Everyone who can be had, with exports in `folder`.

    source: the file of a network on ONNX Runtime; None for the package's own. fused: an exported sampler that is there
    already. keep: leave a PyTorch network on PyTorch. where: arguments of `dtool.load`, beside the
    network's device. compile, cuda_graph: who else takes part.
    Raises DtoolError if `fused` cannot be loaded, or is for another kind of network.
    """
    skipped: dict[str, str] = {}
    where = {"device": network.device} | dict(where)
    said = network.spec if source is not None and network.backend == "onnxruntime" else None
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
        whole = _exported(origin, folder / "sampler.onnx", FUSED, skipped, where, plan=plan, said=said)
    others = _from_host(main, origin, skipped, said)
    if cuda_graph:
        others |= _graph(main, origin, skipped, {"spec": said} | where)
    if compile:
        others |= _compiled(beside or main, skipped)
    return Entrants(main, beside, whole, _equal(main, recipe, plan.steps, clip, skipped), skipped, others)


def _from_host(
    main: Network, origin: Any, skipped: dict[str, str], said: NetworkSpec | None = None
) -> dict[str, Network]:
    """A network whose arrays stay on the GPU, called from the host as well. said: what its file is."""
    if main.backend != "onnxruntime" or main.device == "cpu" or not hasattr(main, "place"):
        return {}
    from dtool.backends.onnxruntime_backend import OnnxNetwork

    try:
        with _file(origin) as path:
            return {FROM_HOST: OnnxNetwork(path, said, device=main.device)}
    except DtoolError as error:
        skipped[FROM_HOST] = _reason(error)
        return {}


def _graph(main: Network, origin: Any, skipped: dict[str, str], where: Mapping[str, Any]) -> dict[str, Network]:
    try:
        if main.backend != "onnxruntime":
            raise DtoolError("it is for ONNX Runtime, and the network is not on it")
        with _file(origin) as path:
            return {GRAPH: load(path, cuda_graph=True, **where)}
    except DtoolError as error:
        skipped[GRAPH] = _reason(error)
        return {}


def _compiled(network: Network, skipped: dict[str, str]) -> dict[str, Network]:
    try:
        return {COMPILED: compiled(network)}
    except DtoolError as error:
        skipped[COMPILED] = _reason(error)
        return {}


def _file(origin: Path | str | None) -> AbstractContextManager[Path]:
    """A network's file: the package's own, if there is no other."""
    return as_file(files("dtool.networks") / "digits.onnx") if origin is None else nullcontext(Path(origin))


def _exported(
    origin: Network | Path | str | None,
    path: Path,
    name: str,
    skipped: dict[str, str],
    where: Mapping[str, Any],
    plan: Plan | None = None,
    said: NetworkSpec | None = None,
) -> Network | None:
    """The network, or with a plan the whole sampler, as an ONNX file on the device; None if that cannot be had.

    said: what an ONNX file at `origin` is, as it was told when it was opened.
    """
    from dtool.export import export

    try:
        # A sampler as `dtool export` makes it by default: checked, and in the form that the check allows.
        export(origin, path, plan=plan, spec=said, check=plan is not None and where.get("device") == "cpu")
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
