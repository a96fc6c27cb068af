"""The PyTorch backend, on the CPU and on CUDA. The only file here that imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi, prod
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from dtool.backends.noise import Normals, key, span
from dtool.errors import DtoolError, UsageError
from dtool.networks.network import Network, rows_for
from dtool.networks.spec import NetworkSpec


class TorchNetwork(Network):
    """A callable on tensors: an `nn.Module`, moved to `device` and set to evaluation, or any function.

    Called as `module(x, t)`, or `module(x, t, label)` if the spec has classes.
    """

    backend: ClassVar[str] = "torch"

    def __init__(self, module: Callable[..., Any], spec: NetworkSpec, device: str = "cpu") -> None:
        super().__init__(spec)
        self.device = chosen_device(device)
        self.dtype: torch.dtype | None = None
        if isinstance(module, torch.nn.Module):
            module = module.to(self.device).eval()
            self.dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), None)
            self.micro_batch = (
                rows_for(spec.shape, 512) if self.device == "cpu" else max(16, rows_for(spec.shape, 8192))
            )
        else:
            self.micro_batch = min(64, rows_for(spec.shape, 8192))
        self.module = module

    def predict(self, x: Any, t: Any, label: Any = None) -> Any:
        """Call the module without gradients; computes in its own dtype, answers in that of `x`."""
        dtype = self.dtype or x.dtype
        arguments = (x.to(dtype), t.to(dtype)) if label is None else (x.to(dtype), t.to(dtype), label)
        with torch.inference_mode():
            output = self.module(*arguments)
        self.require_shape(output, x)
        return output.to(x.dtype)

    def array(self, values: NDArray[Any]) -> torch.Tensor:
        """`values` as a tensor on the device."""
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def numpy(self, values: Any) -> NDArray[Any]:
        """A tensor as a numpy array on the host."""
        array: NDArray[Any] = values.detach().cpu().numpy()
        return array

    def concatenate(self, parts: Sequence[Any]) -> torch.Tensor:
        """The parts one after another along the batch."""
        return torch.cat(list(parts))

    def noise(self, seed: int, ids: NDArray[np.uint64], count: int) -> Callable[[int], torch.Tensor]:
        """Standard normal noise, `count` draws at a time: numpy's on the CPU, elsewhere made where it is needed."""
        if self.device == "cpu":
            normals = Normals(seed, ids, self.shape, count)
            return lambda draw: torch.from_numpy(normals(draw))
        return lambda draw: device_normals(seed, ids, draw, self.shape, count, self.device)


def device_normals(
    seed: int, ids: NDArray[np.uint64], draw: int, shape: tuple[int, ...], count: int, device: str
) -> torch.Tensor:
    """`dtool.backends.noise.normals`, computed on `device`: int64 wraps as uint64 does; shifts are masked."""
    elements, images, mask = prod(shape), len(ids), (1 << 32) - 1

    def signed(value: int) -> int:
        return value - (1 << 64) if value >= 1 << 63 else value

    def swap(v: torch.Tensor) -> torch.Tensor:
        return ((v >> 32) & mask) | (v << 32)

    names = torch.from_numpy(ids.astype(np.int64)).to(device) << 32
    k = signed(key(seed))
    y = (names[:, None] | torch.arange(*span(draw, count, elements), device=device)) * k
    z = y + k
    x = swap(y * y + y)
    x = swap(x * x + z)
    x = swap(x * x + y)
    uniform = ((((x * x + z) >> 32) & mask).double() + 0.5) * 2.0**-32
    radius = torch.sqrt(-2.0 * torch.log(uniform[:, 0::2]))
    angle = (2.0 * pi) * uniform[:, 1::2]
    pairs = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=-1).float()
    by_draw = pairs.reshape(images, count, -1)[:, :, :elements].swapaxes(0, 1)
    return by_draw.reshape(count, images, *shape).contiguous()


def chosen_device(device: str) -> str:
    """The device asked for; "auto" is CUDA if there is one. Raises DtoolError if it is not there: no fallback."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        why = "this PyTorch is built without CUDA" if torch.version.cuda is None else "no CUDA device is visible"
        raise DtoolError(
            f"device {device} is not there: {why}", "install a CUDA build of torch and a driver, or use --device cpu"
        )
    try:
        return str(torch.device(device))
    except RuntimeError as error:
        raise UsageError(f"there is no device {device!r}", "use auto, cpu or cuda") from error


def is_tensor(value: Any) -> bool:
    """Whether `value` is a tensor."""
    return isinstance(value, torch.Tensor)


def is_module(value: Any) -> bool:
    """Whether `value` is an nn.Module."""
    return isinstance(value, torch.nn.Module)
