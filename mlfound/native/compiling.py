"""C sources, compiled on first use into the user's cache, and called through ctypes, which lets other threads run.

The name of a library is made of its sources, the flags, the compiler and the CPU: whatever changes, another one is
compiled, and one that was made for another machine is never loaded. It is written whole or not at all, so that two
processes may compile it at once.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parent
MAIN = "library.c"  # includes the others
# No -ffast-math: lanes are explicit, nan and infinities stay, and a repeat gives the same bits
FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fPIC", "-shared")
COMPILERS = ("cc", "gcc", "clang")  # where CC does not say which
MAX_COMPILE_SECONDS = 60
CPUINFO_BYTES = 8192  # the first processor's


class UnavailableError(Exception):
    """Why there is no compiled library here, in a line."""


@cache
def _outcome() -> ctypes.CDLL | UnavailableError:
    """The library, or why there is none: tried once a process."""
    try:
        compiler = find_compiler()
        path = safe_folder() / f"{identity(compiler)}.so"
        if not path.exists():
            compile_into(path, compiler)
        return ctypes.CDLL(str(path))
    except UnavailableError as error:
        return error
    except OSError as error:
        return UnavailableError(f"the compiled library cannot be had: {error.strerror or error}")


def library() -> ctypes.CDLL:
    """The library; `UnavailableError` where it cannot be had."""
    outcome = _outcome()
    if isinstance(outcome, UnavailableError):
        raise outcome
    return outcome


def unavailable() -> str | None:
    """Why there is no library here, or None: there is one."""
    outcome = _outcome()
    return str(outcome) if isinstance(outcome, UnavailableError) else None


def find_compiler() -> list[str]:
    """The command, with the arguments that CC may have, as in `ccache gcc`."""
    if chosen := shlex.split(os.environ.get("CC", "")):
        if not shutil.which(chosen[0]):
            raise UnavailableError(f"CC={os.environ['CC']}: there is no such compiler")
        return chosen
    for name in COMPILERS:
        if found := shutil.which(name):
            return [found]
    raise UnavailableError(f"there is no C compiler ({', '.join(COMPILERS)}); install one, or set CC")


def folder() -> Path:
    """Where compiled libraries lie."""
    import platformdirs

    return platformdirs.user_cache_path("mlfound") / "native"


def safe_folder() -> Path:
    """The same, there and the user's own: what is loaded from it is executed, so nobody else may change it."""
    path = folder()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError as error:
        raise UnavailableError(f"{path}: cannot be made ({error.strerror})") from error
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise UnavailableError(f"{path}: others may write to it; remove it, or chmod 700")
    return path


def identity(compiler: list[str]) -> str:
    """Sources, flags, compiler and CPU as one name."""
    parts = [path.name.encode() + path.read_bytes() for path in sorted(SOURCES.glob("*.[ch]"))]
    resolved = os.path.realpath(shutil.which(compiler[0]) or compiler[0])
    parts += [" ".join([*compiler, resolved, *FLAGS]).encode(), cpu().encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]


def cpu() -> str:
    """What `-march=native` looks at: model and instructions of the first processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = file.read(CPUINFO_BYTES).partition("\n\n")[0].splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    names = ("vendor_id", "cpu family", "model\t", "model name", "stepping", "flags", "Features", "CPU part")
    return "\n".join([platform.machine(), *(line for line in lines if line.startswith(names))])


def compile_into(path: Path, compiler: list[str]) -> None:
    """Compile beside `path` and put it there whole."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".compiling-") as aside:
        made = Path(aside, path.name)
        command = [*compiler, *FLAGS, "-o", str(made), str(SOURCES / MAIN), "-lm"]
        try:
            ended = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=MAX_COMPILE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"{compiler[0]} took over {MAX_COMPILE_SECONDS} s to compile") from error
        if ended.returncode or not made.exists():
            said = next(
                (line for line in ended.stderr.splitlines() if "error" in line), ended.stderr.strip()[:200]
            )
            raise UnavailableError(f"{' '.join(compiler)} failed to compile: {said or ended.returncode}")
        os.replace(made, path)
