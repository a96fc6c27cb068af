"""Sessions of ONNX Runtime: on the provider that was asked for or on none, and runs that can be stopped."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import onnxruntime as ort
from numpy.typing import NDArray

from dtool.backends import installation
from dtool.backends.allowance import CALL_SECONDS, RUN_SECONDS
from dtool.backends.guard import guarded
from dtool.errors import DtoolError, UsageError, did_you_mean

T = TypeVar("T")
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_NVIDIA = (_CUDA, "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")
_SUFFIX = "ExecutionProvider"
_MORE_TIME = "allow more with --time-limit (time_limit= in Python), or run fewer images at a time"


@dataclass(frozen=True)
class _Place:
    """The providers of a session, in order; `required`: whether the first must be there."""

    wanted: list[tuple[str, dict[str, str]]]
    required: bool
    asked: str


class FailedRunError(DtoolError):
    """ONNX Runtime cannot run the network; `line` is what it says of it."""

    def __init__(self, line: str) -> None:
        super().__init__(f"ONNX Runtime cannot run the network: {line}", "export it again")
        self.line = line


def providers() -> list[str]:
    """The execution providers of this installation of ONNX Runtime; raises DtoolError if the module is broken."""
    known = getattr(ort, "get_available_providers", None)
    if known is None:  # a folder that an uninstalled package left behind
        raise DtoolError(*installation.breakage())
    return list(known())


def open_session(
    data: bytes,
    source: str,
    device: str = "auto",
    provider: str | None = None,
    limit: float = CALL_SECONDS,
    settings: Mapping[str, str] | None = None,
) -> ort.InferenceSession:
    """A session on the device or provider that was asked for: ONNX Runtime would fall back to the CPU without a word.

    data: the file, whose path `source` is for errors. device: auto, cpu, cuda or cuda:1. provider: instead of a device,
    any provider by ONNX Runtime's name, with its options: `OpenVINO:device_type=GPU`. limit: seconds. settings: further
    options of the first provider.
    Raises UsageError for a name that is none, DtoolError if it is not there, or the file cannot be loaded in time.
    """
    place = _device(device) if provider is None else _provider(provider, device)
    first, usual = place.wanted[0]
    place = replace(place, wanted=[(first, {**usual, **(settings or {})}), *place.wanted[1:]])
    missing = _preloaded() if first in _NVIDIA else ""
    try:
        session = _load(data, source, place, limit)
    except DtoolError:
        if place.required:
            raise
        session = _load(data, source, replace(place, wanted=place.wanted[1:]), limit)
    if place.required and session.get_providers()[0] != first:
        raise _absent(place.asked, f"ONNX Runtime could not start its {first}{missing}", first)
    return session


def offers_cuda() -> bool:
    """Whether this ONNX Runtime is built with CUDA; whether there is a GPU is another question."""
    return _CUDA in providers()


def device_of(session: ort.InferenceSession) -> str:
    """Where a session runs: cpu, cuda, or the name of another provider in small letters."""
    first = str(session.get_providers()[0])
    return "cuda" if first in _NVIDIA else first.removesuffix(_SUFFIX).lower()


def guarded_run(
    session: ort.InferenceSession,
    outputs: Sequence[str] | None,
    feed: Mapping[str, NDArray[Any]],
    limit: float = RUN_SECONDS,
) -> list[NDArray[Any]]:
    """`session.run(outputs, feed)` that Ctrl-C ends at once, and a time limit, in seconds, if it is long.

    ONNX Runtime stops before its next operator. Costs a thread, some 0.1 ms. Raises DtoolError if the time is over, or
    the run fails; KeyboardInterrupt.
    """
    return _stoppable(lambda options: list(session.run(outputs, feed, options)), run_options(), limit)


def guarded_bound_run(
    session: ort.InferenceSession, binding: Any, options: ort.RunOptions, limit: float = RUN_SECONDS
) -> None:
    """The same of a run whose arrays are bound; it is over when this returns, unless `options` say otherwise."""
    _stoppable(lambda options: session.run_with_iobinding(binding, options), options, limit)


def run_options(**entries: str) -> ort.RunOptions:
    """What a run is told: to be silent, and `entries` in ONNX Runtime's words."""
    options = ort.RunOptions()
    options.log_severity_level = 4
    for name, value in entries.items():
        options.add_run_config_entry(name, value)
    return options


def _stoppable(work: Callable[[ort.RunOptions], T], options: ort.RunOptions, limit: float) -> T:
    def stop() -> None:
        options.terminate = True

    try:
        return guarded(lambda: work(options), stop, limit)
    except TimeoutError:
        raise DtoolError(f"the network was stopped: it ran for more than {limit:g} seconds", _MORE_TIME) from None
    except DtoolError:  # it takes too much memory
        raise
    except Exception as error:
        raise failed_run(error) from error


def failed_run(error: Exception) -> DtoolError:
    """What ONNX Runtime says of a run that failed, in a line."""
    if "allocate memory" in str(error) or "bad_alloc" in str(error):
        return DtoolError("there is not enough memory for the network", "run fewer images at a time")
    return FailedRunError(_line(error))


def _load(data: bytes, source: str, place: _Place, limit: float) -> ort.InferenceSession:
    """A session, without what ONNX Runtime prints and logs on the way: its errors are ours to tell."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = _cores()
    on = "" if place.wanted[0][0] == _CPU else f" on {place.asked}"

    def load() -> ort.InferenceSession:
        return ort.InferenceSession(data, options, providers=place.wanted, enable_fallback=0)

    ort.set_default_logger_severity(4)
    try:
        return guarded(load, lambda: options.set_load_cancellation_flag(True), limit)
    except TimeoutError:
        raise DtoolError(f"ONNX Runtime has not loaded {source} in {limit:g} seconds", _MORE_TIME) from None
    except DtoolError:  # it takes too much memory
        raise
    except Exception as error:
        hint = "install what the provider needs, or use --device cpu" if on else "export it again, at opset 20"
        raise DtoolError(f"ONNX Runtime cannot load {source}{on}: {_line(error)}", hint) from error
    finally:
        ort.set_default_logger_severity(2)


def _cores() -> int:
    """One thread a core, as ONNX Runtime would choose; 0 leaves it the choice, where the cores cannot be counted.

    Of threads that it counts itself it ties all but the caller's to a core each, and who calls from another thread than
    the main one meets one of them on its own core: on two cores that cost 3 % of a run of 70 ms.
    """
    try:
        places = [Path(f"/sys/devices/system/cpu/cpu{k}/topology") for k in os.sched_getaffinity(0)]
        return len({(place / "thread_siblings_list").read_text() for place in places})
    except (AttributeError, OSError):  # not Linux
        return 0


def _preloaded() -> str:
    """Load NVIDIA's libraries from their packages; returns what to say of those that are missing."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        ort.preload_dlls()
    missing = re.findall(r"^Failed to load ([^:\s]+)", said.getvalue(), re.MULTILINE)
    return f": it needs {', '.join(missing)}" if missing else ""


def _line(error: Exception) -> str:
    """The first line of what ONNX Runtime says, without its own source files and codes."""
    if isinstance(error, UnicodeError):  # it met a name that is none, and could not even tell
        return "a name in it is no text"
    noise = r"\[ONNXRuntimeError\] : \d+ : \w+ : |\[\w+Error\] |/\S+\.(?:cc|h):\d+ .*?\) "
    text = re.sub(noise, "", str(error)).strip()
    return (text.splitlines() or [type(error).__name__])[0][:200]


def _device(device: str) -> _Place:
    match = re.fullmatch(r"auto|cpu|cuda(?::(\d+))?", device)
    if match is None:
        raise UsageError(f"there is no device {device!r}", "use auto, cpu or cuda; cuda:1 is the second of them")
    available = providers()
    if device == "cpu" or (device == "auto" and _CUDA not in available):
        return _Place([(_CPU, {})], True, device)
    if _CUDA not in available:
        raise _absent(f"device {device}", "this ONNX Runtime is built without CUDA", _CUDA)
    settings = {"device_id": match[1] or "0", "use_tf32": "0"}
    return _Place([(_CUDA, settings), (_CPU, {})], device != "auto", f"device {device}")


def _provider(text: str, device: str) -> _Place:
    """`NAME:key=value,key=value` as a place; a comma inside a value is fine."""
    if device != "auto":
        raise UsageError(f"both --provider {text} and --device {device} say where it runs", "leave one of them out")
    name, _, settings = text.partition(":")
    known = {*providers(), *ort.get_all_providers()}
    full = next((k for k in known if name.lower() in (k.lower(), k.lower().removesuffix(_SUFFIX.lower()))), None)
    if full is None:
        raise UsageError(
            f"there is no provider {name!r}", did_you_mean(name, (k.removesuffix(_SUFFIX).lower() for k in known))
        )
    if full not in providers():
        raise _absent(f"provider {full}", f"this ONNX Runtime has {', '.join(providers())}", full)
    pairs = re.findall(r"([^=,]+)=(.*?)(?=,[^=,]+=|$)", settings)
    if ",".join(map("=".join, pairs)) != settings:
        raise UsageError(f"--provider {text}: {settings!r} are no options", f"write them as {name}:key=value,key=value")
    names = dict.fromkeys((full, *((_CUDA,) if full in _NVIDIA else ()), _CPU))
    return _Place([(n, dict(pairs) if n == full else {}) for n in names], True, f"provider {full}")


def _absent(what: str, why: str, provider: str) -> DtoolError:
    """The error for what was asked for and is not there; two packages that clash are a reason, too."""
    conflict = installation.conflict()
    if conflict is not None:
        return DtoolError(f"{what} is not there: {conflict[0]}", conflict[1])
    if provider != _CUDA:
        return DtoolError(f"{what} is not there: {why}", "install a build of ONNX Runtime that has it")
    first = "install a driver and" if _CUDA in providers() else "pip uninstall onnxruntime;"
    return DtoolError(f"{what} is not there: {why}", f"{first} pip install 'dtool-diffusion[gpu]'; or use --device cpu")
