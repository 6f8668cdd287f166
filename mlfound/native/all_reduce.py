"""Sums over the ranks of one machine, in memory that all of them map.

Each rank writes its numbers into its slot and comes to a meeting (meeting.c); then all add up the slots in the order
of the ranks, and have the same bits. There are two slots of each rank, which take turns: a rank that writes into one
has been at a meeting after all had read it.
"""

import ctypes
import fcntl
import mmap
import os
from collections.abc import Sequence

import torch
from torch import Tensor

from mlfound.native.arguments import POINTER, SIZE, SUFFIXES, function

FOLDER = "/dev/shm"  # whose files are in memory
COUNT_NUMBERS = 16  # from one rank's count of meetings to the next, as in meeting.c
SLOT_BYTES = 2**20  # what is added up at once: most of it stays in a core's cache
# From here on each of several ranks adds up its part for all, which takes a second meeting. An estimate: a meeting
# takes some microseconds, in which 10 GB/s are some 100 kB; more than two cores could not be measured
SHARED_BYTES = 2**17


class EndedError(RuntimeError):
    """A rank that the others wait for is no longer there."""


def size_of(ranks: int) -> int:
    """Bytes of the memory of so many ranks."""
    return ranks * (8 * COUNT_NUMBERS + 2 * SLOT_BYTES)


def new_memory(ranks: int) -> int:
    """The descriptor of zeros in a file without a name, which goes with its last user; an OSError without room."""
    descriptor = os.open(FOLDER, os.O_TMPFILE | os.O_RDWR, 0o600)
    try:  # without it, a full folder would show as a SIGBUS of whoever writes
        os.posix_fallocate(descriptor, 0, size_of(ranks))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def path_of(descriptor: int) -> str:
    """Where other processes of this machine can open it."""
    return f"/proc/{os.getpid()}/fd/{descriptor}"


class AllReduce:
    """This rank's part in the sums: every rank must call the same methods, with tensors of one shape and type.

    That it lives shows in its lock on the memory, which the system takes away when it ends. A process that closes any
    descriptor of a file loses its locks: none but this one may be opened, and the mapping, which has one, must stay.
    """

    def __init__(self, descriptor: int, rank: int, ranks: int) -> None:
        memory = mmap.mmap(descriptor, size_of(ranks))
        self.counts = torch.frombuffer(memory, dtype=torch.int64, count=ranks * COUNT_NUMBERS)
        self.slots = {
            dtype: torch.frombuffer(memory, dtype=dtype, offset=self.counts.nbytes).view(2, ranks, -1)
            for dtype in SUFFIXES
        }
        self.descriptor, self.rank, self.ranks = descriptor, rank, ranks
        self.parts = self.meetings = 0
        self.arrive = function("arrive", POINTER, SIZE, SIZE)
        self.all_come = function("all_come", POINTER, SIZE, SIZE, gives=ctypes.c_int)
        fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, rank)

    def sum(self, x: Tensor) -> None:
        """Of the `x` (numbers,) of all ranks, in place; `EndedError` where one of them has ended."""
        for part in torch.split(x, SLOT_BYTES // x.itemsize):
            self.parts += 1
            slots = self.slots[x.dtype][self.parts % 2, :, : len(part)]
            slots[self.rank] = part
            self.meet()
            if self.ranks > 2 and part.nbytes >= SHARED_BYTES:
                self.add_shared(slots, part)
            else:
                add(slots.unbind(), part)

    def add_shared(self, slots: Tensor, into: Tensor) -> None:
        """The rows of `slots`: this rank adds up one of as many groups of columns for all."""
        groups, parts = slots.tensor_split(self.ranks, 1), into.tensor_split(self.ranks)
        add(groups[self.rank].unbind(), parts[self.rank])
        groups[self.rank][self.rank] = parts[self.rank]
        self.meet()
        for rank, (group, part) in enumerate(zip(groups, parts, strict=True)):
            part.copy_(group[rank])

    def meet(self) -> None:
        """Wait for all: what they wrote before can be read after. If one never comes, all others find out here."""
        self.meetings += 1
        self.arrive(self.counts.data_ptr(), self.rank, self.meetings)
        while not self.all_come(self.counts.data_ptr(), self.ranks, self.meetings):
            for rank in self.missing():
                if self.has_ended(rank) and rank in self.missing():  # it may have come before it ended
                    raise EndedError(f"rank {rank} has ended")

    def missing(self) -> list[int]:
        """The ranks that have not come to the meeting which this one waits in."""
        counts = self.counts[::COUNT_NUMBERS].tolist()
        return [rank for rank, count in enumerate(counts) if count < self.meetings]

    def has_ended(self, rank: int) -> bool:
        """Whether another rank holds its lock no more; several may ask at once."""
        try:
            fcntl.lockf(self.descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, rank)
        except BlockingIOError:
            return False
        return True


def add(rows: Sequence[Tensor], into: Tensor) -> None:
    """The sum of some rows, at least two, in their order."""
    torch.add(rows[0], rows[1], out=into)
    for row in rows[2:]:
        into += row
