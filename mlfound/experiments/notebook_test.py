"""Run notebooks, each in a fresh kernel: their asserts are tests."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mlfound.config.models import NotebookTestConfig
from mlfound.errors import UserError, printable
from mlfound.notebooks import running
from mlfound.notebooks.documents import Notebook, find, read
from mlfound.notebooks.running import Failure, Outcome
from mlfound.results import Check, Column, Context, Result, Table

MAX_LINES = 60  # of a cell or a traceback; the middle of a longer one is left out


@dataclass(frozen=True)
class Trial:
    """One notebook: its name as seen from here, its number of code cells, and how its run ended."""

    name: str
    cells: int
    outcome: Outcome
    saved: bool  # or not asked for


def run(config: NotebookTestConfig, context: Context) -> Result:
    """Read them all, then run them one after the other; a failing one does not stop the next."""
    recorder = context.recorder
    notebooks = {shown(path): read(path) for path in find([Path(path) for path in config.notebooks])}
    if not notebooks:
        raise UserError("no notebook to test; write mlfound notebook test NOTEBOOK")
    for notebook in notebooks.values():
        running.skipped(notebook)  # a directive that is not understood is refused before anything runs
    kernels = {name: running.kernel_of(notebook, config.kernel) for name, notebook in notebooks.items()}
    for notebook in notebooks.values():
        if config.save and notebook.nbformat != 4:
            raise UserError(
                f"{notebook.name}: of nbformat {notebook.nbformat}; leave out --save, or save it once in Jupyter"
            )
    digests = {name: notebook.digest for name, notebook in notebooks.items()}
    recorder.begin(config, notebooks=digests, kernels=kernels)
    recorder.message(f"{len(notebooks)} notebook{'s' * (len(notebooks) > 1)}, each in a kernel of its own")
    trials = []
    for name, notebook in notebooks.items():
        outcome = running.run(notebook, kernels[name], config.timeout, partial(recorder.progress, name))
        for line in described(name, notebook, outcome):
            recorder.message(line)
        saved = not config.save or running.save(notebook, outcome)
        if not saved:
            recorder.message(f"{name}: not saved: it was changed while it ran")
        trials.append(Trial(name, len(notebook.cells), outcome, saved))
    return report(trials)


def shown(path: Path) -> str:
    """As seen from here, if it is below here."""
    relative = os.path.relpath(path)
    return printable(str(path) if relative.startswith(os.pardir) else relative)


def described(name: str, notebook: Notebook, outcome: Outcome) -> Iterator[str]:
    """A line for a notebook that passed; for one that failed the cell's source and the error, too."""
    failure, skipped = outcome.failure, f", {len(outcome.skipped)} skipped" if outcome.skipped else ""
    verdict = "passed" if failure is None else "failed"
    yield f"{name}: {verdict}, {outcome.run} of {len(notebook.cells)} cells in {outcome.seconds:.1f} s{skipped}"
    if failure is None:
        return
    if failure.cell is not None:
        yield f"{place(failure)}:"
        yield from (f"  | {line}" for line in shortened(failure.cell.source.splitlines()))
    yield from (f"  {line}" for line in shortened(failure.traceback) or [failure.error])


def place(failure: Failure) -> str:
    return f"cell {failure.cell.number}" if failure.cell else "before its first cell"


def shortened(lines: Sequence[str]) -> Sequence[str]:
    """The first and last of very many lines."""
    half = MAX_LINES // 2
    if len(lines) <= MAX_LINES:
        return lines
    return [*lines[:half], f"... {len(lines) - 2 * half} lines ...", *lines[-half:]]


def report(trials: Sequence[Trial]) -> Result:
    """A row and a check for each notebook, a sentence for each that failed."""
    columns = (
        Column("notebook", of="name"),
        Column("passed", of=lambda trial: trial.outcome.failure is None),
        Column("cells"),
        Column("cells_run", "run", of="outcome.run"),
        Column("cells_skipped", "skipped", of=lambda trial: len(trial.outcome.skipped)),
        Column("seconds", format=".1f", of="outcome.seconds"),
        Column("failing_cell", "failing cell", of="outcome.failure.cell.number"),
        Column("error", of="outcome.failure.error", rank=3),
    )
    checks = []
    for name, cells, outcome in ((each.name, each.cells, each.outcome) for each in trials):
        to_run = cells - len(outcome.skipped)
        checks.append(Check(f"cells run in {name}", not outcome.failure, outcome.run, to_run))
    failures = [(trial.name, trial.outcome.failure) for trial in trials if trial.outcome.failure]
    return Result(
        metrics={
            "notebooks": len(trials),
            "passed": len(trials) - len(failures),
            "cells_run": sum(trial.outcome.run for trial in trials),
            "cells_skipped": sum(len(trial.outcome.skipped) for trial in trials),
            "seconds": sum(trial.outcome.seconds for trial in trials),
        },
        checks=[*checks, *(Check(f"outputs saved in {t.name}", False, 0, 1) for t in trials if not t.saved)],
        findings=[f"{name}: {place(failure)}: {failure.error}" for name, failure in failures],
        tables=[Table.of("notebooks", "Notebooks, each in a fresh kernel", columns, trials, "always")],
    )
