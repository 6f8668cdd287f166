"""When are two results the same? How far apart they are, and what a gradient must be by its definition."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def relative_error(got: Tensor, want: Tensor) -> float:
    """The largest difference over the largest wanted value: 0 against 0 is 0; a wrong shape, nan or inf is infinite.

    An absolute tolerance proves nothing: where gradients are about 1e-5, atol=1e-5 accepts zeros.
    """
    if got.shape != want.shape or not (torch.isfinite(got).all() and torch.isfinite(want).all()):
        return math.inf
    difference, scale = (got - want).abs().max().item(), want.abs().max().item()
    if difference == 0:
        return 0.0
    return difference / scale if scale else math.inf


def central_difference(function: Callable[[Tensor], Tensor], x: Tensor, step: float = 1e-6) -> Tensor:
    """The gradient of a 0-d `function` at `x`, element by element: (f(x + h) - f(x - h)) / 2h, error O(h^2)."""
    gradient = torch.empty_like(x)
    for i in range(x.numel()):
        nudge = torch.zeros_like(x)
        nudge.view(-1)[i] = step
        gradient.view(-1)[i] = (function(x + nudge) - function(x - nudge)) / (2 * step)
    return gradient
