"""Cells on a cluster, by Dask `distributed`: one more of the `backends`."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, Queue
from typing import Any
from uuid import uuid4

from mlfound.data.fetch import fetch
from mlfound.data.registry import DATASETS
from mlfound.errors import UserError
from mlfound.sweeps.worker import Outcome, Task, UnfitError, code, shares_disk, work

ANSWER_SECONDS = 5
CLOSE_SECONDS = 1.0
POLL_SECONDS = 0.5  # between two checks whether the scheduler is still there


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
            self.client.close(timeout=CLOSE_SECONDS)


@contextmanager
def nothing_collected() -> Iterator[None]:
    """While a client starts it holds a lock for which an earlier one, if it is collected then, waits for ever."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def unlike(found: Mapping[str, str] | Exception) -> str:
    """What a worker that cannot be used has instead of what is here."""
    if isinstance(found, Exception):
        return f"it cannot import this mlfound ({found}); install the same there"
    what = next(what for what in code() if found.get(what) != code()[what])
    return f"it has {what} {found.get(what)}, and here it is {code()[what]}; install the same there"
