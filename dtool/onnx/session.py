"""Sessions of ONNX Runtime: on the provider that was asked for or on none, and runs that can be stopped."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import onnxruntime as ort
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError, did_you_mean
from dtool.models.runtime import ANYWHERE, Runtime
from dtool.onnx import installation
from dtool.onnx.external_data import ExternalWeights
from dtool.onnx.limits import CALL_SECONDS, RUN_SECONDS, resolve_time_limit
from dtool.onnx.process_guard import run_interruptible, run_together
from dtool.util.cores import count_cores

T = TypeVar("T")
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_NVIDIA = (_CUDA, "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")
_SUFFIX = "ExecutionProvider"
_MORE_TIME = "allow more with --time-limit (time_limit= in Python), or run fewer images at a time"


@dataclass(frozen=True)
class _ProviderChoice:
    """The providers of a session, in order; `required`: whether the first must be there; `label`: for errors."""

    providers: list[tuple[str, dict[str, str]]]
    required: bool
    label: str


class FailedRunError(DtoolError):
    """ONNX Runtime cannot run the network; `line` is what it says of it."""

    def __init__(self, line: str) -> None:
        super().__init__(f"ONNX Runtime cannot run the network: {line}", "export it again")
        self.line = line


def list_providers() -> list[str]:
    """The execution providers of this installation of ONNX Runtime; raises DtoolError if the module is broken."""
    get_names = getattr(ort, "get_available_providers", None)
    if get_names is None:  # a folder that an uninstalled package left behind
        raise DtoolError(*installation.explain_breakage())
    return list(get_names())


def open_session(
    data: bytes, source: str, runtime: Runtime = ANYWHERE, settings: Mapping[str, str] | None = None, *,
    weights: ExternalWeights | None = None, threads: int | None = None,
) -> ort.InferenceSession:  # fmt: skip
    """A session on the device or provider that was asked for: ONNX Runtime would fall back to the CPU without a word.

    data: the file, whose path `source` is for errors. runtime: its device, its provider, by ONNX Runtime's name with
    its options, and its time limit, which holds for loading, too. settings: further options of the first provider.
    weights: those that the file keeps in others; with them about once their size is taken, besides a copy on disk.
    threads: of a run on the CPU [default: one per core].
    Raises UsageError for a name that is none, DtoolError if it is not there, or the file cannot be loaded in time.
    """
    limit = resolve_time_limit(runtime.time_limit, CALL_SECONDS)
    choice = _choose_provider(runtime)
    first, usual = choice.providers[0]
    choice = replace(choice, providers=[(first, {**usual, **(settings or {})}), *choice.providers[1:]])
    missing = _preload_libraries() if first in _NVIDIA else ""
    with contextlib.nullcontext(data) if weights is None else weights.copy_beside(data) as model:
        try:
            session = _load_session(model, source, choice, limit, threads)
        except DtoolError:
            if choice.required:
                raise
            session = _load_session(model, source, replace(choice, providers=choice.providers[1:]), limit, threads)
    if choice.required and session.get_providers()[0] != first:
        raise _missing_error(choice.label, f"ONNX Runtime could not start its {first}{missing}", first)
    return session


def offers_cuda() -> bool:
    """Whether this ONNX Runtime is built with CUDA; whether there is a GPU is another question."""
    return _CUDA in list_providers()


def find_device(session: ort.InferenceSession) -> str:
    """Where a session runs: cpu, cuda, or the name of another provider in small letters."""
    first = str(session.get_providers()[0])
    return "cuda" if first in _NVIDIA else first.removesuffix(_SUFFIX).lower()


def run_session(
    session: ort.InferenceSession,
    outputs: Sequence[str] | None,
    feed: Mapping[str, NDArray[Any]],
    limit: float = RUN_SECONDS,
) -> list[NDArray[Any]]:
    """`session.run(outputs, feed)` that Ctrl-C ends at once, and a time limit, in seconds, if it is long.

    ONNX Runtime stops before its next operator. Costs a thread, some 0.1 ms. Raises DtoolError if the time is over, or
    the run fails; KeyboardInterrupt.
    """
    return run_session_together(session, outputs, [feed], limit)[0]


def run_session_together(
    session: ort.InferenceSession,
    outputs: Sequence[str] | None,
    feeds: Sequence[Mapping[str, NDArray[Any]]],
    limit: float = RUN_SECONDS,
) -> list[list[NDArray[Any]]]:
    """Several such runs at the same time, each in a thread: for a session whose runs take one thread."""
    options = make_run_options()
    works = [lambda feed=feed: list(session.run(outputs, feed, options)) for feed in feeds]
    return _run_stoppable(lambda _: run_together(works), options, limit)


def run_bound_session(
    session: ort.InferenceSession, binding: Any, options: ort.RunOptions, limit: float = RUN_SECONDS
) -> None:
    """The same of a run whose arrays are bound; it is over when this returns, unless `options` say otherwise."""
    _run_stoppable(lambda options: session.run_with_iobinding(binding, options), options, limit)


def make_run_options(**entries: str) -> ort.RunOptions:
    """What a run is told: to be silent, and `entries` in ONNX Runtime's words."""
    options = ort.RunOptions()
    options.log_severity_level = 4
    for name, value in entries.items():
        options.add_run_config_entry(name, value)
    return options


def _run_stoppable(work: Callable[[ort.RunOptions], T], options: ort.RunOptions, limit: float) -> T:
    def stop() -> None:
        options.terminate = True

    try:
        return run_interruptible(lambda: work(options), stop, limit)
    except TimeoutError:
        raise DtoolError(f"the network was stopped: it ran for more than {limit:g} seconds", _MORE_TIME) from None
    except DtoolError:  # it takes too much memory
        raise
    except Exception as error:
        raise failed_run_error(error) from error


def failed_run_error(error: Exception) -> DtoolError:
    """What ONNX Runtime says of a run that failed, in a line."""
    if "allocate memory" in str(error) or "bad_alloc" in str(error):
        return DtoolError("there is not enough memory for the network", "run fewer images at a time")
    return FailedRunError(_first_line(error))


def _load_session(
    model: bytes | Path, source: str, choice: _ProviderChoice, limit: float, threads: int | None
) -> ort.InferenceSession:
    """A session, without what ONNX Runtime prints and logs on the way: its errors are ours to tell."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = count_cores() if threads is None else threads
    if isinstance(model, Path):
        options.enable_mem_pattern = choice.providers[0][0] != _CPU  # a block for all of a run, beside its arena's
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")  # its arena takes more
    on = "" if choice.providers[0][0] == _CPU else f" on {choice.label}"

    def load() -> ort.InferenceSession:
        return ort.InferenceSession(model, options, providers=choice.providers, enable_fallback=0)

    ort.set_default_logger_severity(4)
    try:
        return run_interruptible(load, lambda: options.set_load_cancellation_flag(True), limit)
    except TimeoutError:
        raise DtoolError(f"ONNX Runtime has not loaded {source} in {limit:g} seconds", _MORE_TIME) from None
    except DtoolError:  # it takes too much memory
        raise
    except Exception as error:
        hint = "install what the provider needs, or use --device cpu" if on else "export it again, at opset 20"
        raise DtoolError(f"ONNX Runtime cannot load {source}{on}: {_first_line(error)}", hint) from error
    finally:
        ort.set_default_logger_severity(2)


def _preload_libraries() -> str:
    """Load NVIDIA's libraries from their packages; returns what to say of those that are missing."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        ort.preload_dlls()
    missing = re.findall(r"^Failed to load ([^:\s]+)", output.getvalue(), re.MULTILINE)
    return f": it needs {', '.join(missing)}" if missing else ""


def _first_line(error: Exception) -> str:
    """The first line of what ONNX Runtime says, without its own source files and codes."""
    if isinstance(error, UnicodeError):  # it met a name that is none, and could not even tell
        return "a name in it is no text"
    noise = r"\[ONNXRuntimeError\] : \d+ : \w+ : |\[\w+Error\] |/\S+\.(?:cc|h):\d+ .*?\) "
    text = re.sub(noise, "", str(error)).strip()
    return (text.splitlines() or [type(error).__name__])[0][:200]


def _choose_provider(runtime: Runtime) -> _ProviderChoice:
    """The provider that was named, or the device's."""
    if runtime.provider is None:
        return _choose_for_device(runtime.device)
    return _parse_provider(runtime.provider, runtime.device)


def _choose_for_device(device: str) -> _ProviderChoice:
    match = re.fullmatch(r"auto|cpu|cuda(?::(\d+))?", device)
    if match is None:
        raise UsageError(f"there is no device {device!r}", "use auto, cpu or cuda; cuda:1 is the second of them")
    available = list_providers()
    if device == "cpu" or (device == "auto" and _CUDA not in available):
        return _ProviderChoice([(_CPU, {})], True, device)
    if _CUDA not in available:
        raise _missing_error(f"device {device}", "this ONNX Runtime is built without CUDA", _CUDA)
    settings = {"device_id": match[1] or "0", "use_tf32": "0"}
    return _ProviderChoice([(_CUDA, settings), (_CPU, {})], device != "auto", f"device {device}")


def _parse_provider(text: str, device: str) -> _ProviderChoice:
    """`NAME:key=value,key=value` as a place; a comma inside a value is fine."""
    if device != "auto":
        raise UsageError(f"both --provider {text} and --device {device} say where it runs", "leave one of them out")
    name, _, settings = text.partition(":")
    all_names = {*list_providers(), *ort.get_all_providers()}
    full = next((k for k in all_names if name.lower() in (k.lower(), k.lower().removesuffix(_SUFFIX.lower()))), None)
    if full is None:
        raise UsageError(
            f"there is no provider {name!r}", did_you_mean(name, (k.removesuffix(_SUFFIX).lower() for k in all_names))
        )
    if full not in list_providers():
        raise _missing_error(f"provider {full}", f"this ONNX Runtime has {', '.join(list_providers())}", full)
    pairs = re.findall(r"([^=,]+)=(.*?)(?=,[^=,]+=|$)", settings)
    if ",".join(map("=".join, pairs)) != settings:
        raise UsageError(f"--provider {text}: {settings!r} are no options", f"write them as {name}:key=value,key=value")
    names = dict.fromkeys((full, *((_CUDA,) if full in _NVIDIA else ()), _CPU))
    return _ProviderChoice([(n, dict(pairs) if n == full else {}) for n in names], True, f"provider {full}")


def _missing_error(what: str, why: str, provider: str) -> DtoolError:
    """The error for what was asked for and is not there; two packages that clash are a reason, too."""
    conflict = installation.find_conflict()
    if conflict is not None:
        return DtoolError(f"{what} is not there: {conflict[0]}", conflict[1])
    if provider != _CUDA:
        return DtoolError(f"{what} is not there: {why}", "install a build of ONNX Runtime that has it")
    first = "install a driver and" if _CUDA in list_providers() else "pip uninstall onnxruntime;"
    return DtoolError(f"{what} is not there: {why}", f"{first} pip install 'dtool-diffusion[gpu]'; or use --device cpu")
