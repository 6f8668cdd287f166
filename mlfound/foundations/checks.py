"""Comparisons of results: errors, assertions that show both values, and gradients by central differences."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def relative_error(got: Tensor, want: Tensor) -> float:
    """The largest difference over the largest wanted value; 0 / 0 is 0; a wrong shape, nan or inf gives infinity.

    An absolute tolerance proves nothing: where gradients are about 1e-5, atol=1e-5 accepts zeros.
    """
    if got.shape != want.shape or not (torch.isfinite(got).all() and torch.isfinite(want).all()):
        return math.inf
    difference, scale = (got - want).abs().max().item(), want.abs().max().item()
    if difference == 0:
        return 0.0
    return difference / scale if scale else math.inf


def rounding_error(got: Tensor, want: Tensor, terms: Tensor | int, scale: Tensor) -> float:
    """The worst error of sums of products in units of the largest rounding error: at most 1 if right in their dtype.

    Each is a sum of k `terms`, `want` its value and `scale` that of the absolute terms, both float64 on the CPU, and
    |got - want| <= min(k, 7 sqrt(k)) u scale, u being half the step of numbers at 1. k u is certain, in any order,
    without over- and underflow (Jeannerod and Rump 2013; Higham 2002, eq. 3.13, has k u / (1 - k u)), but so wide
    that at k = 784 a float16 product passes for a float32 one. 7 sqrt(k) u holds but for one element in ten million
    if roundings go up as often as down (Higham and Mary 2019), as they do on random numbers and not on thousands of
    equal ones. 0 / 0 is 0; a wrong shape, nan or inf gives infinity.
    """
    u = (torch.finfo(got.dtype).eps + torch.finfo(torch.float64).eps) / 2  # `want` is rounded, too
    got, k = got.cpu().double(), torch.as_tensor(terms, dtype=torch.float64)
    if got.shape != want.shape or not torch.isfinite(got - want).all():
        return math.inf
    difference, bound = (got - want).abs(), torch.minimum(k, 7 * k.sqrt()) * u * scale
    errors = torch.where(difference == 0, 0.0, difference / bound)
    return errors.max().item() if errors.numel() else 0.0


def matmul_error(got: Tensor, a: Tensor, b: Tensor) -> float:
    """The same for a product: at most 1 if `got` is a b in its dtype."""
    a, b = (x.cpu().double() for x in (a, b))  # not every device has float64
    return rounding_error(got, a @ b, a.shape[1], a.abs() @ b.abs())


def central_difference(function: Callable[[Tensor], Tensor], x: Tensor, step: float = 1e-6) -> Tensor:
    """The gradient of a 0-d `function` at `x`, element by element: (f(x + h) - f(x - h)) / 2h, error O(h^2)."""
    gradient = torch.empty_like(x)
    for i in range(x.numel()):
        nudge = torch.zeros_like(x)
        nudge.view(-1)[i] = step
        gradient.view(-1)[i] = (function(x + nudge) - function(x - nudge)) / (2 * step)
    return gradient


def equal(got: Tensor, want: Tensor) -> bool:
    """Whether shapes and all elements are equal."""
    return got.shape == want.shape and bool((got.cpu() == want.cpu()).all())


def near(got: Tensor | float, want: Tensor | float, rtol: float = 1e-3, atol: float = 1e-5) -> bool:
    """Whether shapes are equal and |got - want| < atol + rtol |want| or got == want, element by element."""
    got, want = (torch.as_tensor(x).cpu() for x in (got, want))
    return got.shape == want.shape and bool(elements_near(got, want, rtol, atol).all())


def elements_near(got: Tensor, want: Tensor, rtol: float, atol: float) -> Tensor:
    return (got == want) | ((got.double() - want.double()).abs() < atol + rtol * want.double().abs())


def test_eq(got: Tensor, want: Tensor) -> None:
    """An AssertionError with both values unless they are `equal`."""
    hold("not equal", got, want, lambda got, want: got == want)


def test_near(got: Tensor | float, want: Tensor | float, rtol: float = 1e-3, atol: float = 1e-5) -> None:  # noqa: PT028
    """An AssertionError with both values unless they are `near`."""
    message = f"not within {atol:g} + {rtol:g} |want|"
    hold(message, got, want, lambda got, want: elements_near(got, want, rtol, atol))


def test_near_zero(got: Tensor | float, tolerance: float = 1e-3) -> None:  # noqa: PT028
    """An AssertionError with the value unless |got| < tolerance."""
    zero = torch.zeros_like(torch.as_tensor(got))
    hold(f"not within {tolerance:g} of zero", got, zero, lambda got, _: got.abs() < tolerance)


# Else pytest takes them for tests of every module that imports them
test_eq.__test__ = False  # type: ignore[attr-defined]
test_near.__test__ = False  # type: ignore[attr-defined]
test_near_zero.__test__ = False  # type: ignore[attr-defined]


def hold(
    message: str, got: Tensor | float, want: Tensor | float, agree: Callable[[Tensor, Tensor], Tensor]
) -> None:
    """An AssertionError with both values and their worst place unless shapes are equal and elements `agree`."""
    got, want = (torch.as_tensor(x).cpu() for x in (got, want))
    where = "shapes differ"
    if got.shape == want.shape:
        wrong = ~agree(got, want)
        if not wrong.any():
            return
        difference = (got.double() - want.double()).abs().where(wrong, -1.0)
        place = torch.unravel_index(difference.argmax(), got.shape)
        index = tuple(int(i) for i in place)
        where = f"{wrong.sum()} of {wrong.numel()} differ, most by {difference[place]:.6g} at {index}"
    raise AssertionError(f"{message}: {where}\n got {shown(got)}\nwant {shown(want)}")


def shown(x: Tensor, max_values: int = 8) -> str:
    """Shape and first values, one line."""
    values = " ".join(f"{value:.6g}" for value in x.flatten()[:max_values].tolist())
    return f"{tuple(x.shape)}: {values}{' ...' if x.numel() > max_values else ''}"
