"""Elementwise: one operation on every pair of elements at the same position.

torch's own `a + b` or `a < b` is this loop at the speed of C; the other files use torch's.
"""

import operator
from collections.abc import Callable

import torch
from torch import Tensor

from mlfound.foundations.broadcasting import broadcast

Operation = Callable[[Tensor, Tensor], Tensor]


def elementwise(operation: Operation, a: Tensor, b: Tensor) -> Tensor:
    """`operation` on each pair of elements (0-d tensors), after `a` and `b` are broadcast to one shape."""
    a, b = broadcast(a, b)
    elements = [operation(x, y) for x, y in zip(a.flatten(), b.flatten(), strict=True)]
    return torch.tensor(elements).reshape(a.shape)


def mean(x: Tensor) -> Tensor:
    """The sum of all elements over their number, 0-d; for a comparison the fraction that is true."""
    return x.sum() / x.numel()


def frobenius_norm(m: Tensor) -> Tensor:
    """The root of the sum of all squares, 0-d: the length of a matrix laid out as one long vector."""
    return (m * m).sum() ** 0.5


OPERATIONS: dict[str, Operation] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
