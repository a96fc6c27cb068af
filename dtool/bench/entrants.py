"""Who takes part: the network on its backends, the fused file, the other library; and who cannot, and why."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from dtool.bench.diffusers_loop import DiffusersRecipe, NoEquivalentError, is_installed, translate_recipe
from dtool.errors import DtoolError, UsageError
from dtool.models.description import UNDESCRIBED, Description
from dtool.models.network import Network
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.plan.compiled_plan import Plan
from dtool.plan.recipe import Recipe
from dtool.run.load import compile_network, open_source
from dtool.run.sampler_file import FusedNetwork

ONNX, FUSED, DIFFUSERS = "ONNX Runtime", "the fused file", "diffusers"
GRAPH, FROM_HOST = "dtool.sample, CUDA graph", "dtool.sample, arrays from the host"
COMPILED = "PyTorch compiled, dtool.sample"
MOVED = "network.onnx"  # the file of a PyTorch network on ONNX Runtime


@dataclass(frozen=True, kw_only=True)
class Entrants:
    """`main`: the network that all ratios are about. `beside`: the same one on PyTorch, if that is not `main`.

    `others`: further ways of running it, by name. `fused`: the exported sampler. `equal`: the plan in diffusers' words.
    `skipped`: who is missing, and why.
    """

    main: Network
    beside: Network | None = None
    fused: Network | None = None
    equal: DiffusersRecipe | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    others: dict[str, Network] = field(default_factory=dict)


def gather(
    network: Network, source: Path | str | None, recipe: Recipe, plan: Plan, *,
    clip: bool, fused: Path | str | None, folder: Path, runtime: Runtime,
) -> Entrants:  # fmt: skip
    """Everyone who can be had, with exports in `folder`.

    source: the file of a network on ONNX Runtime; None for the package's own. fused: an exported sampler that is there
    already. runtime: where exported files run, if the network's device does not say it all; `backend="torch"` leaves a
    PyTorch network on PyTorch, `compile` and `cuda_graph` say who else takes part.
    Raises DtoolError if `fused` cannot be loaded, or is for another kind of network.
    """
    skipped: dict[str, str] = {}
    place = choose_place(network, runtime)
    keep = runtime.backend == "torch" and network.backend == "torch"
    own = network.spec if source is not None and network.backend == "onnxruntime" else UNDESCRIBED
    main = network if keep else move_to_onnxruntime(network, folder, place, skipped)
    beside, origin = None, source if network.backend == "onnxruntime" else network
    if main is not network:
        beside, origin = network, folder / MOVED
    if fused is not None:
        whole: Network | None = _load_fused(fused, main, place)
    elif keep:
        whole, skipped[FUSED] = None, "it runs on ONNX Runtime, and the backend torch was asked for"
    else:
        whole = _export_network(origin, folder / "sampler.onnx", FUSED, skipped, place, plan=plan, description=own)
    others = _load_on_host(main, origin, skipped, own)
    if runtime.cuda_graph:
        others |= _load_with_graph(main, origin, skipped, own, place)
    if runtime.compile:
        others |= _compile_network(beside or main, skipped)
    return Entrants(
        main=main,
        beside=beside,
        fused=whole,
        equal=_find_equivalent(main, recipe, plan, clip, skipped),
        skipped=skipped,
        others=others,
    )


def move_to_onnxruntime(network: Network, folder: Path, place: Runtime, skipped: dict[str, str]) -> Network:
    """A PyTorch network as it runs on ONNX Runtime, exported into the folder; any other, and what cannot be, as it is.

    place: where it runs. skipped: why it could not be exported is written there.
    """
    if network.backend != "torch":
        return network
    return _export_network(network, folder / MOVED, ONNX, skipped, place) or network


def choose_place(network: Network, runtime: Runtime) -> Runtime:
    """Where exported files run: on the network's device, unless another or a provider is asked for."""
    there = runtime.provider is not None or runtime.device != "auto"
    device = runtime.device if there else network.device
    return replace(runtime, device=device, backend=None, compile=False, cuda_graph=False)


def _load_on_host(
    main: Network, origin: Any, skipped: dict[str, str], description: NetworkSpec | Description
) -> dict[str, Network]:
    """A network whose arrays stay on the GPU, called from the host as well. description: of its file."""
    if main.backend != "onnxruntime" or main.device == "cpu" or not hasattr(main, "place"):
        return {}
    from dtool.run.onnxruntime_backend import OnnxNetwork

    try:
        with _locate_file(origin) as path:
            return {FROM_HOST: OnnxNetwork(path, description, Runtime(device=main.device))}
    except DtoolError as error:
        skipped[FROM_HOST] = _format_reason(error)
        return {}


def _load_with_graph(
    main: Network, origin: Any, skipped: dict[str, str], description: NetworkSpec | Description, place: Runtime
) -> dict[str, Network]:
    try:
        if main.backend != "onnxruntime":
            raise DtoolError("it is for ONNX Runtime, and the network is not on it")
        with _locate_file(origin) as path:
            return {GRAPH: open_source(path, description, replace(place, cuda_graph=True))}
    except DtoolError as error:
        skipped[GRAPH] = _format_reason(error)
        return {}


def _compile_network(network: Network, skipped: dict[str, str]) -> dict[str, Network]:
    try:
        return {COMPILED: compile_network(network)}
    except DtoolError as error:
        skipped[COMPILED] = _format_reason(error)
        return {}


def _locate_file(origin: Path | str | None) -> AbstractContextManager[Path]:
    """A network's file: the package's own, if there is no other."""
    return as_file(files("dtool.models") / "digits.onnx") if origin is None else nullcontext(Path(origin))


def _export_network(
    origin: Network | Path | str | None,
    path: Path,
    name: str,
    skipped: dict[str, str],
    place: Runtime,
    plan: Plan | None = None,
    description: NetworkSpec | Description = UNDESCRIBED,
) -> Network | None:
    """The network, or with a plan the whole sampler, as an ONNX file on the device; None if that cannot be had.

    description: of an ONNX file at `origin`, as it was opened with.
    """
    from dtool.export import export

    try:
        # A sampler as `dtool export` makes it by default: checked, and in the form that the check allows.
        spec = description if isinstance(description, NetworkSpec) else None
        export(origin, path, plan=plan, spec=spec, check=plan is not None and place.device == "cpu")
        return open_source(path, runtime=place)
    except DtoolError as error:
        skipped[name] = _format_reason(error)
        return None


def _load_fused(path: Path | str, main: Network, place: Runtime) -> Network:
    """The exported sampler in a file that the user named."""
    whole = open_source(path, runtime=place)
    if not isinstance(whole, FusedNetwork):
        raise UsageError(f"{path} holds a network alone, no sampler", "make one with: dtool export --recipe …")
    if (whole.shape, whole.classes) != (main.shape, main.classes):
        raise UsageError(
            f"{path} draws samples of shape {whole.shape} in {whole.classes} classes; the network's are of "
            f"{main.shape} in {main.classes}",
            "give the network that the file was made of",
        )
    return whole


def _find_equivalent(
    network: Network, recipe: Recipe, plan: Plan, clip: bool, skipped: dict[str, str]
) -> DiffusersRecipe | None:
    if not is_installed():
        skipped[DIFFUSERS] = "not installed: pip install diffusers torch"
        return None
    if not ((plan.guided == 1).all() and plan.rescale == 0 and not plan.compares.any()):
        skipped[DIFFUSERS] = "its pipelines guide every step alike"
        return None
    try:
        return translate_recipe(replace(recipe, guidance=None), network, plan.steps, clip=clip)
    except NoEquivalentError as error:
        skipped[DIFFUSERS] = str(error)
        return None


def _format_reason(error: DtoolError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)
