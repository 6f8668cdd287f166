"""The matmul ladder: (m, k) times (k, n) is (m, n). From `loops` to `einsum` each has one Python loop fewer.

All take two tensors of one dtype and return a third; conversions are part of a rung.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from mlfound.foundations.einsum import einsum as our_einsum
from mlfound.native import compiling
from mlfound.native import matmul as native
from mlfound.native.arguments import SUFFIXES

Matmul = Callable[[Tensor, Tensor], Tensor]


def sizes(a: Tensor, b: Tensor) -> tuple[int, int, int]:
    """m, k and n of (m, k) times (k, n)."""
    (m, k), (inner, n) = a.shape, b.shape
    if k != inner:
        raise ValueError(f"({m}, {k}) times ({inner}, {n}): the inner sizes {k} and {inner} differ")
    return m, k, n


def python(a: Tensor, b: Tensor) -> Tensor:
    """Three loops over lists of Python's numbers (float64, rounded once at the end), to lists and back included."""
    m, inner, n = sizes(a, b)
    x, y, c = a.tolist(), b.tolist(), [[0.0] * n for _ in range(m)]
    for i in range(m):
        for j in range(n):
            for k in range(inner):
                c[i][j] += x[i][k] * y[k][j]
    return a.new_tensor(c).reshape(m, n)


def loops(a: Tensor, b: Tensor) -> Tensor:
    """Three loops over elements of tensors: the slow part is not the loop but indexing one element."""
    m, inner, n = sizes(a, b)
    c = a.new_zeros(m, n)
    for i in range(m):
        for j in range(n):
            for k in range(inner):
                c[i, j] += a[i, k] * b[k, j]
    return c


def dot(a: Tensor, b: Tensor) -> Tensor:
    """A row times a column, element by element, and summed."""
    m, _, n = sizes(a, b)
    c = a.new_zeros(m, n)
    for i in range(m):
        for j in range(n):
            c[i, j] = (a[i] * b[:, j]).sum()
    return c


def broadcast(a: Tensor, b: Tensor) -> Tensor:
    """A row, made a column, times the whole of b, summed over its first axis."""
    m, _, n = sizes(a, b)
    c = a.new_zeros(m, n)
    for i in range(m):
        c[i] = (a[i][:, None] * b).sum(0)
    return c


def einsum_by_hand(a: Tensor, b: Tensor) -> Tensor:
    """i and j are kept, k is summed. Holds all m k n products at once."""
    return our_einsum("ik,kj->ij", a, b)


def einsum(a: Tensor, b: Tensor) -> Tensor:
    """The same by torch, which runs it as a matrix product."""
    return torch.einsum("ik,kj->ij", a, b)


def c_loops(a: Tensor, b: Tensor) -> Tensor:
    """The three loops over elements once more, word for word, but in C, compiled: see native/matmul.c."""
    sizes(a, b)
    return native.loops(a, b)


def c_tiled(a: Tensor, b: Tensor) -> Tensor:
    """The same loops in tiles, so that each number that is loaded is used many times: see native/matmul.c."""
    sizes(a, b)
    return native.tiled(a, b)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """The library's own, BLAS: `a @ b` as a function, which torch dispatches 0.25 µs faster."""
    return torch.matmul(a, b)


def onednn(a: Tensor, b: Tensor) -> Tensor:
    """Intel's oneDNN, which torch keeps for its compiler: x w^T, with w (n, k), and nothing done to the result."""
    if a.shape[1] == 0:  # oneDNN has no product over an empty axis
        return a.new_zeros(a.shape[0], b.shape[1])
    # b's columns are the rows of w; of a strided b oneDNN wants a copy
    product: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.contiguous().T, None, "none", [], "")
    return product


def unavailable(name: str, device: torch.device, dtype: torch.dtype = torch.float32) -> str | None:
    """Why this rung cannot run here, or None if it can."""
    if name in ("c-loops", "c-tiled"):
        if device.type != "cpu" or dtype not in SUFFIXES:
            return (
                f"float32 and float64 on a CPU only, not {str(dtype).removeprefix('torch.')} on {device.type}"
            )
        return compiling.unavailable()
    if name != "onednn":
        return None
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return "this torch has no mkldnn._linear_pointwise"
    if device.type != "cpu" or dtype != torch.float32:
        return f"float32 on a CPU only, not {str(dtype).removeprefix('torch.')} on {device.type}"
    return None


def fastest(
    cpu: tuple[str, int], device: torch.device, dtype: torch.dtype = torch.float32
) -> Literal["matmul", "onednn"]:
    """The rung for large products, by the CPU's vendor and family (see `hardware.cpu_kind`).

    With units of 512 bits, which AMD has from family 26 on (Zen 5), oneDNN was measured at 184 GFLOP/s (2048^3,
    float32, one thread) and MKL, torch's own product on x86, at 88. On AMD's family 25 (Zen 4) a training step of
    784-50-10 by MKL takes 0.74 times as long as by oneDNN, on Intel's 0.69. Others were not measured, and keep the
    library that their torch was built with. `make bench` shows both products of a machine.
    """
    vendor, family = cpu
    suits = vendor == "AuthenticAMD" and family >= 26 and not unavailable("onednn", device, dtype)
    return "onednn" if suits else "matmul"


MATMULS: dict[str, Matmul] = {
    "python": python,
    "loops": loops,
    "dot": dot,
    "broadcast": broadcast,
    "einsum-by-hand": einsum_by_hand,
    "einsum": einsum,
    "c-loops": c_loops,
    "c-tiled": c_tiled,
    "matmul": matmul,
    "onednn": onednn,
}
