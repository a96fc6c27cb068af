"""The PyTorch backend, on the CPU and on CUDA; what all networks on tensors have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from math import pi, prod
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError
from dtool.models.conditions import split_label
from dtool.models.micro_batch import choose_default_micro_batch, choose_function_micro_batch
from dtool.models.network import Network, warn_of_rounding
from dtool.models.spec import NetworkSpec
from dtool.run.noise import Normals, counter_range, derive_key
from dtool.run.returned_arrays import extract_array, failed_call_error, not_real_error
from dtool.run.torch_compiled import compile_module


class TensorNetwork(Network):
    """What every network on tensors has in common. `place`: the device that they lie on, as PyTorch names it."""

    place: str = "cpu"

    def array(self, values: NDArray[Any]) -> torch.Tensor:
        """`values` as a tensor on the device."""
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.place)

    def numpy(self, values: Any) -> NDArray[Any]:
        """A tensor as a numpy array on the host."""
        array: NDArray[Any] = values.detach().cpu().numpy()
        return array

    def concatenate(self, parts: Sequence[Any]) -> torch.Tensor:
        """The parts one after another along the batch."""
        return torch.cat(list(parts))

    def noise(self, seed: int, ids: NDArray[np.uint64], count: int) -> Callable[[int], torch.Tensor]:
        """Standard normal noise, `count` draws at a time: numpy's on the CPU, elsewhere made where it is needed."""
        if self.place == "cpu":
            normals = Normals(seed, ids, self.shape, count)
            return lambda draw: torch.from_numpy(normals(draw))
        return DeviceNormals(seed, ids, self.shape, count, self.place)


class TorchNetwork(TensorNetwork):
    """A callable on tensors: an `nn.Module`, moved to `device` and set to evaluation, or any function.

    Called as `module(x, t[, label], **conditions)`: label if the spec has classes, the others by their names.
    compile: through `torch.compile`, see `dtool.run.torch_compiled`.
    """

    backend: ClassVar[str] = "torch"

    def __init__(
        self,
        module: Callable[..., Any],
        spec: NetworkSpec,
        device: str = "cpu",
        *,
        compile: bool = False,  # noqa: A002 - PyTorch's own word for it
    ) -> None:
        super().__init__(spec)
        self.device = self.place = choose_device(device)
        self.dtype: torch.dtype | None = None
        if isinstance(module, torch.nn.Module):
            module = module.to(self.device).eval()
            self.dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), None)
            self.micro_batch = choose_default_micro_batch(spec.shape, self.device)
        else:
            self.micro_batch = choose_function_micro_batch(spec.shape)
        self.module = module
        self._call = module
        if compile:
            self._call = compile_module(module, self.device)
            self.one_size = True  # trying out others would compile them

    def warn_of_times(self, times: NDArray[np.float64]) -> None:
        """As every network: of one that computes in half precision, and is told its times so."""
        if self.dtype in (torch.float16, torch.bfloat16):
            rounded = torch.from_numpy(times).to(self.dtype).double().numpy()
            warn_of_rounding(times, rounded, f"the network computes in {str(self.dtype).removeprefix('torch.')}")

    @cached_property
    def takes_null_label(self) -> bool:
        """Whether the module's class table has a row for no class, if it has such a table; else it is tried out.

        On a GPU an index beyond a table's end is an error that nothing recovers from.
        """
        modules = self.module.modules() if isinstance(self.module, torch.nn.Module) else ()
        tables = {each.num_embeddings for each in modules if isinstance(each, torch.nn.Embedding)}
        if self.classes in tables and self.classes + 1 not in tables:
            return False
        return super().takes_null_label

    def predict(self, x: Any, t: Any, conditions: Any = None) -> Any:
        """Call the module without gradients; computes in its own dtype, answers in that of `x`."""
        dtype = self.dtype or x.dtype
        label, others = split_label(conditions)
        others = {name: each.to(dtype) if each.is_floating_point() else each for name, each in others.items()}
        try:
            with torch.no_grad():  # in inference mode the output could not be changed in place, which guidance does
                output = self._call(x.to(dtype), t.to(dtype), *label, **others)
        except Exception as error:
            failure = failed_call_error(error, on_numpy=False)
            if failure is None:
                raise
            raise failure from error
        output = extract_tensor(output, x)
        self.require_shape(output, x)
        return output.to(x.dtype)


def extract_tensor(output: Any, x: torch.Tensor) -> torch.Tensor:
    """The tensor that a module returned for `x`; raises DtoolError for none, another type or another device."""
    tensor: torch.Tensor = (
        output if isinstance(output, torch.Tensor) else extract_array(output, torch.Tensor, "a tensor")
    )
    if not tensor.dtype.is_floating_point:
        raise not_real_error(tensor.dtype)
    if tensor.device != x.device:
        raise DtoolError(
            f"the network returned a tensor on {tensor.device} for x on {x.device}", "let it compute on the device of x"
        )
    return tensor


class DeviceNormals:
    """`dtool.run.noise.Normals`, computed on `device`: int64 wraps as uint64 does; shifts are masked.

    The ids are sent there once: a draw copies nothing from the host, so that nobody waits for the device.
    """

    def __init__(self, seed: int, ids: NDArray[np.uint64], shape: tuple[int, ...], count: int, device: str) -> None:
        self._names = torch.from_numpy(ids.astype(np.int64)).to(device)[:, None] << 32
        self._key, self._shape, self._count, self._device = _to_signed(derive_key(seed)), shape, count, device

    def __call__(self, draw: int) -> torch.Tensor:
        """Draws `draw` … `draw + count - 1`, `(count, B, *shape)` float32, on the device."""
        elements, images, count = prod(self._shape), len(self._names), self._count
        low = torch.arange(*counter_range(draw, count, elements), device=self._device)
        uniform = (_squares((self._names | low) * self._key, self._key).double() + 0.5) * 2.0**-32
        radius = torch.sqrt(-2.0 * torch.log(uniform[:, 0::2]))
        angle = (2.0 * pi) * uniform[:, 1::2]
        pairs = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=-1).float()
        by_draw = pairs.reshape(images, count, -1)[:, :, :elements].swapaxes(0, 1)
        return by_draw.reshape(count, images, *self._shape).contiguous()


def device_normals(
    seed: int, ids: NDArray[np.uint64], draw: int, shape: tuple[int, ...], count: int, device: str
) -> torch.Tensor:
    """`dtool.run.noise.normals`, once, on `device`."""
    return DeviceNormals(seed, ids, shape, count, device)(draw)


def _to_signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _squares(y: torch.Tensor, key: int) -> torch.Tensor:
    """`dtool.run.noise.squares` in int64: 32 random bits."""
    mask = (1 << 32) - 1
    z = y + key
    x = y
    for add in (y, z, y):
        x = x * x + add
        x = ((x >> 32) & mask) | (x << 32)
    return ((x * x + z) >> 32) & mask


def choose_device(device: str) -> str:
    """The device asked for; "auto" is CUDA if there is one. Raises DtoolError if it is not there: no fallback."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return device
    if not re.fullmatch(r"cuda(:\d{1,3})?|mps|xpu(:\d{1,3})?", device):
        raise UsageError(f"there is no device {device!r}", "use auto, cpu or cuda; cuda:1 is the second of them")
    if device.startswith("cuda"):
        _require_cuda(device)
    try:
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:  # the latter: this PyTorch is built without it
        cause = (str(error).strip().splitlines() or ["PyTorch cannot compute on it"])[0][:160]
        raise DtoolError(f"device {device} is not there: {cause}", "use --device cpu (device='cpu')") from error
    return device


def _require_cuda(device: str) -> None:
    """Raise DtoolError if there is no CUDA, or not so many devices of it."""
    if not torch.cuda.is_available():
        why = "this PyTorch is built without CUDA" if torch.version.cuda is None else "no CUDA device is visible"
        raise DtoolError(
            f"device {device} is not there: {why}", "install a CUDA build of torch and a driver, or use --device cpu"
        )
    count = torch.cuda.device_count()
    if int(device.partition(":")[2] or 0) >= count:
        raise DtoolError(f"device {device} is not there: there are {count}, from cuda:0", "use cuda, or --device cpu")


def sees_cuda() -> bool:
    """Whether this PyTorch can compute on a CUDA device."""
    return torch.cuda.is_available()


def is_tensor(value: Any) -> bool:
    """Whether `value` is a tensor."""
    return isinstance(value, torch.Tensor)


def is_module(value: Any) -> bool:
    """Whether `value` is an nn.Module."""
    return isinstance(value, torch.nn.Module)
