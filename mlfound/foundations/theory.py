"""The moments of one layer on given rows x, in theory: activation(x w), w's entries independent with mean 0.

Real rows are not N(0, 1): they differ in length and are correlated. Their lengths determine the moments over all
draws of w; their correlation, how far a single draw is from these.
"""

import math

import torch
from torch import Tensor

from mlfound.foundations.activations import Activation

PAIRED_ROWS = 1000  # paired with all others at a time, in float64


def pooled_moments(
    activation: Activation, squared_norms: Tensor, weight_variance: float
) -> tuple[float, float]:
    """Mean and std of activation(x w) over all rows and all draws of w together. `squared_norms` (rows,) are |x|^2.

    Over the draws x w has mean 0 and variance v |x|^2, v a weight's variance, however x's pixels are correlated. The
    pool is a mixture of as many Gaussians as rows: its variance is the mean of theirs plus the variance of their
    means. Exact for Gaussian weights, and for a linear layer with any; with uniform and orthogonal ones x w is
    only nearly Gaussian, as a sum of many terms.
    """
    means, stds = activation.moments(0.0, (weight_variance * squared_norms.double()).sqrt())
    mean = means.mean()
    return mean.item(), (stds.square() + (means - mean).square()).mean().sqrt().item()


def scatter_of_means(x: Tensor, weight_variance: float, units: int, a: float = 0.0) -> float:
    """The std over the draws of one draw's mean over all rows and `units`.

    For x (rows, in), Gaussian weights and a ReLU of leak `a`, whatever its shift (a = 1: a linear layer). Units are
    independent and share the rows, so it is the root of 1/units of the mean, over all pairs of rows, of
    Cov(f(z), f(z')), where z and z' are Gaussians of std s and s', of correlation c, the cosine between the rows:

    Cov = a s s' c + (1 - a)^2 s s' (sqrt(1 - c^2) + (pi - acos c) c - 1) / (2 pi)

    (the arc-cosine kernel of order 1, Cho and Saul 2009, section 2). Of a ReLU it is 0 for rows at right angles and
    largest for equal ones, where more rows add no information. The time grows with rows^2: a thousand will do.
    """
    x = x.double()
    lengths = x.square().sum(1).sqrt()
    total = 0.0
    for part, own in zip(torch.split(x, PAIRED_ROWS), torch.split(lengths, PAIRED_ROWS), strict=True):
        products, scale = part @ x.T, own[:, None] * lengths
        c = (products / scale.clamp_min(1e-300)).clamp(-1, 1)
        relus = scale * ((1 - c**2).sqrt() + (math.pi - c.acos()) * c - 1) / (2 * math.pi)
        total += (a * products + (1 - a) ** 2 * relus).sum().item()
    return math.sqrt(max(total, 0.0) * weight_variance / units) / len(x)
