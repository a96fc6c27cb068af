"""Build dsample: fetch ONNX Runtime's headers and its library, at exactly these versions, and compile.

The headers are Debian's (API version 21, understood by every ONNX Runtime since 1.21), fetched by apt; the library is
the one inside the Python package, fetched by pip. Nothing is installed. Linux on x86-64 or arm64; for anything else,
and for a version of your own, --onnxruntime names a folder with include/ and lib/, as ONNX Runtime's releases are.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
HEADERS = "libonnxruntime-dev=1.21.0+dfsg-1"
HEADERS_SUITE = "trixie"
HEADERS_SHA256 = "14f7d959d5deacbcf1504830d4189f91fc67382b399ed9ae9d3aa9c4050ced08"
LIBRARY = "onnxruntime==1.31.1"
LIBRARY_PYTHON = "3.11"  # any would do: the library inside does not depend on Python
LIBRARY_SHA256 = {
    "x86_64": "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
    "aarch64": "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
}


def main() -> None:
    """Read the command line, fetch what is not there, compile."""
    about = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=about[0], epilog=about[2])
    parser.add_argument("--into", type=Path, default=HERE, help="folder for what is fetched and built [here]")
    parser.add_argument("--onnxruntime", type=Path, help="ONNX Runtime that you have: a folder with include/ and lib/")
    parser.add_argument("--mirror", help="a Debian mirror's address [the one that this machine's apt uses]")
    options = parser.parse_args()
    into = options.into.resolve()
    into.mkdir(parents=True, exist_ok=True)
    runtime = (options.onnxruntime or into / "onnxruntime").resolve()
    if options.onnxruntime and not (runtime / "include").is_dir():
        sys.exit(f"build.py: {runtime} has no folder include/: name one that has include/ and lib/")
    if not runtime.is_dir():
        fetch(runtime, options.mirror or debian_mirror())
    compile_program(into / "dsample", runtime)


def fetch(runtime: Path, mirror: str) -> None:
    """Make the folder `runtime`: include/ from Debian, lib/ from the Python package; whole, or not at all."""
    with tempfile.TemporaryDirectory(dir=runtime.parent) as name:
        work = Path(name)
        (work / "new").mkdir(mode=0o755)
        package = fetch_headers(work, mirror)
        run("dpkg-deb", "--extract", package, work / "debian")
        shutil.move(work / "debian/usr/include/onnxruntime", work / "new/include")
        with zipfile.ZipFile(fetch_library(work)) as wheel:
            inside = next(n for n in wheel.namelist() if "/libonnxruntime.so." in n)
            library = Path(wheel.extract(inside, work / "wheel"))
        (work / "new/lib").mkdir()
        shutil.move(library, work / "new/lib" / library.name)
        for link in ("libonnxruntime.so", "libonnxruntime.so.1"):
            (work / "new/lib" / link).symlink_to(library.name)
        (work / "new").rename(runtime)


def fetch_headers(work: Path, mirror: str) -> Path:
    """Debian's package of headers, by apt with lists of its own: the machine's stay as they are.

    [trusted=yes] because an old Debian, or another system, lacks the keys: the package must have our SHA-256 instead.
    """
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "sources.list").write_text(f"deb [arch=amd64 trusted=yes] {mirror} {HEADERS_SUITE} main\n")
    (work / "status").touch()
    settings = {
        "APT::Architecture": "amd64",  # the headers are the same on every machine
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": work / "lists",
        "Dir::State::Status": work / "status",
        "Dir::Cache": work / "cache",
    }
    flags = [f"--option={key}={value}" for key, value in settings.items()]
    run("apt-get", "--quiet", "--quiet", *flags, "update")
    run("apt-get", "--quiet", "--quiet", *flags, "download", HEADERS, cwd=work)
    return checked(next(work.glob("*.deb")), HEADERS_SHA256)


def fetch_library(work: Path) -> Path:
    """The Python package that holds the library, by pip."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in LIBRARY_SHA256:
        sys.exit(f"build.py: nothing to fetch for {sys.platform} on {machine}: say --onnxruntime FOLDER")
    where = ["--only-binary=:all:", f"--platform=manylinux_2_28_{machine}", f"--python-version={LIBRARY_PYTHON}"]
    run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *where, f"--dest={work}", LIBRARY)
    return checked(next(work.glob("*.whl")), LIBRARY_SHA256[machine])


def checked(file: Path, sha256: str) -> Path:
    """The file, if it is the one that was meant."""
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != sha256:
        sys.exit(f"build.py: {file.name} has SHA-256 {found}, not {sha256}: it is not the file that was pinned")
    return file


def debian_mirror() -> str:
    """The address of Debian's packages in this machine's apt configuration."""
    folder = Path("/etc/apt")
    for file in [folder / "sources.list", *sorted(folder.glob("sources.list.d/*"))]:
        lines = file.read_text().splitlines() if file.is_file() else []
        for line in lines:
            found = re.search(r"\bhttps?://[^/\s]+/debian/?(?=\s|$)", line.partition("#")[0])
            if found:
                return found[0]
    sys.exit("build.py: this machine's apt knows no Debian mirror: say --mirror ADDRESS, or --onnxruntime FOLDER")


def compile_program(program: Path, runtime: Path) -> None:
    """dsample.cpp → program, which finds its library in `runtime`/lib."""
    compiler = os.environ.get("CXX", "c++")
    include, lib = runtime / "include", runtime / "lib"
    flags = ["-std=c++17", "-O2", "-Wall", "-Wextra", f"-isystem{include}", f"-L{lib}", f"-Wl,-rpath,{lib}"]
    run(compiler, *flags, HERE / "dsample.cpp", "-lonnxruntime", "-o", program)


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a program; end with a line that says which if it is missing or fails."""
    try:
        subprocess.run(command, cwd=cwd, check=True)
    except FileNotFoundError:
        sys.exit(f"build.py: {command[0]} is needed, and it is not installed (with --onnxruntime, only a compiler is)")
    except subprocess.CalledProcessError as error:
        sys.exit(f"build.py: {command[0]} failed (exit status {error.returncode}); what it says is above")


if __name__ == "__main__":
    main()
