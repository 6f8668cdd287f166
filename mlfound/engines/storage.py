"""All parameters of a network in one flat tensor, so that an update is one call; layers are views into it."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from mlfound.engines.recipe import Network

Layers = list[tuple[Tensor, Tensor]]


def numbers(sizes: Sequence[int]) -> int:
    """The number of weights and biases of a network."""
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))


def layers(flat: Tensor, sizes: Sequence[int]) -> Layers:
    """Views into `flat` (..., numbers): the weights (..., out, in) and biases (..., out, 1) of each layer."""
    found, start = Layers(), 0
    for fan_in, fan_out in pairwise(sizes):
        middle, end = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
        w = torch.unflatten(flat[..., start:middle], -1, (fan_out, fan_in))
        found.append((w, flat[..., middle:end, None]))
        start = end
    return found


def named(flat: Tensor, sizes: Sequence[int]) -> Network:
    """Views into `flat` (numbers,) of one network, in the lesson's layout: w1 (in, out), b1 (out,), ..."""
    return {
        name: view
        for n, (w, b) in enumerate(layers(flat, sizes), 1)
        for name, view in ((f"w{n}", w.mT), (f"b{n}", b[:, 0]))
    }
