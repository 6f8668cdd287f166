"""Where cells are carried out: in turn in this process, in processes of this machine, or by a cluster's workers.

Each backend gives the outcomes as they come, in any order. All do the same with a cell: `work`.
"""

import gc
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from queue import Empty, Queue
from types import FrameType
from typing import Any, Protocol, cast
from uuid import uuid4

from mlfound.data.fetch import fetch
from mlfound.data.registry import DATASETS
from mlfound.errors import UserError
from mlfound.sweeps.worker import Outcome, Task, UnfitError, code, shares_disk, work

MAX_ATTEMPTS = 3  # of a cell whose worker ends; then the cell itself may be why
GRACE_SECONDS = 1.0  # for workers to say that they were interrupted
ANSWER_SECONDS = 5
POLL_SECONDS = 0.5  # between two checks whether the scheduler is still there


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


class Dask:
    """The workers of a Dask cluster. UserError where no scheduler answers, or a worker is unfit."""

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            import logging

            from distributed import Client
        except ImportError:
            raise UserError(f"--dask {address}: pip install 'mlfound[dask]' brings what this needs") from None
        for name in ("distributed", "distributed.client"):  # what goes wrong we say ourselves
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            connect: Any = Client  # which has no types
            with nothing_collected():
                self.client = connect(address, timeout=ANSWER_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"--dask {address}: no scheduler answers there within {ANSWER_SECONDS} s; "
                "dask scheduler starts one and says its address"
            ) from error
        self.check()

    @property
    def width(self) -> int:
        return max(1, len(self.client.scheduler_info(n_workers=-1)["workers"]))

    def check(self) -> None:
        """Every worker that there is so far has our code."""
        try:
            there = self.client.run(code, on_error="return")
            if not there:
                advice = f"dask worker {self.address} --nthreads 1 adds one"
                raise UserError(f"--dask {self.address}: the cluster has no workers; {advice}")
            for worker, found in there.items():
                if found != code():
                    raise UserError(f"--dask {self.address}: worker {worker}: {unlike(found)}")
        except BaseException:
            self.close()
            raise

    def outcomes(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        from distributed import CancelledError, KilledWorker

        ended: Queue[tuple[Task, Any]] = Queue()
        sent, token = self.send_data(tasks), uuid4().hex
        for task in tasks:
            key = f"mlfound-{token}-{task.cell.name}"  # of its own: two sweeps may have a cell in common
            future = self.client.submit(work, task, sent, key=key, pure=False)
            future.add_done_callback(lambda future, task=task: ended.put((task, future)))
        for _ in tasks:
            while True:
                try:
                    task, future = ended.get(timeout=POLL_SECONDS)
                    break
                except Empty:
                    self.refuse_lost()
            try:
                found = future.result()
            except KilledWorker:
                found = Outcome(task.cell.name, "failed", error="its workers were killed again and again")
            except UnfitError as problem:
                raise UserError(f"--dask {self.address}: a worker: {problem}") from problem
            except (CancelledError, OSError):
                raise self.lost() from None
            except Exception as problem:  # as of a worker that cannot read the task
                found = Outcome(task.cell.name, "failed", error=f"{type(problem).__name__}: {problem}")
            future.release()
            yield found

    def send_data(self, tasks: Sequence[Task]) -> Any:
        """Files of the data sets for workers that do not share our disk; Dask brings them where they are needed."""
        shared = self.client.run(shares_disk, tasks[0]) if tasks else {}
        if all(shared.values()):
            return None
        names = [name for name in tasks[0].data if name in DATASETS and DATASETS[name].folder is None]
        files = {
            name: {each.file: bytes(each.raw) for each in fetch(DATASETS[name], tasks[0].data_dir)}
            for name in names
        }
        return self.client.scatter(files, hash=False) if files else None

    def refuse_lost(self) -> None:
        if self.client.status != "running":
            raise self.lost()

    def lost(self) -> ConnectionError:
        return ConnectionError(f"the scheduler {self.address} is gone")

    def close(self) -> None:
        """What has not begun is forgotten; a cell at work comes to its end."""
        with suppress(Exception):
            self.client.close(timeout=GRACE_SECONDS)


@contextmanager
def nothing_collected() -> Iterator[None]:
    """While a client starts it holds a lock for which an earlier one, if it is collected then, waits for ever."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def unlike(found: Mapping[str, str] | Exception) -> str:
    """What a worker that cannot be used has instead of what is here."""
    if isinstance(found, Exception):
        return f"it cannot import this mlfound ({found}); install the same there"
    what = next(what for what in code() if found.get(what) != code()[what])
    return f"it has {what} {found.get(what)}, and here it is {code()[what]}; install the same there"
