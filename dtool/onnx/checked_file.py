"""An ONNX file that was looked through and may be run, with the weights that lie beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dtool.onnx.external_data import ExternalWeights, locate_weights
from dtool.onnx.inspection import inspect, refuse_unsafe
from dtool.onnx.large_weights import read_skeleton
from dtool.onnx.sampler_inputs import require_described
from dtool.onnx.walk import OnnxFile

FileState = tuple[int, int, int]  # inode, size, time of the last change


@dataclass(frozen=True, kw_only=True)
class CheckedFile:
    """An ONNX file that may be run: its message, the graph in it, and its path for errors.

    weights: those that are not in the message: large ones, and those in other files of its folder. They are
    checked where they are read. states: of the files that hold them, when this one was read.
    """

    data: bytes
    graph: OnnxFile
    source: str
    weights: ExternalWeights | None = None
    states: tuple[FileState, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the model with all its weights."""
        return len(self.data) + (self.weights.size if self.weights else 0)

    def has_changed(self) -> bool:
        """Whether weights that are not in the message are no longer those that were there when it was read."""
        return _read_states(self.weights) != self.states


def read_checked_file(path: Path) -> CheckedFile:
    """Read a file, but for its large weights.

    Raises DtoolError if that cannot be done, or it must not be run (see `refuse_unsafe`).
    """
    skeleton = read_skeleton(path)
    graph = inspect(skeleton.data, str(path))
    refuse_unsafe(graph, str(path), external=True)
    require_described(graph, str(path))
    weights = locate_weights(graph, path, skeleton.places)
    return CheckedFile(data=skeleton.data, graph=graph, source=str(path), weights=weights, states=_read_states(weights))


def _read_states(weights: ExternalWeights | None) -> tuple[FileState, ...]:
    """The state of each file that holds weights out of the message."""
    if weights is None:
        return ()
    paths = {Path(weights.source), *(weights.folder / tensor.location for tensor in weights.tensors)}
    states = [path.stat() for path in sorted(paths) if path.exists()]
    return tuple((state.st_ino, state.st_size, state.st_mtime_ns) for state in states)
