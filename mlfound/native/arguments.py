"""How tensors get to C: by address, dtype and strides."""

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mlfound.native.compiling import library

POINTER, SIZE = ctypes.c_void_p, ctypes.c_ssize_t
SUFFIXES = {torch.float32: "f32", torch.float64: "f64"}
LINE_BYTES = 64  # a cache line: an aligned vector lies in one


@cache
def function(name: str, *types: Any, gives: Any = None) -> Any:
    """A function of the library that takes arguments of these types, and gives nothing or one of that type."""
    found = getattr(library(), name)
    found.argtypes, found.restype = types, gives
    return found


def aligned(count: int, dtype: torch.dtype) -> Tensor:
    """Zeros (count,) that begin at a cache line."""
    memory = torch.zeros(count + LINE_BYTES // dtype.itemsize, dtype=dtype)
    return memory[-memory.data_ptr() % LINE_BYTES // dtype.itemsize :][:count]
