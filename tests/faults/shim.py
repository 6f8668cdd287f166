"""Faults below everything: the C library's file calls, counted, recorded or made to fail by `shim.c`. For Linux."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import SkipTest

# What happens to the n-th call, to the n-th write, or to the n-th fork, as shim.c has them; a full disk stays full
NONE, EIO, FULL_DISK, SHORT_WRITE, KILL, KILL_IN_WRITE, FAIL_FORK = range(7)
# What a disk may lack, a bit each: fsync of folders and of files, chmod, flock (in two ways), symlinks, hard links
FSYNC_FOLDER, FSYNC_FILE, CHMOD, FLOCK_ENOLCK, FLOCK_ENOSYS, SYMLINK, LINK = (1 << bit for bit in range(7))
SOURCE = Path(__file__).with_name("shim.c")


def build(folder: Path) -> Path:
    """The shim as a shared library in `folder`; SkipTest where there can be none."""
    if sys.platform != "linux" or not shutil.which("gcc"):
        raise SkipTest("needs Linux and gcc")
    library = folder / "shim.so"
    subprocess.run(
        ["gcc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True
    )
    return library


def environment(library: Path, root: Path) -> dict[str, str]:
    """For a process whose calls on what is below `root` go through the shim."""
    return {**os.environ, "LD_PRELOAD": str(library), "FAULTS_ROOT": str(root)}


def loaded() -> ctypes.CDLL:
    """The shim, in a process that was started with it."""
    return ctypes.CDLL(os.environ["LD_PRELOAD"])
