"""The compiled rungs of the matmul ladder: tensors in, a tensor out."""

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mlfound.native.compiling import library

POINTER, SIZE = ctypes.c_void_p, ctypes.c_ssize_t
SUFFIXES = {torch.float32: "f32", torch.float64: "f64"}
WORK_NUMBERS, LINE_BYTES = (144 + 1024) * 320, 64  # of matmul.c; memory begins at a line of the cache
OPERANDS = [POINTER, SIZE, SIZE, POINTER, SIZE, SIZE, POINTER, SIZE, SIZE, SIZE]


def loops(a: Tensor, b: Tensor) -> Tensor:
    """(m, k) times (k, n), of one of the types in SUFFIXES; both may be read in steps."""
    return product("loops", a, b)


def tiled(a: Tensor, b: Tensor) -> Tensor:
    """The same."""
    return product("tiled", a, b, workspace(a.dtype))


def product(name: str, a: Tensor, b: Tensor, *more: int) -> Tensor:
    (m, k), (_, n) = a.shape, b.shape
    if not m * k * n:
        return a.new_zeros(m, n)
    c = a.new_empty(m, n)
    function(name, a.dtype)(
        a.data_ptr(), *a.stride(), b.data_ptr(), *b.stride(), c.data_ptr(), m, k, n, *more
    )
    return c


@cache
def function(name: str, dtype: torch.dtype) -> Any:
    found = getattr(library(), f"{name}_{SUFFIXES[dtype]}")
    found.argtypes, found.restype = [*OPERANDS, *([POINTER] if name == "tiled" else [])], None
    return found


@cache
def aligned(dtype: torch.dtype) -> Tensor:
    memory = torch.empty(WORK_NUMBERS + LINE_BYTES, dtype=dtype)
    return memory[-memory.data_ptr() % LINE_BYTES // dtype.itemsize :]


def workspace(dtype: torch.dtype) -> int:
    """The address of memory for packed blocks, kept from call to call."""
    return aligned(dtype).data_ptr()
