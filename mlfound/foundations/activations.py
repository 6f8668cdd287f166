"""Activation functions: each with its gradient and its mean and standard deviation on a Gaussian signal.

They are layers; `activation.moments(mu, sigma)` is the mean and standard deviation of activation(z) for z from
N(mu, sigma^2), exact, but where there is no closed form.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mlfound.foundations import functions as F  # noqa: N812 - short, as the lesson has it
from mlfound.foundations.broadcasting import broadcast
from mlfound.foundations.layers import Layer

Moments = tuple[Tensor, Tensor]  # mean and std, float64, of the common shape of mu and sigma
RANGE, POINTS = 12.0, 4001  # standard deviations to both sides, where a Gaussian is 0 in float64; and steps


class Activation(Layer):
    """An elementwise function, of any shape; `forward` and `gradient` depend on nothing but their arguments."""

    def moments(self, mu: Tensor | float, sigma: Tensor | float) -> Moments:
        """By the trapezoidal rule, whose error falls exponentially where the integrand is smooth and ends at 0."""
        mu, sigma = float64(mu, sigma)
        u = torch.linspace(-RANGE, RANGE, POINTS, dtype=torch.float64)
        weights = torch.softmax(-(u**2) / 2, 0)  # the density of N(0, 1) at equal steps
        y = self.forward(mu[..., None] + sigma[..., None] * u)
        mean = (y * weights).sum(-1)
        return mean, ((y - mean[..., None]) ** 2 * weights).sum(-1).sqrt()


@dataclass(eq=False)
class Identity(Activation):
    """f(x) = x: a linear network."""

    def forward(self, x: Tensor) -> Tensor:
        return x

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return dout

    def moments(self, mu: Tensor | float, sigma: Tensor | float) -> Moments:
        return float64(mu, sigma)


@dataclass(eq=False)
class ReLU(Activation):
    """x above 0 and `leak` x below, then minus `shift`, and at most `ceiling`: the course's general ReLU."""

    leak: float = 0.0
    shift: float = 0.0
    ceiling: float | None = None

    def forward(self, x: Tensor) -> Tensor:
        return F.general_relu(x, self.leak, self.shift, self.ceiling)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return F.general_relu_grad(dout, x, self.leak, self.shift, self.ceiling)

    def moments(self, mu: Tensor | float, sigma: Tensor | float) -> Moments:
        """With r = max(z, 0) it is a z + (1 - a) r - shift, a the leak, so its mean is a mu + (1 - a) E[r] - shift,

        and its variance a^2 sigma^2 + (1 - a)^2 Var r + 2 a (1 - a) Cov(z, r), where Cov(z, r) = sigma^2 P(z > 0):
        z r is r^2, so it is E[r^2] - mu E[r]. At mu = 0 and shift 0 the mean is (1 - a) sigma / sqrt(2 pi) and the
        mean square (1 + a^2) sigma^2 / 2: what `gain` compensates.
        """
        if self.ceiling is not None:
            return super().moments(mu, sigma)
        mu, sigma = float64(mu, sigma)
        mean, std = rectified(mu, sigma)
        if self.leak:
            positive, _ = above_zero(mu, sigma)
            a, b = self.leak, 1 - self.leak
            variance = (a * sigma) ** 2 + (b * std) ** 2 + 2 * a * b * sigma**2 * positive
            mean, std = a * mu + b * mean, variance.sqrt()
        return mean - self.shift, std


@dataclass(eq=False)
class Floor(Activation):
    """max(x, -shift): the lesson's text. A different function: x passes unchanged down to -shift."""

    shift: float = 0.5

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp_min(-self.shift)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return dout * (x > -self.shift)

    def moments(self, mu: Tensor | float, sigma: Tensor | float) -> Moments:
        """max(x, -s) = max(x + s, 0) - s: a ReLU of N(mu + s, sigma^2), shifted down."""
        mu, sigma = float64(mu, sigma)
        mean, std = rectified(mu + self.shift, sigma)
        return mean - self.shift, std


@dataclass(eq=False)
class Tanh(Activation):
    """tanh(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.tanh()

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return F.tanh_grad(dout, x)


@dataclass(eq=False)
class GELU(Activation):
    """x P(u < x) for u from N(0, 1) (Hendrycks and Gimpel 2016), exact, by erf."""

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return F.gelu_grad(dout, x)


def rectified(mu: Tensor, sigma: Tensor) -> Moments:
    """Of max(z, 0). Let t = mu/sigma, p the density of N(0, 1) and P = P(z > 0) its integral up to t:

    E[relu]   = integral over u > -t of (mu + sigma u) p(u) du       = mu P + sigma p(t)
    E[relu^2] = integral over u > -t of (mu + sigma u)^2 p(u) du     = (mu^2 + sigma^2) P + mu sigma p(t)

    since only z > 0 counts, and the integrals of p, u p and u^2 p from -t up are P, p(t) and P - t p(t). The variance
    is E[relu^2] - E[relu]^2. At mu = 0 the mean is sigma / sqrt(2 pi) = 0.3989 sigma, the std
    sigma sqrt(1/2 - 1/(2 pi)) = 0.5838 sigma.
    """
    positive, density = above_zero(mu, sigma)
    mean = mu * positive + sigma * density
    square = (mu**2 + sigma**2) * positive + mu * sigma * density
    return mean, (square - mean**2).clamp_min(0).sqrt()


def float64(mu: Tensor | float, sigma: Tensor | float) -> Moments:
    """Both as float64 tensors, broadcast to one shape."""
    mu, sigma = broadcast(*(torch.as_tensor(x, dtype=torch.float64) for x in (mu, sigma)))
    return mu, sigma


def above_zero(mu: Tensor, sigma: Tensor) -> Moments:
    """P(z > 0) for z from N(mu, sigma^2), and the density of N(0, 1) at mu/sigma; sigma = 0 is z = mu."""
    t = mu / sigma.clamp_min(1e-300)
    return torch.erfc(-t / math.sqrt(2)) / 2, torch.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)


# by its name in a config: (leak, shift, ceiling) -> activation
ACTIVATIONS: dict[str, Callable[[float, float, float | None], Activation]] = {
    "relu": lambda leak, shift, ceiling: ReLU(0.0, shift, ceiling),
    "leaky": ReLU,
    "floor": lambda leak, shift, ceiling: Floor(shift),
    "tanh": lambda leak, shift, ceiling: Tanh(),
    "gelu": lambda leak, shift, ceiling: GELU(),
}
