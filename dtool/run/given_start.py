"""A start of the user's own: its arrays or tensors and the network, brought together."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.models.network import Network
from dtool.run.backend_modules import import_torch_backend
from dtool.run.numpy_backend import FunctionNetwork
from dtool.util.arguments import as_numbers, require_finite


def is_tensor(value: Any) -> bool:
    """Whether `value` is one of PyTorch's, which is not imported to find out."""
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def unify_backends(network: Network, x: Any, noise: Any, as_numpy: bool) -> tuple[Network, Any, Any]:
    """The network and the user's arrays, brought together."""
    if as_numpy:
        own_noise = None if noise is None else network.array(_to_host("noise", noise))
        return network, network.array(_to_host("x", x)), own_noise
    network = _switch_to_tensors(network)
    place = network.device if network.backend == "torch" else getattr(network, "place", None)
    if place is None:
        return network, _to_host("x", x), None if noise is None else _to_host("noise", noise)
    if not is_tensor(noise):
        noise = None if noise is None else network.array(_to_host("noise", noise))
    for name, each in (("x", x), ("noise", noise)):
        if each is not None and not (each.is_floating_point() and each.ndim):
            raise UsageError(f"{name} is of type {each.dtype}", "give floating-point numbers: x.float()")
        require_finite(name, each is None or not len(each) or bool(each.min().isfinite() & each.max().isfinite()))
    return network, x.to(place), None if noise is None else noise.to(place)


def _to_host(name: str, values: Any) -> NDArray[Any]:
    """The user's array, or tensor, as numpy's."""
    shape = "of shape (B, *shape)" if name == "x" else "of shape (draws, B, *shape)"
    return as_numbers(name, values.detach().cpu() if is_tensor(values) else values, shape)


def _switch_to_tensors(network: Network) -> Network:
    """The same function on tensors, for a start that is a tensor."""
    if isinstance(network, FunctionNetwork):
        return import_torch_backend().TorchNetwork(network.fn, network.spec).adopt(network)  # type: ignore[no-any-return]
    return network
