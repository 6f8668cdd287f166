"""The results of a run that is trained further: set aside in `.previous`, so that no figure of before stands beside
a config of now.

`.previous` holds them with the `config.yaml` and the `run.json` of that time. As long as that `run.json` is also the
run's own, no step has been made since, and they can be moved back.
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mlfound.files import read_plain, sync_folder, write_whole
from mlfound.runs.plain_files import MAX_JSON_BYTES, PREVIOUS

RESULTS = ("summary.json", "report.html", "model.safetensors", "tables", "plots")


def set_aside(run: Path) -> None:
    """Move what the run has come to so far into `.previous`, unless that holds the results of an earlier time."""
    results = [name for name in RESULTS if os.path.lexists(run / name)]
    previous = run / PREVIOUS
    if not results:
        return
    if previous.exists():  # the run was interrupted since, while it wrote new ones
        for name in results:
            remove(run / name)
        return
    previous.mkdir()
    sync_folder(run)
    write_whole(previous / "run.json", read_plain(run / "run.json", MAX_JSON_BYTES))
    move((*results, "config.yaml"), run, previous)


def move_back(run: Path) -> None:
    """Undo `set_aside` where the run ended before its first new step."""
    previous = run / PREVIOUS
    if not (previous / "run.json").is_file():
        with suppress(OSError):
            previous.rmdir()  # empty: nothing was moved yet
    elif read_plain(previous / "run.json", MAX_JSON_BYTES) == read_plain(run / "run.json", MAX_JSON_BYTES):
        move([each.name for each in previous.iterdir() if each.name != "run.json"], previous, run)
        forget(run)


def forget(run: Path) -> None:
    """Remove what was set aside: the run has new results."""
    remove(run / PREVIOUS)


def move(names: Sequence[str], source: Path, target: Path) -> None:
    """Move files and folders; durable when this returns."""
    for name in names:
        os.replace(source / name, target / name)
    sync_folder(target)
    sync_folder(source)


def remove(path: Path) -> None:
    """Remove a file or a whole folder; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
