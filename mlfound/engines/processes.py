"""Many networks on the cores of a CPU: divided among processes, each of which runs `Buffers` on its share.

The processes are forked, so that they get data and networks without a copy; their results are in shared memory.
The pipes carry only the number of rows, the rates, and a None when a process is done.
"""

import ctypes
import math
import mmap
import multiprocessing
import signal
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection

import torch
from torch import Generator, Tensor

from mlfound.engines.buffers import Buffers
from mlfound.engines.recipe import Named, Rate, Recipe
from mlfound.engines.storage import new_memory

PR_SET_PDEATHSIG = 1  # of Linux: the signal that a process gets when its parent dies


class Processes:
    """See `Engine`. `close` it: until then `workers` processes, of one thread each, wait for work. Linux only."""

    def __init__(
        self,
        recipe: Recipe,
        initial: Sequence[Named],
        generators: Sequence[Generator],
        x: Tensor,
        y: Tensor,
        workers: int,
    ) -> None:
        count = len(initial)
        flat, layer_state = new_memory(recipe, count, partial(shared, dtype=x.dtype))
        self.generators = generators
        self.rows = shared((count, len(y)), torch.int64)
        self.losses = shared((count, math.ceil(len(y) / recipe.batch_size)), x.dtype)
        self.states = shared((count, *generators[0].get_state().shape), torch.uint8)
        self.shares = torch.arange(count).tensor_split(workers)
        self.engines = []
        for share in self.shares:
            own = slice(int(share[0]), int(share[-1]) + 1)
            memory = flat[:, own], layer_state[own]
            self.engines.append(Buffers(recipe, initial[own], generators[own], x, y, memory))
        self.networks = [network for engine in self.engines for network in engine.networks]
        self.optimizer = [state for engine in self.engines for state in engine.optimizer]

        fork = multiprocessing.get_context("fork")
        self.pipes, theirs = zip(*(fork.Pipe() for _ in self.engines), strict=True)
        self.workers = [
            fork.Process(target=self.work, args=(number, theirs), daemon=True) for number in range(workers)
        ]
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        for pipe in theirs:
            pipe.close()

    def start(self) -> None:
        """Fork the workers; ChildProcessError at a limit of processes or memory."""
        for number, worker in enumerate(self.workers, 1):
            try:
                worker.start()
            except OSError as error:
                raise ChildProcessError(
                    f"process {number} of {len(self.workers)} could not be started ({error.strerror}); "
                    "allow more (ulimit -u, or a container's limit)"
                ) from error

    def run(self, rows: Tensor, rates: Sequence[Rate]) -> Tensor:
        """See `Engine`; at most the rows of an epoch."""
        self.rows[:, : rows.shape[1]] = rows
        self.states.copy_(torch.stack([generator.get_state() for generator in self.generators]))
        try:
            for pipe in self.pipes:
                pipe.send((rows.shape[1], rates))
            for pipe in self.pipes:
                pipe.recv()
        except (EOFError, OSError) as error:
            raise ChildProcessError("a process that trained some of the networks has ended") from error
        set_states(self.generators, self.states)
        return self.losses[:, : len(rates)].clone()

    def close(self) -> None:
        """Kill the processes, also one that hangs: all their state is in shared memory."""
        started = [worker for worker in self.workers if worker.pid]
        for worker in started:
            worker.kill()
        for worker in started:
            worker.join()
        for pipe in self.pipes:
            pipe.close()

    def work(self, number: int, pipes: Sequence[Connection]) -> None:
        """The loop of a worker until it is killed, by `close` or by the death of its parent."""
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)  # the parent decides
        torch.set_num_threads(1)  # a fork lacks the parent's threads, and would wait for them
        for other in (*self.pipes, *(pipe for pipe in pipes if pipe is not pipes[number])):
            other.close()
        pipe, engine, share = pipes[number], self.engines[number], self.shares[number]
        with suppress(EOFError, ConnectionError):  # the parent's death closes the pipe before it kills
            while True:
                count, rates = pipe.recv()
                set_states(engine.generators, self.states[share])
                self.losses[share, : len(rates)] = engine.run(self.rows[share, :count], rates)
                self.states[share] = torch.stack([generator.get_state() for generator in engine.generators])
                pipe.send(None)


def set_states(generators: Sequence[Generator], states: Tensor) -> None:
    """Set each generator to its row of `states`."""
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state.clone())  # for a view torch would read the start of its storage


def shared(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Zeros in memory shared with forked processes, not backed by a file."""
    count = math.prod(shape)
    memory = mmap.mmap(-1, max(count, 1) * dtype.itemsize)
    return torch.frombuffer(memory, dtype=dtype, count=max(count, 1))[:count].view(shape)
