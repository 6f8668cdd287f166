"""A notebook's asserts are its tests: all its cells, run in a fresh kernel in its own folder.

nbclient runs the kernel. Its own loop over cells is not used: it handles SIGINT and SIGTERM itself.
"""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

from mlfound.errors import UserError, printable
from mlfound.files import write_whole
from mlfound.notebooks.directives import directives
from mlfound.notebooks.documents import Cell, Notebook

ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # colours, as IPython's tracebacks have them
SKIP = "skip-execution"  # the tag of a cell that nbclient skips
PYTHON = "python3"  # the kernel of a notebook that names none
DISCARDED = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)  # the kernel's own output

OnProgress = Callable[[int, int], None]  # cells done, cells in all


@dataclass(frozen=True)
class Failure:
    """What stopped a notebook: the cell (None: its kernel did not start), the error and its traceback."""

    cell: Cell | None
    error: str
    traceback: Sequence[str] = ()


@dataclass(frozen=True)
class Outcome:
    """How a notebook's run ended; the outputs are those of its code cells."""

    run: int  # the code cells that ran to their end
    skipped: Sequence[int]  # the numbers of those that are not run
    seconds: float
    failure: Failure | None
    outputs: Sequence[Mapping[str, Any]]


def kernel_of(notebook: Notebook, kernel: str | None) -> str:
    """The name of the kernel for a notebook, `kernel` if given; a UserError if it is not installed here."""
    try:
        import nbclient  # noqa: F401  (here, so that it fails before anything is written)
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ModuleNotFoundError as error:
        raise UserError(f"tests need {error.name}; write pip install 'mlfound[notebook]'") from None
    name, manager = kernel or notebook.kernel or PYTHON, KernelSpecManager()
    try:
        manager.get_kernel_spec(name)
    except (NoSuchKernel, ValueError, TypeError) as error:
        reason = "is not installed" if isinstance(error, NoSuchKernel) else f"is damaged ({error})"
        here = ", ".join(sorted(manager.find_kernel_specs())) or "none; pip install 'mlfound[notebook]'"
        advice = f"name another with --kernel (there is: {here})"
        raise UserError(f"{notebook.name}: its kernel {name!r} {reason}; {advice}") from None
    return name


def skipped(notebook: Notebook) -> list[int]:
    """The numbers of the cells that are skipped: `#| eval: false`, nbdev's `#| notest`, Jupyter's own tag."""
    found = []
    for cell in notebook.cells:
        last = {each.name: each.value for each in directives(notebook, cell)}  # the last one counts
        if SKIP in cell.tags or last.get("eval") == "false" or last.get("notest") == "":
            found.append(cell.number)
    return found


def run(
    notebook: Notebook, kernel: str, timeout: int, on_progress: OnProgress = lambda done, total: None
) -> Outcome:
    """Run the cells in order, each for at most `timeout` seconds, until one fails."""
    from nbclient import NotebookClient
    from nbformat import v4

    make: Any = v4  # it has no types
    left_out = skipped(notebook)
    node = make.new_notebook()
    for cell in notebook.cells:
        tags = {*cell.tags, SKIP} if cell.number in left_out else {*cell.tags}
        node.cells.append(make.new_code_cell(cell.source, metadata={"tags": sorted(tags)}))
    client = NotebookClient(node, kernel_name=kernel, timeout=timeout, record_timing=False)
    start, manager = perf_counter(), client.create_kernel_manager()
    try:
        done, failure = asyncio.run(run_cells(client, notebook, on_progress))
    finally:
        kill_what_is_left(manager)
    ran = sum(cell.number not in left_out for cell in notebook.cells[:done])
    return Outcome(ran, left_out, perf_counter() - start, failure, json.loads(make.writes(node))["cells"])


async def run_cells(client: Any, notebook: Notebook, on_progress: OnProgress) -> tuple[int, Failure | None]:
    """The number of cells that ran to their end, and what stopped the next one. The kernel is shut down."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    replies: list[Any] = []
    client.on_cell_error = lambda execute_reply, **_: replies.append(execute_reply["content"])
    manager, cell, done, now = client.km, None, 0, True
    try:
        await client.async_start_new_kernel(cwd=str(notebook.path.parent), **DISCARDED)
        await client.async_start_new_kernel_client()
        for done, cell in enumerate(notebook.cells):  # noqa: B007  (both are used after the loop)
            on_progress(done, len(notebook.cells))
            await client.async_execute_cell(client.nb.cells[done], done, execution_count=done + 1)
        now = False  # it did not hang: it may flush its files
        return len(notebook.cells), None
    except CellExecutionError as error:
        lines = ESCAPE.sub("", "\n".join(replies[-1].get("traceback", ()))).splitlines()
        newer = f"; {notebook.newer_python}" if error.ename == "SyntaxError" and notebook.newer_python else ""
        return done, Failure(cell, one_line(f"{error.ename}: {error.evalue}") + newer, lines)
    except CellTimeoutError:
        return done, Failure(cell, f"still running after {client.timeout} s (--timeout)")
    except (DeadKernelError, RuntimeError, OSError) as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # nbclient treats that like a dead kernel
            raise asyncio.CancelledError from None
        how = "the kernel died" if cell else f"the kernel did not start: {error}"
        return done, Failure(cell, one_line(how))
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
        if manager.has_kernel:
            await manager.shutdown_kernel(now=now)


def kill_what_is_left(manager: Any) -> None:
    """End a kernel whose shutdown was interrupted."""
    process = getattr(manager.provisioner, "process", None)
    if process is not None and process.poll() is None:
        process.kill()
        process.wait()


def one_line(text: str) -> str:
    """Its first line that is not empty, in printable characters."""
    return printable(next((line for line in ESCAPE.sub("", text).splitlines() if line.strip()), "")[:200])


def save(notebook: Notebook, outcome: Outcome) -> bool:
    """Write the outputs of the cells that ran into the notebook; False if the file has changed since it was read."""
    path = Path(os.path.realpath(notebook.path))  # the target of a link, not the link
    content = path.read_bytes()
    if sha256(content).hexdigest() != notebook.digest:
        return False
    document = json.loads(content.decode("utf-8-sig"))
    code = [(number, cell) for number, cell in enumerate(document["cells"], 1) if cell["cell_type"] == "code"]
    for (number, cell), executed in zip(code, outcome.outputs, strict=True):
        if number not in outcome.skipped:
            cell |= {key: executed[key] for key in ("outputs", "execution_count")}
    try:
        text = json.dumps(document, indent=1, ensure_ascii=False)
    except RecursionError:  # writing reaches the recursion limit before reading does
        raise UserError(f"{notebook.name}: nested too deeply to be saved; leave out --save") from None
    write_whole(path, f"{text}\n".encode(errors="backslashreplace"))  # half of a character is \ud800 in JSON
    return True
