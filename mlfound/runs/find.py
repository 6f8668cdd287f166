"""Which folder a user means by a run: its path, its id, the beginning of its id, or `latest`."""

import os
from contextlib import suppress
from pathlib import Path

from mlfound.errors import UserError, some
from mlfound.files import read_plain

SHOWN = 5  # candidates in a message
SHOWN_LETTERS = 100  # of a name


def find_run(name: str, runs_dir: Path) -> Path:
    """The one folder that `name` stands for; UserError where there is none, or more than one.

    A plain word is looked up in `runs_dir` first, then as a path.
    """
    path = Path(os.path.expanduser(name))
    if name == path.name and name not in ("", ".."):  # a plain word
        if name == "latest":
            return latest(runs_dir)
        if os.path.isdir(runs_dir / name):
            return runs_dir / name
        candidates = beginning_with(name, runs_dir)
        if len(candidates) == 1:
            return runs_dir / candidates[0]
        if candidates:
            raise UserError(
                f"{name}: several runs begin so ({some(candidates, SHOWN)}); write more of the id"
            )
    elif path.name == "latest" and os.path.isfile(path):
        return latest(path.parent)
    if not name or not os.path.isdir(path):
        raise UserError(
            f"{name[:SHOWN_LETTERS] or repr(name)}: no such run, neither in {runs_dir} nor as a path"
        )
    return path if path.name not in ("", "..") else path.resolve()


def cells_of(sweep: str, runs_dir: Path) -> Path:
    """The folder of the runs that are the cells of a sweep; UserError where it is none."""
    cells = find_run(sweep, runs_dir) / "cells"
    if not os.path.isdir(cells):
        raise UserError(
            f"{sweep}: this is no sweep, it has no cells; mlfound runs --command sweep lists them"
        )
    return cells


def latest(runs_dir: Path) -> Path:
    """The run that `runs_dir/latest` points to: a symlink, or a text file where the system has none."""
    pointer = runs_dir / "latest"
    try:
        target = os.readlink(pointer) if pointer.is_symlink() else read_plain(pointer, 1000).decode().strip()
    except (OSError, ValueError, UserError) as error:
        raise UserError(f"latest: there is none in {runs_dir}; name a run by its id or its path") from error
    if target in ("", "..") or target != Path(target).name or not os.path.isdir(runs_dir / target):
        said = f"{pointer}: it points to no run of {runs_dir} ({target[:SHOWN_LETTERS]})"
        raise UserError(f"{said}; name a run by its id")
    return runs_dir / target


def beginning_with(start: str, runs_dir: Path) -> list[str]:
    """The names of the folders in `runs_dir` that begin with `start`, newest first."""
    with suppress(OSError):  # no runs folder, no runs
        names = folders(runs_dir)
        return sorted((name for name in names if name.startswith(start) and name != "latest"), reverse=True)
    return []


def folders(runs_dir: Path) -> list[str]:
    """The names of the folders in `runs_dir`; OSError where that cannot be read."""
    # os.path.isdir: no error for a link in a loop
    return [name for name in os.listdir(runs_dir) if os.path.isdir(runs_dir / name)]
