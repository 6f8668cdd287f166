"""How tensors get to C: by address, number type and steps."""

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mlfound.native.compiling import library

POINTER, SIZE = ctypes.c_void_p, ctypes.c_ssize_t
SUFFIXES = {torch.float32: "f32", torch.float64: "f64"}
LINE_BYTES = 64  # of the cache: vectors that begin at one are not torn


@cache
def function(name: str, *types: Any) -> Any:
    """A function of the library that takes arguments of these types and gives nothing."""
    found = getattr(library(), name)
    found.argtypes, found.restype = types, None
    return found


def aligned(numbers: int, dtype: torch.dtype) -> Tensor:
    """New memory that begins at a line of the cache."""
    memory = torch.zeros(numbers + LINE_BYTES // dtype.itemsize, dtype=dtype)
    return memory[-memory.data_ptr() % LINE_BYTES // dtype.itemsize :][:numbers]
