"""Several processes that work as the ranks of one training, here in one test."""

import multiprocessing
import traceback
from tempfile import TemporaryDirectory

import torch
import torch.distributed as dist

from mlfound.engines.ranks import Ranks


def in_ranks(size, work, *arguments, dies=None, way="shared memory"):
    """What `work(ranks, *arguments)` gives in each of so many processes, in the order of their ranks.

    That of one which `dies` is None. To add up by gloo they are told that each has a machine of its own.
    """
    fork = multiprocessing.get_context("fork")
    with TemporaryDirectory() as folder:
        pipes, theirs = zip(*(fork.Pipe(duplex=False) for _ in range(size)), strict=True)
        workers = [
            fork.Process(
                target=one, args=(pipe, f"{folder}/store", rank, size, way, work, arguments), daemon=True
            )
            for rank, pipe in enumerate(theirs)
        ]
        for worker in workers:
            worker.start()
        for pipe in theirs:
            pipe.close()
        try:
            found = [(True, None) if rank == dies else pipe.recv() for rank, pipe in enumerate(pipes)]
        finally:
            for worker in workers:
                worker.kill()
                worker.join()
    failed = [result for succeeded, result in found if not succeeded]
    assert not failed, min(failed, key=lambda trace: "RankError" in trace)  # not of one that missed another
    return [result for _, result in found]


def one(pipe, path, rank, size, way, work, arguments):
    """A rank's life; tensors are sent as lists of numbers, which need no memory in common."""
    torch.set_num_threads(1)
    here = (0, 1) if way == "gloo" else (rank, size)
    ranks = Ranks(dist.FileStore(path, size), rank, size, *here)
    try:
        ranks.connect()
        result = True, work(ranks, *arguments)
    except BaseException:
        result = False, traceback.format_exc()
    pipe.send(result)
    pipe.close()
