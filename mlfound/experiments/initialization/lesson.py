"""Two small stacks of the lesson, drawn many times: a hundred products of 512, and layers that narrow."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor

from mlfound.foundations.activations import Linear, ReLU
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.stacks import plain, plain_gradients
from mlfound.stats.estimates import Estimate, root_mean

PRODUCTS, WIDTH = 100, 512
SCALES = ("normal", "small", "xavier")  # 1, 0.01 and 1/sqrt(512)
FUNNEL_ROWS, FUNNEL_LAYERS = 128, 4


@dataclass(frozen=True)
class Products:
    """Of each draw the std after the products, and the product after which it was not finite, or 0 (else None)."""

    stds: Tensor
    ends: Sequence[int | None]


def products(generator: Generator, draws: int) -> dict[str, Products]:
    """x = w x a hundred times with one and the same w, as the notebook does."""
    found = {}
    for init in SCALES:
        runs = []
        for _ in range(draws):
            x = torch.randn(1, WIDTH, generator=generator)
            w = INITIALIZATIONS[init]((WIDTH, WIDTH), generator)
            runs.append([out.std().item() for out, _ in plain(x, [w] * PRODUCTS, Linear())])
        ends = [
            next((n for n, s in enumerate(run, 1) if not math.isfinite(s) or s == 0), None) for run in runs
        ]
        found[init] = Products(torch.tensor([run[-1] for run in runs], dtype=torch.float64), ends)
    return found


@dataclass(frozen=True)
class Funnel:
    """By how much a narrowing stack multiplied the root mean square, measured and in theory."""

    forward: Estimate
    backward: Estimate
    forward_theory: float
    backward_theory: float


def narrowing(features: int, hidden: int) -> list[int]:
    """Five widths from the one to the other, each smaller than the one before by about the same factor."""
    steps = (n / FUNNEL_LAYERS for n in range(FUNNEL_LAYERS + 1))
    return [round(features * (hidden / features) ** step) for step in steps]


def funnels(x: Tensor, hidden: int, generator: Generator, draws: int) -> Mapping[str, Funnel]:
    """Real rows through ReLU layers whose fan in is not their fan out, and a gradient of N(0, 1) back."""
    x, widths = x[:FUNNEL_ROWS], narrowing(x.shape[1], hidden)
    shapes, found = list(pairwise(widths)), {}
    for name in ("kaiming", "kaiming-fan-out"):
        init, squares = INITIALIZATIONS[name], []
        for _ in range(draws):
            weights = [init(shape, generator) for shape in shapes]
            layers = list(plain(x, weights, ReLU()))
            dout = torch.randn(len(x), hidden, generator=generator)
            *_, dx = plain_gradients(dout, weights, [z for z, _ in layers], ReLU())
            before = mean_square(x), mean_square(dout)
            squares.append([mean_square(layers[-1][1]) / before[0], mean_square(dx) / before[1]])
        forward, backward = torch.tensor(squares, dtype=torch.float64).T
        kept = [init.std(shape) ** 2 / 2 for shape in shapes]
        found[name] = Funnel(
            root_mean(forward),
            root_mean(backward),
            math.sqrt(math.prod(v * fan_in for v, (fan_in, _) in zip(kept, shapes, strict=True))),
            math.sqrt(math.prod(v * fan_out for v, (_, fan_out) in zip(kept, shapes, strict=True))),
        )
    return found


def mean_square(x: Tensor) -> float:
    return x.square().mean().item()
