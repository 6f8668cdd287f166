"""C sources, compiled on first use into the user's cache, and called through ctypes, which lets other threads run.

The name of a library is made of its sources, the flags, the compiler's file and the CPU: whatever changes, another
one is compiled, and one that was made for another machine is never loaded. It is written whole or not at all, so that
two processes may compile it at once. Only a file of the user's own is loaded, for loading it is executing it.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parent
MAIN = "library.c"  # includes the others
# No -ffast-math: lanes are explicit, nan and infinities stay, and a repeat gives the same bits
FLAGS = (
    "-std=gnu11", "-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC",
    "-shared", "-pthread",
)  # fmt: skip
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
        if is_trusted(path):
            with suppress(OSError):  # damaged, as by a power cut: it is compiled again
                return ctypes.CDLL(str(path))
        compile_into(path, compiler)
        return ctypes.CDLL(str(path))
    except UnavailableError as error:
        return error
    except OSError as error:
        return UnavailableError(f"the compiled library cannot be loaded: {error.strerror or error}")


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
    try:
        chosen = shlex.split(os.environ.get("CC", ""))
    except ValueError as error:
        raise UnavailableError(f"CC={os.environ['CC']}: {str(error).lower()}") from error
    if chosen:
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
    """The same, made if it is not there, and writable by the user alone."""
    path = folder()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError as error:
        raise UnavailableError(f"{path}: cannot be made ({error.strerror})") from error
    if not is_own(status):
        raise UnavailableError(f"{path}: others may write to it; remove it")
    return path


def is_own(status: os.stat_result) -> bool:
    """Whether nobody but this user may change a file or folder."""
    if not hasattr(os, "getuid"):
        raise UnavailableError("whose a file is cannot be told on this system; compiled code is not loaded")
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def is_trusted(path: Path) -> bool:
    """Whether it is there, a plain file, and the user's own."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and is_own(status)


def identity(compiler: list[str]) -> str:
    """Sources, flags, compiler and CPU as one name; a compiler of another size or date is another one."""
    resolved = os.path.realpath(shutil.which(compiler[0]) or compiler[0])
    file = os.stat(resolved)
    chosen = " ".join([*compiler, resolved, f"{file.st_size} {file.st_mtime_ns}", *FLAGS])
    return hashlib.sha256("\0".join([digest(), chosen, cpu()]).encode()).hexdigest()[:32]


def digest() -> str:
    """Of the sources."""
    parts = [path.name.encode() + path.read_bytes() for path in sorted(SOURCES.glob("*.c"))]
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
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".compiling-") as temporary:
        output = Path(temporary, path.name)
        command = [*compiler, *FLAGS, "-o", str(output), str(SOURCES / MAIN), "-lm"]
        try:
            process = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=MAX_COMPILE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"{compiler[0]} took over {MAX_COMPILE_SECONDS} s to compile") from error
        if process.returncode or not output.exists():
            lines = process.stderr.strip().splitlines()
            message = next((line for line in lines if "error" in line), "".join(lines[:1]))
            raise UnavailableError(f"{' '.join(compiler)} failed to compile: {message or process.returncode}")
        output.chmod(0o700)
        with output.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(output, path)
