"""The processes that torchrun started: how they meet, add up, agree, and notice that one of them has ended.

What is large goes by shared memory where all ranks are on one machine, else by `torch.distributed` (gloo between
CPUs, NCCL between GPUs); what is said once, and why a rank ended, goes by the store that torchrun keeps, which
outlives every rank.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from mlfound.engines.group import Group
from mlfound.errors import UserError, printable
from mlfound.native import compiling

if TYPE_CHECKING:
    from mlfound.native.all_reduce import AllReduce

POLL_SECONDS = 0.02
ALIVE_SECONDS = 20.0  # until a rank that lives notices that one is missing; torchrun ends them all after 30
END_SECONDS = 10.0  # that a rank which is done waits for the first one
# of a sum by gloo: a machine that is gone closes no connection. In shared memory a rank that lives is waited for
TIMEOUT = timedelta(minutes=10)
ORDERS, OVER = "orders", "over"


def alive(rank: int) -> str:
    """The store's key for: it lives, and has noticed that another does not."""
    return f"alive {rank}"


def cause(rank: int) -> str:
    """The store's key for why a rank ended by itself."""
    return f"cause {rank}"


class RankError(ChildProcessError):
    """Another rank is no longer there. `speaks`: whether it is this one's to say so."""

    def __init__(self, message: str, speaks: bool) -> None:
        super().__init__(message)
        self.speaks = speaks


class Ranks(Group):
    """One of several processes with a store in common; see `Group`."""

    def __init__(
        self,
        store: Any,
        rank: int,
        size: int,
        local_rank: int | None = None,
        local_size: int | None = None,
    ) -> None:
        self.store, self.rank, self.size = store, rank, size
        self.local_rank = rank if local_rank is None else local_rank
        self.local_size = size if local_size is None else local_size
        self.has_agreed = self.is_stopped = False
        self.exchanges = 0
        self.memory: AllReduce | None = None

    def connect(self) -> None:
        """With the others, all of which must be there."""
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        store = PrefixStore("sums", self.store)
        dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.size, timeout=TIMEOUT)
        if sys.platform == "linux" and self.local_size == self.size > 1:
            self.memory = self.shared_memory()

    def shared_memory(self) -> "AllReduce | None":
        """The first rank's, which all others open; None where one of them cannot."""
        from mlfound.native.all_reduce import AllReduce, new_memory, path_of  # which Windows has not

        path, descriptor, memory = "", -1, None
        with suppress(OSError):
            if self.rank == 0 and not compiling.unavailable():  # it compiles what the others then find
                descriptor = new_memory(self.size)
                path = path_of(descriptor)
        path = self.exchange(path)[0]
        with suppress(OSError):
            if path and not compiling.unavailable():
                descriptor = os.open(path, os.O_RDWR) if self.rank else descriptor
                memory = AllReduce(descriptor, self.rank, self.size)
        if all(self.exchange(memory is not None)):
            return memory
        if descriptor >= 0:
            os.close(descriptor)
        return None

    def way(self, device: torch.device) -> str:
        if device.type == "cuda":
            return "NCCL"
        return "shared memory" if self.memory else "gloo"

    def close(self) -> None:
        """After the last sum: no rank leaves before the first one has had it."""
        if self.rank == 0:
            self.store.set(OVER, "")
        else:
            self.wait_for([OVER], END_SECONDS)

    def sum(self, x: Tensor) -> Tensor:
        """See `Group.sum`; `RankError` where another rank has."""
        with self.noticing():
            if self.memory and x.is_cpu and x.dtype in self.memory.slots:
                self.memory.sum(x.view(-1))
            else:
                dist.all_reduce(x)
        return x

    @contextmanager
    def noticing(self) -> Iterator[None]:
        """Where the others take part: a RankError where one of them has ended."""
        try:
            yield
        except RuntimeError as error:
            with suppress(RuntimeError):
                self.store.set(alive(self.rank), "")
                clear_frames(error.__traceback__)  # they hold the group: without, it would not be destroyed
                dist.destroy_process_group()  # closes what a third rank may wait for: it notices, too
            raise RankError("another rank has ended, or cannot be reached", speaks=False) from error

    def stopped(self, flag: bool) -> bool:
        """Whether some rank was told to stop, now or before: all ranks ask at the same points.

        Where one has ended torchrun tells all others to stop: it may have taken part in the sum that says so, but not
        in another one.
        """
        if not self.is_stopped:
            self.is_stopped = bool(self.sum(torch.tensor([float(flag)])))
            if self.is_stopped:
                self.sum(torch.zeros(1))
        return self.is_stopped

    def spread(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those of the first rank, to all: others need not have any."""
        shapes = {name: [list(x.shape), str(x.dtype).removeprefix("torch.")] for name, x in tensors.items()}
        every = {
            name: tensors[name].contiguous()
            if self.rank == 0
            else torch.empty(shape, dtype=getattr(torch, dtype))
            for name, (shape, dtype) in self.exchange(shapes)[0].items()
        }
        with self.noticing():
            for x in every.values():
                dist.broadcast(x, 0)  # a sum with zeros would make 0 of -0
        return every

    def agree(self, facts: Mapping[str, str]) -> list[Mapping[str, str]]:
        """What every rank says of what it is about to do; the error of one that could not begin, but `fail`s.

        Any mistake that is the user's is found before, so that the first rank can say it and nothing was written.
        """
        self.has_agreed = True
        every = self.exchange({"facts": dict(facts)})
        for rank, other in enumerate(every):
            if "error" in other:
                message = f"rank {rank}: {other['error']}"
                raise UserError(message) if other["code"] == 2 else ChildProcessError(message)
        return [other["facts"] for other in every]

    def exchange(self, words: Any) -> list[Any]:
        """What every rank says, in their order."""
        self.exchanges += 1
        self.store.set(f"words {self.exchanges} of {self.rank}", json.dumps(words))
        self.sum(torch.zeros(1))
        return [json.loads(self.store.get(f"words {self.exchanges} of {rank}")) for rank in range(self.size)]

    def fail(self, error: str, code: int) -> None:
        """Say why this rank ends: to the first one, which says it to the user."""
        with suppress(RuntimeError, RankError):
            self.store.set(cause(self.rank), error)
            if not self.has_agreed and self.rank:
                self.exchange({"error": error, "code": code})

    def ended(self) -> RankError:
        """After an error of this class: which rank has ended, and its cause if it left one."""
        gone, others = "another rank", [rank for rank in range(self.size) if rank != self.rank]
        with suppress(RuntimeError):
            missing = self.wait_for([alive(rank) for rank in others], ALIVE_SECONDS, most=1)
            gone = " or ".join(f"rank {others[number]}" for number in missing) or gone
            for rank in (others[number] for number in missing):
                if self.store.check([cause(rank)]):
                    said = printable(self.store.get(cause(rank)).decode())
                    return RankError(f"rank {rank} has ended: {said}", speaks=self.rank == 0)
            others = [rank for number, rank in enumerate(others) if number not in missing]
        return RankError(
            f"{gone} has ended, or cannot be reached", speaks=self.rank <= min(others, default=self.rank)
        )

    def wait_for(self, keys: Sequence[str], seconds: float = float("inf"), most: int = 0) -> list[int]:
        """Until at `most` so many are not in the store; the numbers of those. Signals take effect meanwhile."""
        until = time.monotonic() + seconds
        while len(missing := [n for n, key in enumerate(keys) if not self.store.check([key])]) > most:
            if time.monotonic() > until:
                break
            time.sleep(POLL_SECONDS)
        return missing

    def lead(self, orders: Mapping[str, Any]) -> Self:
        """The first rank, when all others are there: it says what is to be done."""
        self.wait_for([f"here {rank}" for rank in range(1, self.size)])
        self.store.set(ORDERS, json.dumps(orders))
        self.connect()
        return self

    def follow(self) -> Mapping[str, Any]:
        """Every other rank: it waits for what is to be done, which is nothing where there are no orders."""
        self.store.set(f"here {self.rank}", "")
        self.wait_for([ORDERS])
        orders: Mapping[str, Any] = json.loads(self.store.get(ORDERS))
        if orders:
            self.connect()
        return orders

    def dismiss(self) -> None:
        """The first rank, when there is nothing to do."""
        self.store.set(ORDERS, "{}")


def of_torchrun(variables: Mapping[str, str] = os.environ) -> Ranks:
    """This process, as torchrun describes it."""
    number: Callable[[str], int] = lambda name: int(variables[name])  # noqa: E731
    rank, size = number("RANK"), number("WORLD_SIZE")
    keeps_store = variables.get("TORCHELASTIC_USE_AGENT_STORE") != "True" and rank == 0
    tcp = TCPStore(variables["MASTER_ADDR"], number("MASTER_PORT"), size, keeps_store, wait_for_workers=False)
    store = PrefixStore(f"mlfound {variables.get('TORCHELASTIC_RESTART_COUNT', 0)}", tcp)
    return Ranks(store, rank, size, number("LOCAL_RANK"), number("LOCAL_WORLD_SIZE"))
