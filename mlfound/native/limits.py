"""What one core can do at best, to be timed: multiply-adds in registers, and reading from memory or a cache."""

from collections.abc import Callable
from functools import partial

import torch

from mlfound.native.arguments import LINE_BYTES, POINTER, SIZE, SUFFIXES, aligned, function
from mlfound.native.compiling import library

Work = tuple[Callable[[], object], float]  # and how many operations, or bytes, it is

ROUNDS, SUMS = 10_000, 12  # as limits.c has them
BYTES = 2**23  # read in one call: of a small block again and again


def multiply_adds(dtype: torch.dtype) -> Work:
    """Two operations for each number of a vector: no product can be faster."""
    call = function(f"multiply_adds_{SUFFIXES[dtype]}", SIZE)
    return partial(call, ROUNDS), 2 * ROUNDS * SUMS * library().vector_bytes() / dtype.itemsize


def reading(size: float, dtype: torch.dtype) -> Work:
    """A block of about so many bytes, which lies in the smallest cache that it fits in."""
    step = 4 * LINE_BYTES
    count = max(step, int(size) // step * step) // dtype.itemsize
    block, times = aligned(count, dtype), max(1, BYTES // (count * dtype.itemsize))
    call = function(f"read_{SUFFIXES[dtype]}", POINTER, SIZE, SIZE)

    def read() -> None:
        call(block.data_ptr(), count, times)

    return read, count * dtype.itemsize * times
