"""What becomes of one cell where it is carried out: in this process, in another, or on another machine."""

import hashlib
import io
import shutil
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from mlfound import __version__
from mlfound.data.cache import cache_folder
from mlfound.data.fetch import Progress, fetch, silent
from mlfound.data.registry import DATASETS, default_data_dir, find
from mlfound.errors import UserError
from mlfound.files import write_whole
from mlfound.runs.plain_files import read_json
from mlfound.runs.previous import remove
from mlfound.runs.reader import Run
from mlfound.runs.run import Screen, call, resume
from mlfound.sweeps.grid import Cell

PACKAGE = Path(__file__).parent.parent
FINAL = ("completed", "diverged")  # what a cell ended with that would end so again
RESUMABLE = ("interrupted", "crashed")
ONE_AT_A_TIME = threading.Lock()  # torch's number of threads is that of the whole process

Digests = Mapping[str, str]  # SHA-256 by raw file


@dataclass(frozen=True)
class Task:
    """A cell, and what must be the same wherever it is carried out."""

    cell: Cell
    sweep: Path  # the sweep's folder, on the machine that it was begun on
    data_dir: Path
    data: Mapping[str, Digests]  # by the name of the data set
    code: Mapping[str, str]  # see `code`


@dataclass(frozen=True)
class Outcome:
    """How a cell ended. Its folder is in the sweep's `cells`, or in `packed` where that disk is not shared."""

    name: str
    status: str
    folder: str = ""  # its name; empty where the cell failed before there was one
    error: str = ""
    packed: bytes | None = field(default=None, repr=False)


class UnfitError(Exception):
    """A worker on which figures could differ for another reason than the settings: the sweep must not go on."""


@cache
def code() -> dict[str, str]:
    """What figures depend on besides the config: the versions of mlfound and torch, a digest of mlfound's sources."""
    digest = hashlib.sha256()
    for path in sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.c")]):
        digest.update(f"{path.relative_to(PACKAGE)}\0".encode() + path.read_bytes())
    return {"mlfound": __version__, "torch": version("torch"), "code": digest.hexdigest()[:12]}


@cache
def digests(name: str, data_dir: Path, progress: Progress = silent) -> Digests:
    """Those of a data set's files, which are fetched where they are missing."""
    arrivals = fetch(find(name, "data.dataset"), data_dir, progress=progress)
    return {each.file: each.sha256 for each in arrivals}


def work(task: Task, sent: Mapping[str, Mapping[str, bytes]] | None = None) -> Outcome:
    """Carry the cell out, or find that an earlier attempt has. `sent` are files of data sets that may be missing.

    UnfitError where version, code or data are not those of the sweep. All else that goes wrong is the cell's outcome.
    """
    with ONE_AT_A_TIME:
        refuse_other_code(task)
        try:
            return in_its_place(task, sent or {})
        except OSError as problem:  # a full disk, say
            return Outcome(task.cell.name, "failed", error=f"{type(problem).__name__}: {problem}")


def in_its_place(task: Task, sent: Mapping[str, Mapping[str, bytes]]) -> Outcome:
    """The same without the check of the code; an OSError for what is not the cell's."""
    shared = shares_disk(task)
    data_dir = task.data_dir if shared else default_data_dir()
    store(sent, data_dir)
    refuse_other_data(task, data_dir)
    with place(task, shared) as cells:
        run: Run | None
        error = ""
        try:
            run = carry_out(task, cells, data_dir)
        except UserError as problem:
            run, error = newest(task, cells), str(problem)
        except Exception as problem:
            run, error = newest(task, cells), f"{type(problem).__name__}: {problem}"
        if run is None:
            return Outcome(task.cell.name, "failed", error=error)
        error = error or "; ".join(str(each["name"]) for each in run.checks if not each["passed"])
        return Outcome(task.cell.name, run.status, run.id, error, None if shared else packed(run.path))


def carry_out(task: Task, cells: Path, data_dir: Path) -> Run:
    """By the call that the command line makes; a training that was interrupted goes on."""
    for run in attempts(task, cells):
        if run.status in FINAL:
            return run
        if run.status in RESUMABLE and task.cell.command == "train":
            try:
                return resume(run.path, [], data_dir, Screen(drawing=None))
            except UserError:  # it cannot go on: no whole checkpoint, or other data than it had
                pass
        if run.status != "running":  # or somebody else is still at it: then this is a second attempt
            remove(run.path)
    return call(task.cell.command, task.cell.config, {}, cells, data_dir, task.cell.name, False, None)


def attempts(task: Task, cells: Path) -> Iterator[Run]:
    """The folders of this cell, newest first."""
    for path in sorted(cells.glob(f"*-{task.cell.command}-{task.cell.name}*"), reverse=True):
        yield Run(path, forgiving=True)


def newest(task: Task, cells: Path) -> Run | None:
    return next(attempts(task, cells), None)


def refuse_other_code(task: Task) -> None:
    """UnfitError for another version of mlfound or torch than the sweep's, or other sources."""
    for what, wanted in task.code.items():
        if (found := code()[what]) != wanted:
            raise UnfitError(
                f"it has {what} {found}, and the sweep was begun with {wanted}; install the same there"
            )


def shares_disk(task: Task) -> bool:
    """Whether the sweep's folder is seen from here."""
    try:
        return bool(read_json(task.sweep / "run.json").get("id") == task.sweep.name)
    except UserError:
        return False


def store(sent: Mapping[str, Mapping[str, bytes]], data_dir: Path) -> None:
    """Into the cache, what is not there; `fetch` verifies it."""
    for name, files in sent.items():
        folder = cache_folder(DATASETS[name], data_dir)
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            if not (folder / file).exists():
                write_whole(folder / file, content)


def refuse_other_data(task: Task, data_dir: Path) -> None:
    for name, wanted in task.data.items():
        try:
            found = digests(name, data_dir)
        except UserError as error:
            raise UnfitError(f"it lacks the data {name} ({error})") from error
        if found != wanted:
            raise UnfitError(
                f"its files of {name} are not those that the sweep was begun with; make them the same"
            )


@contextmanager
def place(task: Task, shared: bool) -> Iterator[Path]:
    """Where the cell's run folder is made: in the sweep's folder, or for a while on this machine's disk."""
    if shared:
        yield task.sweep / "cells"
    else:
        with TemporaryDirectory(prefix="mlfound-") as folder:
            yield Path(folder)


def packed(run: Path) -> bytes:
    """A run folder as one tar file."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(run, run.name)
    return content.getvalue()


def unpack(outcome: Outcome, cells: Path) -> None:
    """Put a folder that came as bytes among the cells, whole or not at all."""
    if outcome.packed is None or (cells / outcome.folder).exists():
        return
    incoming = cells / f".incoming-{outcome.name}"
    shutil.rmtree(incoming, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(outcome.packed)) as tar:
        tar.extractall(incoming, filter="data")
    (incoming / outcome.folder).rename(cells / outcome.folder)
    incoming.rmdir()
