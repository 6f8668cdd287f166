"""A sweep from its grid to its run folder: what is missing of its cells is carried out, and all are summed up."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlfound.config.keys import Config
from mlfound.errors import UserError
from mlfound.hardware import cores
from mlfound.report.figures import elapsed
from mlfound.runs import folder
from mlfound.runs.environment import environment
from mlfound.runs.plain_files import read_json
from mlfound.runs.reader import Run
from mlfound.runs.recorder import RunRecorder
from mlfound.runs.run import Screen
from mlfound.runs.status import pause, seconds_paused
from mlfound.sweeps.backends import Backend, InTurn, Processes
from mlfound.sweeps.cluster import Dask
from mlfound.sweeps.grid import Cell, Grid
from mlfound.sweeps.summary import report
from mlfound.sweeps.worker import FINAL, Outcome, Task, code, digests, unpack

SECONDS_PER_LINE = 30.0  # between two lines on how far it is, where there is no bar


@dataclass(frozen=True)
class Where:
    """Processes of this machine, or the scheduler of a cluster; and what becomes of the rest when a cell fails."""

    jobs: int | None = None  # None: as many as there are cores
    dask: str | None = None  # a scheduler's address
    stop_on_error: bool = False

    def backend(self, count: int) -> Backend:
        """One that suits so many cells."""
        if self.dask is not None:
            return Dask(self.dask)
        jobs = min(self.jobs or cores(), max(count, 1))
        return Processes(jobs) if jobs > 1 else InTurn()


class ResumedSweep(RunRecorder):
    """The recorder of a sweep, or of a command that is one, that goes on in its own folder."""

    def __init__(self, path: Path, screen: Screen, command: str = "sweep") -> None:
        super().__init__(command, path.parent, None, screen)
        self.path = path

    def begin(self, config: Any, **facts: Any) -> None:
        """The facts of before, but for those that are new."""
        self.lock = folder.lock(self.path)
        before, resumed_at = read_json(self.path / "run.json"), self.facts["start"]
        self.start(config, {
            **before,
            **facts,
            "status": "running",
            "end": None,
            "environment": self.environment,
            "resumed": [*(before.get("resumed") or []), resumed_at],
            "paused_seconds": seconds_paused(before) + pause(self.path, before, resumed_at),
        })  # fmt: skip


def sweep(grid: Grid, recorder: RunRecorder, where: Where, data_dir: Path, screen: Screen) -> Run:
    """Carry out what is missing of the grid's cells; the run folder with the results of all."""
    recorder.environment, recorder.notes = environment(), grid.notes
    done = outcomes(grid, grid.config, recorder, where, data_dir)
    recorder.drawing = screen.drawing() if screen.drawing else None  # only now: cells had the cores
    result = report(grid, done, recorder.path / "cells")
    with screen.interruption():  # so that a sweep that came this far is whole
        summary = recorder.finish(result)
        screen.show(result, summary)
    return Run(summary["path"])


def outcomes(
    grid: Grid, config: Config, recorder: RunRecorder, where: Where, data_dir: Path
) -> dict[str, Outcome]:
    """Of all cells by their names: of those that are done already, and of the rest, which are carried out.

    The run begins with `config`, which means this grid; the cells' folders are in the run's `cells`.
    """
    data = {name: digests(name, data_dir, recorder.progress) for name in datasets(grid.cells)}
    done = {}
    if isinstance(recorder, ResumedSweep):
        refuse_other_code(recorder.path)
        done = already_done(grid.cells, recorder.path / "cells")
    missing = [cell for cell in grid.cells if cell.name not in done]
    with closing(where.backend(len(missing))) as backend:
        seeds = {"seeds": grid.seeds} if grid.seeds else {}
        by = {"dask": where.dask} if where.dask else {"processes": backend.width}
        recorder.begin(config, cells=len(grid.cells), **by, **seeds, code=code())
        place = recorder.path.resolve()
        (place / "cells").mkdir(exist_ok=True)
        tasks = [Task(cell, place, data_dir.resolve(), data, code()) for cell in missing]
        try:
            return done | carry_out(tasks, backend, recorder, where.stop_on_error)
        except (ConnectionError, UserError) as error:
            says = f"{error}; mlfound {recorder.command} --resume {recorder.path} goes on from here"
            raise type(error)(says) from error


def refuse_other_code(path: Path) -> None:
    """A UserError where a sweep was begun by another version: its cells would be of one and of the other."""
    then, now = read_json(path / "run.json").get("code") or {}, code()
    if changed := [what for what in now if then.get(what) not in (None, now[what])]:
        what = changed[0]
        raise UserError(
            f"{path}: {what} is {now[what]}, and the sweep was begun with {then[what]}; go on with that, or start a "
            "new sweep with its config.yaml"
        )


def datasets(cells: Sequence[Cell]) -> list[str]:
    """The names of the data sets of all cells."""
    names = (cell.config.get("data.dataset", cell.config.get("dataset")) for cell in cells)
    return [name for name in dict.fromkeys(names) if name is not None]


def already_done(cells: Sequence[Cell], place: Path) -> dict[str, Outcome]:
    """The outcomes that are there and would not change, by the cell's name."""
    found = {}
    for path in sorted(place.glob("*")):
        name = path.name.partition(f"-{cells[0].command}-")[2][:12]
        if name and (run := Run(path, forgiving=True)).status in FINAL:
            found[name] = Outcome(name, run.status, path.name)
    return {cell.name: found[cell.name] for cell in cells if cell.name in found}


def carry_out(
    tasks: Sequence[Task], backend: Backend, recorder: RunRecorder, stop_on_error: bool
) -> dict[str, Outcome]:
    """The outcomes by the cell's name; a cell that fails is said at once."""
    done: dict[str, Outcome] = {}
    cells = {task.cell.name: task.cell for task in tasks}
    say, failed = progress(len(tasks), recorder), 0
    say(0, backend.width, failed)
    for outcome in backend.outcomes(tasks):
        unpack(outcome, recorder.path / "cells")
        done[outcome.name], cell = outcome, cells[outcome.name]
        if outcome.status != "completed":
            failed += 1
            why = f": {outcome.error}" if outcome.error else ""
            recorder.message(f"cell {cell.number} ({cell}) {outcome.status}{why}")
            if stop_on_error:
                break
        say(len(done), backend.width, failed)
    if left := len(tasks) - len(done):
        cells_are = "1 cell is" if left == 1 else f"{left:,} cells are"
        recorder.message(
            f"Stopped: {cells_are} left; mlfound {recorder.command} --resume {recorder.path} goes on"
        )
    return done


def progress(total: int, recorder: RunRecorder) -> Callable[[int, int, int], None]:
    """Says how many cells are done, running and failed, and how long the rest will take."""
    started = said = time.monotonic()

    def say(done: int, width: int, failed: int) -> None:
        nonlocal said
        running, at = min(width, total - done), time.monotonic()
        recorder.progress(
            "sweep", done, total, cells=f"{done:,} of {total:,}", running=f"{running:,}", failed=f"{failed:,}"
        )
        if done and at - said > SECONDS_PER_LINE:
            left = (at - started) / done * (total - done)
            about = elapsed(left) if left > 90 else f"{left:.0f} s"
            recorder.message(f"{done:,} of {total:,} cells done, {running:,} running, about {about} left")
            said = at

    return say
