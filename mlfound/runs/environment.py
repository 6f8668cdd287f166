"""What a run ran on: machine, versions, and the state of the code. It goes into `run.json`."""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = ("mlfound", "torch", "numpy", "scipy", "matplotlib", "pydantic", "safetensors", "typer")


def environment() -> dict[str, Any]:
    """CPU and GPU names, BLAS, operating system, Python and package versions, git state of this package's code.

    GPU and BLAS are None where nothing has imported torch so far: a run that has no use for it need not wait for it.
    """
    torch: Any = sys.modules.get("torch")
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch and torch.cuda.is_available() else None,
        "blas": blas_name(torch.__config__.show()) if torch else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "git": git_state(Path(__file__).parent),
    }


def cpu_name() -> str:
    """As the kernel names it; elsewhere as the platform module does."""
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def blas_name(build: str) -> str:
    """The library behind torch's matrix product, from its build settings ("mkl")."""
    found = re.search(r"BLAS_INFO=(\w+)", build)
    return found[1] if found else "unknown"


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit, branch and whether there are uncommitted changes; None where the code is not a git checkout."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "environment.py")  # not a checkout that merely surrounds a .venv
        commit, branch = git("rev-parse", "HEAD"), git("rev-parse", "--abbrev-ref", "HEAD")
        return {"commit": commit, "branch": branch, "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
