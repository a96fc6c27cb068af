"""What is installed of ONNX Runtime: several packages bring the same module, and then none of them works for sure."""

from __future__ import annotations

import importlib.metadata
import importlib.util

PACKAGES = (
    "onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime-training",
    "onnxruntime-qnn", "onnxruntime-migraphx", "onnxruntime-rocm", "onnxruntime-cann",
)  # fmt: skip


def installed() -> dict[str, str]:
    """The packages that bring the module `onnxruntime`, with their versions."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def conflict() -> tuple[str, str] | None:
    """(cause, remedy) if more than one package brings the module: the last one that was installed wins."""
    found = installed()
    if len(found) < 2:
        return None
    names = " and ".join(f"{name} {version}" for name, version in found.items())
    extra = "gpu" if "onnxruntime-gpu" in found else "cpu"
    return (
        f"{names} are installed together: they write over each other's files",
        f"pip uninstall -y {' '.join(found)}; then one of them: pip install 'dtool-diffusion[{extra}]'",
    )


def breakage(reason: str = "") -> tuple[str, str]:
    """(cause, remedy) for a module that cannot be used; `reason` is what its import said."""
    found = installed()
    if len(found) > 1:
        return conflict() or ("", "")
    what = " ".join(next(iter(found.items()), ("onnxruntime",)))
    said = f" ({reason})" if reason else ""
    again = "==".join(next(iter(found.items()))) if found else "onnxruntime"
    return (
        f"the files of {what} are not all there{said}: uninstalling a package like it takes them along",
        f"pip install --force-reinstall --no-deps {again}",
    )
