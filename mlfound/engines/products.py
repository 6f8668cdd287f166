"""The three matrix products of a linear layer, by the fastest library for machine and shape.

They are named after the rungs of `foundations.matmul`, and are available where those are.

Features come first here: a layer maps (in, batch) to (out, batch), and its weights are (out, in), which is faster
on a CPU. All shapes may begin with an axis of networks.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

MIN_ONEDNN_MULTIPLICATIONS = 1e6  # for smaller products the overhead of oneDNN is larger than its gain


class Products(Protocol):
    """The products of a layer. `out` is memory that may be used; the result is what is returned."""

    def linear(self, x: Tensor, w: Tensor, b: Tensor | None, out: Tensor) -> Tensor:
        """w x + b: (in, batch), (out, in) and (out, 1) to (out, batch)."""
        ...

    def weight_grad(self, dout: Tensor, x: Tensor, into: Tensor, momentum: float) -> None:
        """into <- momentum into + dout x: (out, batch) and (batch, in) to (out, in)."""
        ...

    def input_grad(self, dout: Tensor, w: Tensor, out: Tensor) -> Tensor:
        """w^T dout: (out, batch) and (out, in) to (in, batch)."""
        ...


class Library:
    """torch's own, by BLAS, into existing memory."""

    def __init__(self, axes: int) -> None:
        self.addmm: Any = torch.addmm if axes == 2 else torch.baddbmm
        self.mm: Any = torch.mm if axes == 2 else torch.bmm

    def linear(self, x: Tensor, w: Tensor, b: Tensor | None, out: Tensor) -> Tensor:
        product: Tensor = self.mm(w, x, out=out) if b is None else self.addmm(b, w, x, out=out)
        return product

    def weight_grad(self, dout: Tensor, x: Tensor, into: Tensor, momentum: float) -> None:
        self.addmm(into, dout, x, beta=momentum, out=into)

    def input_grad(self, dout: Tensor, w: Tensor, out: Tensor) -> Tensor:
        product: Tensor = self.mm(w.mT, dout, out=out)
        return product


class OneDNN:
    """Intel's oneDNN, which torch keeps for its compiler: a b^T of float32 on a CPU, into new memory.

    Which of the two is faster depends on the CPU: see `foundations.matmul.fastest`. Of a part of a matrix, some
    columns of it, it takes a hundred times as long.
    """

    def __init__(self, axes: int) -> None:
        """One network at a time: `axes` is 2."""

    def linear(self, x: Tensor, w: Tensor, b: Tensor | None, out: Tensor) -> Tensor:
        product = onednn(w, x.mT)
        return product if b is None else product.add_(b)

    def weight_grad(self, dout: Tensor, x: Tensor, into: Tensor, momentum: float) -> None:
        torch.add(onednn(dout.contiguous(), x.mT), into, alpha=momentum, out=into)

    def input_grad(self, dout: Tensor, w: Tensor, out: Tensor) -> Tensor:
        return onednn(w.mT, dout.contiguous().mT)


def onednn(a: Tensor, b: Tensor) -> Tensor:
    """(m, k) and (n, k) to (m, n)."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise.default(a, b, None, "none", [], "")
    return product


def products(name: str, axes: int, multiplications: int) -> Products:
    """The products by `name` for tensors of `axes` axes; small ones always by torch's own."""
    return PRODUCTS[name if multiplications >= MIN_ONEDNN_MULTIPLICATIONS else "matmul"](axes)


PRODUCTS: dict[str, Callable[[int], Products]] = {
    "matmul": Library,
    "onednn": OneDNN,
}
