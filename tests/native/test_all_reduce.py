"""Sums in shared memory: the same bits in every rank, whatever the size, and an end where a rank has ended."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

from mlfound.engines.ranks import Ranks
from mlfound.native import all_reduce, compiling
from mlfound.native.all_reduce import AllReduce, EndedError, new_memory
from tests.support.ranks import in_ranks

pytestmark = pytest.mark.usefixtures("one_thread")

COUNTS = (1, 2, 3, 5, 127, 128, 129, 256, 257, 1000)  # of one part, of several, less than there are ranks


@pytest.fixture(autouse=True)
def short_slots(monkeypatch):
    monkeypatch.setattr(all_reduce, "SLOT_BYTES", 2**10)  # 256 numbers of float32, 128 of float64
    monkeypatch.setattr(all_reduce, "SHARED_BYTES", 2**9)


def numbers(count, dtype, *seeds):
    """Of several seeds, what ranks with these should find: the sum of one after the other."""
    total = torch.zeros(count, dtype=dtype)
    for seed in seeds:
        total += torch.randn(count, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    return total


def wrong(ranks, rounds, late):
    """The sums that are not what they should be; every rank comes late by chance."""
    chance, found = random.Random(ranks.rank), []
    for n in range(rounds):
        for dtype in (torch.float32, torch.float64):
            for count in COUNTS:
                x = numbers(count, dtype, n + ranks.rank)
                time.sleep(late * chance.random() ** 8)
                ranks.memory.sum(x)
                if not torch.equal(x, numbers(count, dtype, *range(n, n + ranks.size))):
                    found.append((n, dtype, count))
    return [str(each) for each in found]


@pytest.mark.parametrize("size", [2, 3, 5])
def test_every_rank_has_the_sum_in_the_order_of_the_ranks(size):
    assert in_ranks(size, wrong, 4, 0.002) == [[]] * size


@pytest.mark.slow
def test_no_rank_ever_reads_what_is_of_another_sum():
    assert in_ranks(3, wrong, 300, 0.0005) == [[]] * 3


def killed(ranks, comes):
    """Rank 1 of three is killed, before or after it has come to the meeting of the second sum."""
    memory, x = ranks.memory, torch.ones(1000)
    memory.sum(x)
    if ranks.rank == 1:
        if comes:
            memory.all_come = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
            memory.sum(x)
        os.kill(os.getpid(), signal.SIGKILL)
    if ranks.rank == 2:
        time.sleep(0.2)
    before = memory.meetings
    with pytest.raises(EndedError, match="rank 1 has ended"):
        [memory.meet() for _ in range(10)]
    return memory.meetings - before


@pytest.mark.parametrize("comes", [False, True])
def test_all_that_live_find_out_at_the_same_meeting(comes):
    assert in_ranks(3, killed, comes, dies=1) == [1 + comes, None, 1 + comes]


def ways(ranks):
    """By what ranks add up, and a sum of theirs, whole numbers too."""
    sums = [
        ranks.sum(torch.full((3,), ranks.rank, dtype=dtype)).tolist()
        for dtype in (torch.float32, torch.int64)
    ]
    return ranks.way(torch.device("cpu")), ranks.way(torch.device("cuda")), sums


def held(ranks):
    """The files in memory that this process has open."""
    links = (os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())
    return [link for link in links if link.startswith(all_reduce.FOLDER)]


SUMS = [[3, 3, 3]] * 2


def test_ranks_of_one_machine_add_up_in_shared_memory():
    assert in_ranks(3, ways) == [("shared memory", "NCCL", SUMS)] * 3


def no_access(*_):
    raise PermissionError


def one_cannot(monkeypatch):
    """The last of three ranks cannot open what the others can."""
    connect = Ranks.connect

    def connected(self):
        if self.rank == 2:
            monkeypatch.setattr(all_reduce, "AllReduce", no_access)
        connect(self)

    monkeypatch.setattr(Ranks, "connect", connected)


LACKING = {
    "compiler": lambda patch: patch.setattr(compiling, "unavailable", lambda: "there is no C compiler"),
    "space": lambda patch: patch.setattr(all_reduce, "SLOT_BYTES", 2**50),
    "access": one_cannot,
}


@pytest.mark.parametrize("lacking", LACKING)
def test_without_shared_memory_they_add_up_by_gloo_and_hold_none(lacking, monkeypatch):
    LACKING[lacking](monkeypatch)
    assert in_ranks(3, ways) == [("gloo", "NCCL", SUMS)] * 3
    assert in_ranks(3, held) == [[]] * 3


def test_on_several_machines_they_add_up_by_gloo():
    assert in_ranks(3, ways, way="gloo") == [("gloo", "NCCL", SUMS)] * 3


def test_a_rank_that_comes_and_ends_while_it_is_looked_for_has_come():
    memory = AllReduce(new_memory(2), 0, 2)

    def comes_and_ends(rank):
        memory.arrive(memory.counts.data_ptr(), rank, 1)
        return True

    memory.has_ended = comes_and_ends
    memory.meet()
    assert memory.missing() == []
