"""The compiled rungs of the matmul ladder: (m, k) times (k, n), float32 or float64 on a CPU, with any strides."""

import threading
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mlfound.native.arguments import POINTER, SIZE, SUFFIXES, aligned, function
from mlfound.native.compiling import library

OPERANDS = (POINTER, SIZE, SIZE, POINTER, SIZE, SIZE, POINTER, SIZE, SIZE, SIZE)


def loops(a: Tensor, b: Tensor) -> Tensor:
    """Three loops; a TypeError for tensors of another kind, or of two."""
    return product(compiled("loops", a.dtype), a, b)


def tiled(a: Tensor, b: Tensor) -> Tensor:
    """In tiles; a TypeError for tensors of another kind, or of two."""
    return product(compiled("tiled", a.dtype), a, b, blocks())


@cache
def compiled(name: str, dtype: torch.dtype) -> Any:
    if dtype not in SUFFIXES:
        raise TypeError(f"{dtype} is neither float32 nor float64")
    return function(f"{name}_{SUFFIXES[dtype]}", *OPERANDS, *([POINTER] if name == "tiled" else []))


def product(call: Any, a: Tensor, b: Tensor, *more: int) -> Tensor:
    if a.dtype != b.dtype or not (a.is_cpu and b.is_cpu):
        raise TypeError(
            f"{a.dtype} on {a.device} times {b.dtype} on {b.device}: both must be of one dtype on a CPU"
        )
    (m, k), (_, n) = a.shape, b.shape
    if not m * k * n:
        return a.new_zeros(m, n)
    c = a.new_empty(m, n)
    call(a.data_ptr(), *a.stride(), b.data_ptr(), *b.stride(), c.data_ptr(), m, k, n, *more)
    return c


LOCAL = threading.local()


def blocks() -> int:
    """The address of memory for packed blocks, kept from call to call, of each thread its own."""
    if not hasattr(LOCAL, "blocks"):
        LOCAL.blocks = aligned(library().work_bytes(), torch.uint8)
    return int(LOCAL.blocks.data_ptr())
