"""Weights in a file of PyTorch or safetensors: read within bounds, running none of its code, and examined."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.errors import DtoolError
from dtool.models import pt_archive
from dtool.util import bounded_reading
from dtool.util.text import get_first_line

if TYPE_CHECKING:  # readers import this to look at a file's name; PyTorch is for those that open it
    from torch import Tensor

COPIES = 3  # of a file that are in memory at a time: what is read, the network's weights, and those of a run
SAVE_WEIGHTS_ALONE = "save the weights alone where you trust it: torch.save(network.state_dict(), 'weights.pt')"
_SAVE_ANEW = "load it with torch.load(…, weights_only=True), and save it again with torch.save"
MAX_WORDS = 120  # characters of another library's sentence


def is_safetensors(path: Path) -> bool:
    """Whether a file's name says that it is of safetensors; of another it is taken to be PyTorch's."""
    return path.suffix.lower() == ".safetensors"


def read_content(path: Path, *, remedy: str | None = None) -> Any:
    """What a .pt holds, or the tensors of a .safetensors by name.

    remedy: what to do about a file that is refused for what it would call, or for its age, instead of the usual.
    Raises DtoolError for a file that is missing, damaged or unsafe, UsageError if there is no memory for it.
    """
    bounded_reading.require_room_for(path, COPIES)
    return _read_safetensors(path) if is_safetensors(path) else _read_pt(path, remedy)


def _read_pt(path: Path, remedy: str | None) -> Any:
    import torch

    with bounded_reading.open_file(path) as file:
        start = file.read(len(pt_archive.ZIP))
        file.seek(0)
        try:
            called = pt_archive.list_called_names(file)
        except pt_archive.ArchiveError as error:
            raise make_damage_error(path, str(error)) from error
    if called:  # PyTorch allows some names, too, that take any amount of memory
        what = called[0].replace(" ", ".")[:80]
        raise DtoolError(
            f"{path}: refused, because loading it would run code that weights do not need ({what})",
            remedy or SAVE_WEIGHTS_ALONE,
        )
    if not start:
        raise make_damage_error(path, "it is empty")
    if start != pt_archive.ZIP:
        raise DtoolError(f"{path} is in a format that PyTorch wrote before 1.6, or damaged", remedy or _SAVE_ANEW)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch thinks of a foreign pickle's protocol
            return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # whatever it meets; its own words ask to be reported to PyTorch
        raise make_damage_error(path, "PyTorch cannot load it") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, ValueError) as error:
        raise make_damage_error(path, get_first_line(error, MAX_WORDS)) from error


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a .safetensors, texts by name; empty for another file. Errors are those of `read_content`."""
    if not is_safetensors(path):
        return {}
    from safetensors import SafetensorError, safe_open

    bounded_reading.require_room_for(path, COPIES)
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, ValueError) as error:
        raise make_damage_error(path, get_first_line(error, MAX_WORDS)) from error


def require_numbers(state: Mapping[Any, Any], source: Path | str) -> None:
    """Raise DtoolError unless every entry is a tensor of finite numbers, all of which the file holds."""
    import torch

    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise DtoolError(f"{source}: {name} is not a tensor", "save the weights again")
        if value.layout != torch.strided or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise DtoolError(f"{source}: {name} stands for more numbers than the file holds", "save the weights again")
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise DtoolError(
                f"{source}: the weights hold NaN or infinity (in {name})",
                "copy or download it again; if training diverged, use an earlier checkpoint, or a lower learning rate",
            )


def require_fit(expected: Mapping[str, Tensor], state: Mapping[str, Tensor], source: Path | str, remedy: str) -> None:
    """Raise DtoolError unless two state dicts have the same names and shapes. remedy: if not."""
    wanted, given = ({name: tuple(value.shape) for name, value in each.items()} for each in (expected, state))
    problems = [
        *(f"lacks {name}" for name in sorted(wanted.keys() - given.keys())),
        *(f"has an unknown {name}" for name in sorted(given.keys() - wanted.keys())),
        *(
            f"has {name} of shape {given[name]}, not {wanted[name]},"
            for name in sorted(wanted.keys() & given.keys())
            if wanted[name] != given[name]
        ),
    ]
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise DtoolError(f"{source}: the state dict {problems[0]}{more}: it is of another network", remedy)


def make_damage_error(path: Path, why: str) -> DtoolError:
    """The error of a file that does not hold what it says."""
    return DtoolError(f"{path}: the file is damaged ({why})", "copy or download it again")
