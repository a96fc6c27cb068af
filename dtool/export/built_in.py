"""What is built into an exported file besides its network: a decoder, another network, what its images are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.export.network.sources import SourceNetwork
from dtool.export.sampler.settings import SamplerFileOptions
from dtool.export.size_limit import graph_size, require_exportable
from dtool.models.network import Network
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.run.guided_conditions import Request, add_encoded, check_prompts, list_without, prepare_pictures
from dtool.run.guided_plan import require_alike
from dtool.run.load_codec import load_codec
from dtool.run.numpy_backend import FunctionNetwork

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class BuiltIn:
    """What the user asks for. decoder: a file, with the scale and shift of its latents; request: what is told."""

    decoder: Path | None = None
    scale: float | None = None
    shift: float | None = None
    request: Request = field(default_factory=Request)

    @property
    def is_told(self) -> bool:
        """Whether the images are told anything."""
        asked = self.request
        return any(value is not None for value in (asked.prompt, asked.negative, asked.conditions, asked.without))

    def require_untold(self, why: str) -> None:
        """Raise UsageError, with the reason, if the images are told anything."""
        if self.is_told:
            raise UsageError(why, "leave out --prompt, --condition and their like, or name one file, -o NAME.onnx")

    def require_no_decoder(self) -> None:
        """Raise UsageError if there is a decoder, which a network alone has no place for."""
        if self.decoder is not None:
            raise UsageError(
                "a decoder follows a sampler's loop", "name a sampler, with --recipe, or leave out --decoder"
            )

    def add_decoder(self, source: SourceNetwork) -> SourceNetwork:
        """The network with this decoder in the place of its own; raises what `load_codec` raises."""
        if self.decoder is None:
            return source
        shape, on_cpu = source.spec.shape, Runtime(device="cpu")
        codec = load_codec(self.decoder, shape, scale=self.scale, shift=self.shift, runtime=on_cpu)
        return replace(source, codec=codec)


NOTHING = BuiltIn()


def refuse_told(options: SamplerFileOptions) -> None:
    """Raise UsageError for options of a sampler's file in which what images are told has no place."""
    if options.text:
        raise UsageError(
            "with the text encoder in the file prompts are given at each run", "leave out text, or the prompt"
        )
    if "without" in (options.inputs or ()):
        raise UsageError(
            "what guidance compares with is built in, and an input that must be given",
            "leave without out of the inputs",
        )


def require_place_for_weak(*, folder: bool, has_plan: bool, small: str | None) -> None:
    """Raise UsageError where a weaker network has no place."""
    if not has_plan:
        raise UsageError("a weaker network is for guidance, which is a sampler's", "name one, with --recipe (plan=)")
    if folder:
        raise UsageError("a weaker network goes into a sampler's file, not into a folder", "name a file, -o NAME.onnx")
    if small is not None:
        raise UsageError(f"{small} makes one network smaller, and there are two", f"leave out --{small} (or --weak)")


def add_weak(source: SourceNetwork, weak: SourceNetwork) -> SourceNetwork:
    """The network with the weaker one beside it; raises UsageError unless both say the same of the same samples."""
    require_alike(source.spec, weak.spec)
    if source.spec.classes and not source.spec.guidable:
        raise UsageError(
            "the network has classes and no label for none, so that its file can name no scale", "run its own file"
        )
    require_exportable(graph_size(source.proto) + graph_size(weak.proto), "the network with the weaker one")
    return replace(source, weak=weak.proto, mixes=source.mixes or weak.mixes)


@dataclass(frozen=True, kw_only=True)
class ToldArrays:
    """Conditions by name, one entry for all images `(1, *shape)`: as images are told them, and as guidance compares.

    A condition that is in `given` alone is the same where guidance compares.
    """

    given: Arrays
    without: Arrays


def encode_told(source: SourceNetwork, built_in: BuiltIn, guidance: float) -> ToldArrays:
    """The arrays that the request means; raises UsageError for what the network does not take, and for several."""
    asked, network = built_in.request, _stand_in(source)
    if asked.negative is not None and asked.prompt is None:
        raise UsageError("a negative prompt is built in beside a prompt", "give --prompt (prompt=) too")
    if (asked.negative is not None or asked.without) and guidance == 1:
        raise UsageError("what to compare with is given, but no guidance", "give --guidance (guidance=)")
    given = prepare_pictures(network, asked.conditions)
    without = prepare_pictures(network, asked.without)
    if asked.prompt is not None:
        given = add_encoded(network, asked.prompt, given, check_prompts(asked.prompt, 1))
        if guidance != 1:
            others = {**list_without(network, asked), **without}
            negative = "" if asked.negative is None else asked.negative
            without = add_encoded(network, negative, others, check_prompts(negative, 1))
    return ToldArrays(given=_read_all(source.spec, given), without=_read_all(source.spec, without))


def _stand_in(source: SourceNetwork) -> Network:
    """A network of which only what is around it is asked."""
    network = FunctionNetwork(_call_nothing, source.spec)
    network.text, network.pictures = source.text, source.pictures
    return network


def _call_nothing(*_: Any) -> Any:
    raise AssertionError("this network is asked only for what is around it")


def _read_all(spec: NetworkSpec, values: Mapping[str, Any]) -> Arrays:
    known = {one.name: one for one in spec.conditions}
    for name in values:
        if name not in known:
            raise UsageError(f"the network takes no condition {name!r}", f"it takes {', '.join(known) or 'none'}")
    return {name: known[name].read(value, 1) for name, value in values.items()}


def fix_conditions(source: SourceNetwork, given: Arrays) -> SourceNetwork:
    """The network with these conditions as constants: neither its file nor its spec has them any more."""
    import onnx
    from onnx import helper, numpy_helper

    proto = onnx.ModelProto()
    proto.CopyFrom(source.proto)
    graph = proto.graph
    inputs = dict(zip(_list_inputs(source.spec), [value.name for value in graph.input], strict=True))
    constants: Arrays = {}
    nodes = [helper.make_node("Shape", [inputs["x"]], ["fixed/batch"], start=0, end=1)]
    for name in given:
        inner, rest = inputs[name], np.array(given[name].shape[1:], np.int64)
        constants |= {f"fixed/{name}": given[name], f"fixed/{name}/rest": rest}
        nodes.append(helper.make_node("Concat", ["fixed/batch", f"fixed/{name}/rest"], [f"fixed/{name}/shape"], axis=0))
        nodes.append(helper.make_node("Expand", [f"fixed/{name}", f"fixed/{name}/shape"], [inner]))
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    gone = {inputs[name] for name in given}
    kept, whole = [value for value in graph.input if value.name not in gone], [*nodes, *graph.node]
    del graph.input[:], graph.node[:]
    graph.input.extend(kept)
    graph.node.extend(whole)
    graph.initializer.extend(tensors)
    rest_of = tuple(one for one in source.spec.conditions if one.name not in given)
    changed: dict[str, Any] = {"conditions": rest_of}
    if not rest_of and not source.spec.guidable:
        changed["guidance"] = 1.0
    spec = source.spec.model_copy(update=changed)
    return replace(source, proto=proto, spec=spec, module=_fix_in_module(source.module, given))


def _list_inputs(spec: NetworkSpec) -> list[str]:
    """The inputs of a network's graph, in their order."""
    return ["x", "t", *(["label"] if spec.classes else []), *(one.name for one in spec.conditions)]


def _fix_in_module(module: Any, given: Arrays) -> Any:
    """The module, told these arrays; None of none."""
    if module is None:
        return None
    import torch

    class Told(torch.nn.Module):
        """The module with constants among its conditions."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: Any, *others: Any, **named: Any) -> Any:
            told = {name: torch.from_numpy(array).expand(len(x), *array.shape[1:]) for name, array in given.items()}
            return self.inner(x, *others, **named, **told)

    return Told().eval()
