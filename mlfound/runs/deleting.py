"""Deletes run folders: only those, only in the runs folder, never a running one, and never through a link."""

import os
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from mlfound.errors import UserError
from mlfound.runs import folder
from mlfound.runs.find import find_run, latest
from mlfound.runs.listing import list_runs
from mlfound.runs.notes import Notes
from mlfound.runs.plain_files import FILES, FOLDERS, PREVIOUS
from mlfound.runs.previous import remove
from mlfound.runs.reader import Run

ID = re.compile(r"[0-9]{8}-[0-9]{6}-[a-z]")  # how the names of run folders begin
OURS = {*FILES, *FOLDERS, PREVIOUS}
MIN_AGE_SECONDS = 60  # of a folder without results, before `gc` takes it
GONE = ".deleted-"  # how the name of a run begins that is being deleted: nobody lists it


def deletable(names: Sequence[str], runs_dir: Path) -> dict[Path, int]:
    """The folders of the runs that are meant (see find_run), and the bytes of each; UserError if one must stay."""
    return {path: size(path) for path in (_checked(name, runs_dir) for name in names)}


def _checked(name: str, runs_dir: Path) -> Path:
    path = find_run(name, runs_dir)
    if path.name == "latest":
        path = latest(path.parent)
    if path.is_symlink():
        raise UserError(f"{path}: a link, not a run folder; delete what it points to, or remove the link")
    if path.resolve().parent != runs_dir.resolve():
        raise UserError(f"{path}: not in {runs_dir}; only its runs are deleted, or name another --runs-dir")
    run = Run(path, forgiving=True)
    if not is_ours(run):
        raise UserError(f"{path}: this is no run, so it is not deleted")
    refuse_running(run)
    return runs_dir / path.resolve().name


def without_results(runs_dir: Path) -> dict[Path, int]:
    """Those that ended without results and without a checkpoint to resume from, but for those tagged or noted."""
    found: dict[Path, int] = {}
    for run in list_runs(runs_dir):
        results = os.path.lexists(run.path / "summary.json") or os.path.lexists(run.path / PREVIOUS)
        resumable = any(map(any, map(run.path.glob, ("checkpoints/*.safetensors", "cells/*/run.json"))))
        kept = results or run.notes != Notes() or resumable
        # a run has no lock in its first moment, and what just ended may be looked into
        if not kept and time.time() - run.path.stat().st_mtime > MIN_AGE_SECONDS:
            with suppress(UserError):  # no run folder, or one that is running
                found |= deletable([run.id], runs_dir)
    return found


def is_ours(run: Run) -> bool:
    """Whether a run made this folder: its `run.json` says so, or where it does not, its name and files."""
    if isinstance(run.facts.get("schema"), int):
        return True
    found = os.listdir(run.path)
    debris = re.compile(r"\..+-[0-9a-f]{8}")  # of writes that were killed
    return bool(ID.match(run.id)) and all(name in OURS or debris.fullmatch(name) for name in found)


def refuse_running(run: Run) -> None:
    if run.status == "running":
        raise UserError(f"{run.path}: this run is running; end it first, or wait")


def size(path: Path) -> int:
    """Bytes of all files in a folder; links count as themselves."""
    return sum(each.lstat().st_size for each in path.rglob("*") if each.is_symlink() or not each.is_dir())


def delete(doomed: Iterable[Path], runs_dir: Path) -> None:
    """Delete them, and let `latest` point to the newest that is left. UserError if one has been taken up since."""
    paths = [path for path in doomed if path.is_dir()]
    locks = []
    try:
        for path in paths:
            refuse_running(Run(path, forgiving=True))
            # a run that is taken up again holds it before its run.json says so
            locks.append(folder.lock(path))
        for path in paths:  # out of sight at once: a run half deleted is never listed
            os.replace(path, path.with_name(f"{GONE}{os.urandom(4).hex()}"))
    finally:
        for lock in locks:
            lock.release()
        _repoint(runs_dir)
    for path in runs_dir.glob(f"{GONE}*"):  # those of an earlier call that was interrupted, too
        with suppress(FileNotFoundError):  # another removes it
            remove(path)


def _repoint(runs_dir: Path) -> None:
    pointer = runs_dir / "latest"
    if not os.path.lexists(pointer):
        return
    try:
        latest(runs_dir)
    except UserError:
        left = [run.path for run in list_runs(runs_dir) if run.facts]
        if left:
            folder.point_latest(left[0])
        elif pointer.is_symlink() or pointer.is_file():
            pointer.unlink()
