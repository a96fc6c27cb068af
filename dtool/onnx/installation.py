"""What is installed of ONNX Runtime: several packages bring the same module, and then none of them works for sure."""

from __future__ import annotations

import importlib.metadata
import importlib.util

PACKAGES = (
    "onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime-training",
    "onnxruntime-qnn", "onnxruntime-migraphx", "onnxruntime-rocm", "onnxruntime-cann",
)  # fmt: skip


def list_installed() -> dict[str, str]:
    """The packages that bring the module `onnxruntime`, with their versions."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def find_conflict() -> tuple[str, str] | None:
    """(cause, remedy) if more than one package brings the module: the last one that was installed wins."""
    versions = list_installed()
    if len(versions) < 2:
        return None
    names = " and ".join(f"{name} {version}" for name, version in versions.items())
    extra = "gpu" if "onnxruntime-gpu" in versions else "cpu"
    return (
        f"{names} are installed together: they write over each other's files",
        f"pip uninstall -y {' '.join(versions)}; then one of them: pip install 'dtool-diffusion[{extra}]'",
    )


def explain_breakage(reason: str = "") -> tuple[str, str]:
    """(cause, remedy) for a module that cannot be used; `reason` is what its import said."""
    versions = list_installed()
    if len(versions) > 1:
        return find_conflict() or ("", "")
    what = " ".join(next(iter(versions.items()), ("onnxruntime",)))
    why = f" ({reason})" if reason else ""
    again = "==".join(next(iter(versions.items()))) if versions else "onnxruntime"
    return (
        f"the files of {what} are not all there{why}: uninstalling a package like it takes them along",
        f"pip install --force-reinstall --no-deps {again}",
    )
