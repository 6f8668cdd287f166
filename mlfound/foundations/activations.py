"""Activation functions: each with its gradient and its mean and standard deviation on a Gaussian signal.

`activation(x)` takes any shape; `activation.gradient(dout, x)` is the gradient of its input;
`activation.moments(mu, sigma)` the exact mean and standard deviation of activation(z) for z from N(mu, sigma^2).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mlfound.foundations import functions as F  # noqa: N812 - short, as the lesson has it
from mlfound.foundations.broadcasting import broadcast

Moments = tuple[Tensor, Tensor]  # mean and std, float64, of the common shape of mu and sigma


class Activation(Protocol):
    """An elementwise function of a stack, applied after each product."""

    def __call__(self, x: Tensor) -> Tensor: ...

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor: ...

    def moments(self, mu: Tensor | float, sigma: Tensor | float) -> Moments: ...


@dataclass(frozen=True)
class Identity:
    """f(x) = x: a linear network."""

    def __call__(self, x: Tensor) -> Tensor:
        return x

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return dout

    def moments(self, mu: Tensor | float, sigma: Tensor | float) -> Moments:
        return float64(mu, sigma)


@dataclass(frozen=True)
class ReLU:
    """max(x, 0)."""

    def __call__(self, x: Tensor) -> Tensor:
        return F.relu(x)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return F.relu_grad(dout, x)

    def moments(self, mu: Tensor | float, sigma: Tensor | float) -> Moments:
        """Let t = mu/sigma, p the density of N(0, 1) and P = P(z > 0) its integral up to t. Only z > 0 counts:

        E[relu]   = integral over u > -t of (mu + sigma u) p(u) du       = mu P + sigma p(t)
        E[relu^2] = integral over u > -t of (mu + sigma u)^2 p(u) du     = (mu^2 + sigma^2) P + mu sigma p(t)

        since the integrals of p, u p and u^2 p from -t up are P, p(t) and P - t p(t). The variance is
        E[relu^2] - E[relu]^2. At mu = 0 the mean is sigma / sqrt(2 pi) = 0.3989 sigma, the std
        sigma sqrt(1/2 - 1/(2 pi)) = 0.5838 sigma.
        """
        mu, sigma = float64(mu, sigma)
        positive, density = above_zero(mu, sigma)
        mean = mu * positive + sigma * density
        square = (mu**2 + sigma**2) * positive + mu * sigma * density
        return mean, (square - mean**2).clamp_min(0).sqrt()


@dataclass(frozen=True)
class Subtract:
    """max(x, 0) - s: the lesson's code."""

    s: float = 0.5

    def __call__(self, x: Tensor) -> Tensor:
        return F.relu(x, self.s)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return F.relu_grad(dout, x)

    def moments(self, mu: Tensor | float, sigma: Tensor | float) -> Moments:
        """A constant shifts the mean and does not change the standard deviation."""
        mean, std = ReLU().moments(mu, sigma)
        return mean - self.s, std


@dataclass(frozen=True)
class Floor:
    """max(x, -s): the lesson's text. A different function: x passes unchanged down to -s."""

    s: float = 0.5

    def __call__(self, x: Tensor) -> Tensor:
        return x.clamp_min(-self.s)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return dout * (x > -self.s)

    def moments(self, mu: Tensor | float, sigma: Tensor | float) -> Moments:
        """max(x, -s) = max(x + s, 0) - s: a ReLU of N(mu + s, sigma^2), shifted down."""
        mean, std = ReLU().moments(mu + self.s, sigma)
        return mean - self.s, std


@dataclass(frozen=True)
class Leaky:
    """x above 0 and a x below: a ReLU at a = 0, linear at a = 1."""

    a: float = 0.01

    def __call__(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.a * x)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return torch.where(x > 0, dout, self.a * dout)

    def moments(self, mu: Tensor | float, sigma: Tensor | float) -> Moments:
        """It is a z + (1 - a) r with r = relu(z), so its mean is a mu + (1 - a) E[r] and its variance

        a^2 sigma^2 + (1 - a)^2 Var r + 2 a (1 - a) Cov(z, r), where Cov(z, r) = sigma^2 P(z > 0): z r is r^2, so
        it is E[r^2] - mu E[r]. At mu = 0 the mean is (1 - a) sigma / sqrt(2 pi) and the mean square
        (1 + a^2) sigma^2 / 2: what `gain` compensates.
        """
        mu, sigma = float64(mu, sigma)
        positive, _ = above_zero(mu, sigma)
        a, b = self.a, 1 - self.a
        mean, std = ReLU().moments(mu, sigma)
        variance = (a * sigma) ** 2 + (b * std) ** 2 + 2 * a * b * sigma**2 * positive
        return a * mu + b * mean, variance.sqrt()


def float64(mu: Tensor | float, sigma: Tensor | float) -> Moments:
    """Both as float64 tensors, broadcast to one shape."""
    mu, sigma = broadcast(*(torch.as_tensor(x, dtype=torch.float64) for x in (mu, sigma)))
    return mu, sigma


def above_zero(mu: Tensor, sigma: Tensor) -> Moments:
    """P(z > 0) for z from N(mu, sigma^2), and the density of N(0, 1) at mu/sigma; sigma = 0 is z = mu."""
    t = mu / sigma.clamp_min(1e-300)
    return torch.erfc(-t / math.sqrt(2)) / 2, torch.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)


ACTIVATIONS: dict[str, Callable[..., Activation]] = {
    "linear": Identity,
    "relu": ReLU,
    "subtract": Subtract,
    "floor": Floor,
    "leaky": Leaky,
}
