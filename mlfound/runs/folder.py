"""A run folder on disk: its name, the pointer `latest`, and the JSON files in it."""

import contextlib
import json
import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mlfound import files
from mlfound.errors import UserError
from mlfound.files import sync_folder, write_whole
from mlfound.runs.status import is_held


def check_name(name: str) -> None:
    """A run's name becomes part of a folder's name: refuse what could lead elsewhere or confuse a terminal."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise UserError(f"--name {name!r}: write 1 to 64 letters, digits, dots, dashes or underscores")


def create(runs_dir: Path, command: str, name: str | None = None) -> Path:
    """A new folder `runs_dir/20261123-043146-COMMAND[-NAME]` (local time), never one that exists already."""
    stem = "-".join([f"{datetime.now():%Y%m%d-%H%M%S}", command, *([name] if name else [])])
    try:
        if not runs_dir.is_dir():
            runs_dir.mkdir(parents=True, exist_ok=True)
            sync_folder(runs_dir.parent)
        counter = 1
        while True:
            path = runs_dir / (stem if counter == 1 else f"{stem}-{counter}")
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                sync_folder(runs_dir)
                return path
            counter += 1
    except OSError as error:
        raise UserError(
            f"--runs-dir {runs_dir}: no run folder can be made here ({error.strerror}); "
            "name a folder that can be written to"
        ) from error


def lock(path: Path) -> FileLock:
    """The lock on the run folder `path`, held until released or the process ends; UserError if another holds it."""
    try:
        return files.lock(path / ".lock")
    except Timeout:
        raise UserError(f"{path}: another process is running this run; wait until it has ended") from None


def point_latest(path: Path) -> None:
    """Let `latest` beside `path` point to it: a symlink, or a text file where the system has none.

    A folder of that name is left alone.
    """
    remove_stale_links(path.parent)
    latest, temporary = path.parent / "latest", path.parent / f".latest-{os.urandom(4).hex()}"
    try:
        temporary.symlink_to(path.name)
        os.replace(temporary, latest)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if latest.is_symlink() or not latest.is_dir():
            write_whole(latest, f"{path.name}\n".encode())


def remove_stale_links(runs_dir: Path) -> None:
    """Remove what runs left that were killed while they set `latest`: one that is still at it holds its lock."""
    for link in runs_dir.glob(".latest-*"):
        with contextlib.suppress(OSError):
            if link.is_symlink() and not is_held(runs_dir / os.readlink(link) / ".lock"):
                link.unlink()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """`content` as indented JSON, written whole; a number that is not finite becomes null."""
    text = json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(path, f"{text}\n".encode(errors="backslashreplace"))  # a file name may be no Unicode: \udcff


def finite(value: Any) -> Any:
    """`value` with every nan and infinity, at any depth, replaced by None: JSON has no word for them."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value
