"""The compiled rungs of the matmul ladder: tensors in, a tensor out."""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from mlfound.native.arguments import POINTER, SIZE, SUFFIXES, aligned, function
from mlfound.native.compiling import library

OPERANDS = (POINTER, SIZE, SIZE, POINTER, SIZE, SIZE, POINTER, SIZE, SIZE, SIZE)


def product(compiled: Any, a: Tensor, b: Tensor, *more: int) -> Tensor:
    (m, k), (_, n) = a.shape, b.shape
    if not m * k * n:
        return a.new_zeros(m, n)
    c = a.new_empty(m, n)
    compiled(a.data_ptr(), *a.stride(), b.data_ptr(), *b.stride(), c.data_ptr(), m, k, n, *more)
    return c


@cache
def work(dtype: torch.dtype) -> Tensor:
    """Memory for packed blocks, kept from call to call."""
    return aligned(library().work_bytes() // dtype.itemsize, dtype)


def loops(a: Tensor, b: Tensor) -> Tensor:
    """(m, k) times (k, n), of one of the types in SUFFIXES; both may be read in steps."""
    return product(function(f"loops_{SUFFIXES[a.dtype]}", *OPERANDS), a, b)


def tiled(a: Tensor, b: Tensor) -> Tensor:
    """The same."""
    return product(function(f"tiled_{SUFFIXES[a.dtype]}", *OPERANDS, POINTER), a, b, work(a.dtype).data_ptr())
