"""Run notebooks, each in a fresh kernel: their asserts are tests."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mlfound.config.models import NotebookTestConfig
from mlfound.errors import UserError, printable
from mlfound.notebooks import running
from mlfound.notebooks.documents import Notebook, find, read
from mlfound.notebooks.running import Failure, Outcome
from mlfound.results import Check, Column, Context, Recorder, Result, Table

MOST_LINES = 60  # of a cell or a traceback; the middle of a longer one is left out


def run(config: NotebookTestConfig, context: Context) -> Result:
    """Read them all, then run them one after the other; a failing one does not stop the next."""
    recorder = context.recorder
    notebooks = {shown(path): read(path) for path in find([Path(path) for path in config.notebooks])}
    if not notebooks:
        raise UserError("no notebook to test; write mlfound notebook test NOTEBOOK")
    for notebook in notebooks.values():
        running.skipped(notebook)  # a directive that is not understood is told before anything runs
    kernels = {name: running.kernel_of(notebook, config.kernel) for name, notebook in notebooks.items()}
    for notebook in notebooks.values():
        if config.save and notebook.nbformat != 4:
            raise UserError(
                f"{notebook.name}: of nbformat {notebook.nbformat}; leave out --save, or save it once in Jupyter"
            )
    digests = {name: notebook.digest for name, notebook in notebooks.items()}
    recorder.begin(config, notebooks=digests, kernels=kernels)
    outcomes, unsaved = {}, []
    for name, notebook in notebooks.items():

        def told(done: int, total: int, name: str = name) -> None:
            recorder.progress(name, done, total)

        outcomes[name] = outcome = running.run(notebook, kernels[name], config.timeout, told)
        tell(recorder, name, notebook, outcome)
        if config.save and not running.save(notebook, outcome):
            unsaved.append(name)
            recorder.message(f"{name}: not saved: it was changed while it ran")
    return report(notebooks, outcomes, unsaved)


def shown(path: Path) -> str:
    """As seen from here, if it is below here."""
    relative = os.path.relpath(path)
    return printable(str(path) if relative.startswith(os.pardir) else relative)


def tell(recorder: Recorder, name: str, notebook: Notebook, outcome: Outcome) -> None:
    """A line for a notebook that passed; for one that failed the cell's source and the error, too."""
    ran = f"{outcome.run} of {len(notebook.cells)} cells in {outcome.seconds:.1f} s"
    if outcome.skipped:
        ran += f", {len(outcome.skipped)} skipped"
    if outcome.failure is None:
        recorder.message(f"{name}: passed, {ran}")
        return
    recorder.message(f"{name}: failed, {ran}")
    if outcome.failure.cell is not None:
        recorder.message(f"{place(outcome.failure)}:")
        for line in shortened(outcome.failure.cell.source.splitlines()):
            recorder.message(f"  | {line}")
    for line in shortened([*outcome.failure.traceback]) or [outcome.failure.error]:
        recorder.message(f"  {line}")


def place(failure: Failure) -> str:
    """Where it went wrong."""
    return f"cell {failure.cell.number}" if failure.cell is not None else "before its first cell"


def shortened(lines: list[str]) -> list[str]:
    """The first and last of very many lines."""
    half = MOST_LINES // 2
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[:half], f"... {len(lines) - 2 * half} lines ...", *lines[-half:]]


def report(notebooks: Mapping[str, Notebook], outcomes: Mapping[str, Outcome], unsaved: list[str]) -> Result:
    """A row and a check for each notebook, a sentence for each that failed."""
    columns = (
        Column("notebook"),
        Column("passed"),
        Column("cells"),
        Column("cells_run", "run"),
        Column("cells_skipped", "skipped"),
        Column("seconds", format=".1f"),
        Column("failing_cell", "failing cell"),
        Column("error"),
    )
    rows = [tuple(row(name, len(notebooks[name].cells), outcome)) for name, outcome in outcomes.items()]
    passed = sum(outcome.failure is None for outcome in outcomes.values())
    checks = [
        Check(
            f"cells run in {name}",
            outcome.failure is None,
            outcome.run,
            len(notebooks[name].cells) - len(outcome.skipped),
        )
        for name, outcome in outcomes.items()
    ]
    return Result(
        metrics={
            "notebooks": len(outcomes),
            "passed": passed,
            "cells_run": sum(outcome.run for outcome in outcomes.values()),
            "cells_skipped": sum(len(outcome.skipped) for outcome in outcomes.values()),
            "seconds": sum(outcome.seconds for outcome in outcomes.values()),
        },
        checks=[*checks, *(Check(f"outputs saved in {name}", False, 0, 1) for name in unsaved)],
        findings=[
            f"{name}: {place(outcome.failure)}: {outcome.failure.error}"
            for name, outcome in outcomes.items()
            if outcome.failure is not None
        ],
        tables=[Table("notebooks", "Notebooks, each in a fresh kernel", columns, rows)],
    )


def row(name: str, cells: int, outcome: Outcome) -> Iterator[object]:
    """As the columns of the table have it."""
    failure = outcome.failure
    yield from (name, failure is None, cells, outcome.run, len(outcome.skipped), outcome.seconds)
    yield failure.cell.number if failure is not None and failure.cell is not None else None
    yield failure.error if failure is not None else None
