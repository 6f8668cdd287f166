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

CPUINFO = Path("/proc/cpuinfo")


def environment() -> dict[str, Any]:
    """CPU and GPU names, BLAS, operating system, Python and package versions, git state of this package's code.

    GPU and BLAS are None where nothing has imported torch so far: a run that has no use for it need not wait for it.
    So it is to be called after the experiment's import.
    """
    torch: Any = sys.modules.get("torch")
    return {
        "cpu": cpu_name(),
        "cpu_id": cpu_id(),
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
    names = re.findall(r"model name\s*: (.+)", CPUINFO.read_text()) if CPUINFO.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def cpu_id() -> str:
    """What tells models of one name apart, as "family 25, model 17, stepping 1"; elsewhere the architecture."""
    text = CPUINFO.read_text() if CPUINFO.exists() else ""
    found = dict(re.findall(r"^(?:cpu )?(family|model|stepping)\s*: (.+)", text, re.MULTILINE))
    return ", ".join(f"{name} {number}" for name, number in found.items()) or platform.machine()


def blas_name(build: str) -> str:
    """The library behind torch's matrix product, such as "mkl" or "openblas", from `torch.__config__.show()`.

    Where that has no BLAS_INFO, what it does say of BLAS and MKL.
    """
    found = dict(re.findall(r" (\w*(?:BLAS|MKL)\w*)=(\w+)", build))
    if name := found.get("BLAS_INFO"):
        return "openblas" if name == "open" else name.lower()
    return " ".join(["unknown", *(f"{key}={value}" for key, value in found.items())])


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit, branch and whether there are uncommitted changes; None where the code is not in a git checkout.

    Where it is in one that git will not read, why: `{"unreadable": reason}`.
    """
    if not any((above / ".git").exists() for above in (folder, *folder.parents)):
        return None
    # without GIT_DIR: that of a hook would lead to another repository
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {"LC_ALL": "C"}
    options: dict[str, Any] = {"capture_output": True, "text": True, "check": True, "timeout": 10, "env": env}

    def git(*words: str) -> str:
        return str(subprocess.run(["git", *words], cwd=folder, **options).stdout).strip()

    try:
        if not git("ls-files", "environment.py"):
            return None  # a checkout that merely surrounds an installed package
        lines = git("status", "--porcelain=v2", "--branch").splitlines()
        state = dict(re.findall(r"^# branch\.(oid|head) (.+)$", "\n".join(lines), re.MULTILINE))
        dirty = any(not line.startswith("#") for line in lines)
        return {"commit": state["oid"], "branch": state["head"].strip("()"), "dirty": dirty}
    except FileNotFoundError:
        return {"unreadable": "git is not installed"}
    except subprocess.TimeoutExpired:
        return {"unreadable": "git did not answer within 10 s"}
    except subprocess.CalledProcessError as error:
        said = filter(str.strip, error.stderr.splitlines())
        return {"unreadable": next(said, "git failed without a word")}
    except OSError as error:
        return {"unreadable": f"git: {error.strerror}"}
