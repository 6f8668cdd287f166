"""Where cells are carried out: in turn in this process, or in processes of this machine; `cluster` is another.

Each backend gives the outcomes as they come, in any order. All do the same with a cell: `work`.
"""

import os
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any, Protocol, cast

from mlfound.errors import UserError
from mlfound.sweeps.worker import Outcome, Task, UnfitError, work

MAX_ATTEMPTS = 3  # of a cell whose worker ends; then the cell itself may be why
GRACE_SECONDS = 1.0  # for workers to say that they were interrupted


class Backend(Protocol):
    """Close it; a cell that is at work then is left so that it can go on."""

    @property
    def width(self) -> int:
        """How many cells are at work at once."""
        ...

    def outcomes(self, tasks: Sequence[Task]) -> Iterator[Outcome]: ...

    def close(self) -> None: ...


class InTurn:
    """One after the other in this process."""

    width = 1

    def outcomes(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        return map(work, tasks)

    def close(self) -> None:
        """Nothing is left."""


class Processes:
    """`width` processes of this machine, each on its share of the cores, which import all there is to import once."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.context = get_context("spawn")  # a fork would inherit locks of libraries that have threads
        self.workers: dict[Connection, Any] = {}  # with its process

    def outcomes(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        waiting, busy, attempts = deque(tasks), dict[Connection, Task](), Counter[str]()
        idle = deque(self.start(number) for number in range(min(self.width, len(waiting))))
        while waiting or busy:
            while waiting and idle:
                pipe, task = idle.popleft(), waiting.popleft()
                busy[pipe] = task
                with suppress(OSError):  # it has ended, as `recv` will say
                    pipe.send(task)
            for pipe in cast("list[Connection]", wait([*busy])):
                task = busy.pop(pipe)
                try:
                    found = pipe.recv()
                except (EOFError, OSError):  # killed, or out of memory: another takes its place
                    dead = self.workers.pop(pipe)
                    dead.join()
                    idle.append(self.start(int(dead.name)))
                    attempts[task.cell.name] += 1
                    if attempts[task.cell.name] < MAX_ATTEMPTS:
                        waiting.appendleft(task)
                    else:
                        error = f"its worker was killed {MAX_ATTEMPTS} times"
                        yield Outcome(task.cell.name, "failed", error=error)
                    continue
                idle.append(pipe)
                if isinstance(found, UnfitError):
                    raise UserError(f"a process of this sweep: {found}")
                yield found

    def start(self, number: int) -> Connection:
        """Begin the worker of this number, which has every `width`-th core."""
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        share = cores[number :: self.width] or cores[number % max(1, len(cores)) :][:1]
        pipe, theirs = self.context.Pipe()
        process = self.context.Process(target=serve, args=(theirs, share), name=str(number))
        with without_script():
            process.start()
        theirs.close()
        self.workers[pipe] = process
        return pipe

    def close(self) -> None:
        for process in self.workers.values():
            process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for process in self.workers.values():
            process.join(max(0.0, deadline - time.monotonic()))
            process.kill()
        for pipe in self.workers:
            pipe.close()


@contextmanager
def without_script() -> Iterator[None]:
    """A process that is started here does not import the script that called us, which might call us again."""
    script = vars(sys.modules["__main__"])
    kept: dict[str, Any] = {name: script.pop(name) for name in ("__file__", "__spec__") if name in script}
    script["__spec__"] = None
    try:
        yield
    finally:
        script.update(kept)


def serve(pipe: Connection, cores: Sequence[int]) -> None:
    """A worker process: a task comes, its outcome goes, until the parent closes the pipe, ends it or ends itself."""
    at_work = False

    def end(number: int, frame: FrameType | None) -> None:
        if not at_work:
            os._exit(0)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and decides
    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=end_with_parent, daemon=True).start()
    if cores:
        os.sched_setaffinity(0, cores)
    with suppress(EOFError, OSError):
        while True:
            task = pipe.recv()
            at_work = True
            try:
                found: Outcome | UnfitError = work(task)
            except UnfitError as problem:
                found = problem
            except KeyboardInterrupt:
                os._exit(0)
            at_work = False
            pipe.send(found)


def end_with_parent() -> None:
    """A parent that is killed says nothing."""
    if parent := parent_process():
        wait([parent.sentinel])
    os._exit(1)
