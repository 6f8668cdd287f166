"""Optimisers on generated problems: 50 steps by ours, and by torch.optim or the paper's formula."""

from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import torch
from torch import Tensor

from mlfound.foundations.checks import relative_error
from mlfound.foundations.optimizers import LAMB, OPTIMIZERS, SGD, Adam, RMSprop
from mlfound.foundations.randomness import generator

STEPS = 50
BOUND = 1e-12  # 50 steps of some 20 operations, each rounded to 1.1e-16, are 1.1e-13 if all err to one side
STARTS_AT_0, HAS_NO_GRADIENT = 1, 2  # parameter tensors like a bias and like those of a dead unit

# name: settings, and the largest momentum of a step
RULES = {
    "sgd": [
        ({}, 0.0),
        ({"dampening": 0.4}, 0.0),
        ({}, 0.95),
        ({"dampening": 0.4}, 0.95),
        ({"nesterov": True}, 0.95),
    ],
    "rmsprop": [({"eps": 1e-3}, 0.0), ({"beta2": 0.9, "momentum": 0.9}, 0.95)],
    "adam": [({}, 0.95), ({"beta2": 0.98, "eps": 1e-3}, 0.95)],
    "adamw": [({"eps": 1e-5}, 0.95)],
    "lamb": [({"beta2": 0.98, "eps": 1e-3}, 0.95)],
}
DECAYS = [(0.0, "l2"), (0.3, "decoupled"), (0.3, "l2")]


def cases(name):
    """Optimisers of this name, each with the largest momentum of its steps."""
    for (settings, momentum), (weight_decay, decay), clip_norm in product(RULES[name], DECAYS, (None, 2.0)):
        yield OPTIMIZERS[name](weight_decay, decay, clip_norm, **settings), momentum


@dataclass(frozen=True)
class Problem:
    """Bowls with noisy gradients: parameters and gradients are (..., n), the rates are of each step."""

    start: Tensor
    target: Tensor
    steepness: Tensor
    noise: Tensor
    parts: list[slice]
    rates: list[tuple[float, float]]

    def gradient(self, p, step):
        return self.steepness * (p - self.target + self.noise[step])

    def alone(self, network):
        one = {name: getattr(self, name)[network] for name in ("start", "target", "steepness")}
        return replace(self, **one, noise=self.noise[:, network])


def problem(seed, momentum, networks=2):
    """Four parameter tensors of random sizes; learning rate and momentum change from step to step."""
    draws = generator(seed, "problem")
    sizes = torch.randint(1, 9, (4,), generator=draws).tolist()
    ends = torch.tensor(sizes).cumsum(0).tolist()
    parts = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    start, target, *noise = torch.randn(
        STEPS + 2, networks, ends[-1], dtype=torch.float64, generator=draws
    ).unbind()
    start[:, parts[STARTS_AT_0]] = 0
    # over three powers of ten, so that eps matters; the first network's gradients are clipped, the last one's are not
    steepness = 10 ** (3 * torch.rand(start.shape, dtype=torch.float64, generator=draws) - 2)
    steepness[-1] /= 10
    steepness[:, parts[HAS_NO_GRADIENT]] = 0
    chance = torch.rand(STEPS, 2, dtype=torch.float64, generator=draws).tolist()
    rates = [(0.02 + 0.08 * a, momentum * (0.8 + 0.2 * b)) for a, b in chance]
    return Problem(start, target, steepness, torch.stack(noise), parts, rates)


def ours(optimizer, problem, update=lambda optimizer, *step: optimizer.update(*step), number=float):
    """Parameters and state after all steps, (1 + states, ..., n); `number` makes the coefficients."""
    p = problem.start.clone()
    state = [torch.zeros_like(p) for _ in optimizer.state_names]
    for step, rates in enumerate(problem.rates):
        c = optimizer.coefficients(*rates, step)
        c = type(c)(*(number(value) for value in c))
        update(optimizer, p, problem.gradient(p, step), state, c, problem.parts)
    return torch.stack([p, *state])


class PlainLAMB:
    """You et al. 2020, algorithm 2, tensor by tensor."""

    def __init__(self, tensors, optimizer):
        self.tensors, self.optimizer, self.t = tensors, optimizer, 0
        self.m, self.v = ([torch.zeros_like(x) for x in tensors] for _ in range(2))
        self.param_groups = [{}]

    @torch.no_grad()
    def step(self):
        lr, (beta1, beta2) = self.param_groups[0]["lr"], self.param_groups[0]["betas"]
        decay, l2 = self.optimizer.weight_decay, self.optimizer.decay == "l2"
        self.t += 1
        for i, x in enumerate(self.tensors):
            g = x.grad + decay * x if l2 else x.grad
            self.m[i] = beta1 * self.m[i] + (1 - beta1) * g
            self.v[i] = beta2 * self.v[i] + (1 - beta2) * g**2
            m_hat = self.m[i] / (1 - beta1**self.t)
            v_hat = self.v[i] / (1 - beta2**self.t)
            r = m_hat / (v_hat.sqrt() + self.optimizer.eps) + (0.0 if l2 else decay * x)
            ratio = x.norm() / r.norm() if x.norm() > 0 and r.norm() > 0 else 1.0
            x -= lr * ratio * r


def twin(optimizer, tensors, momentum):
    """The reference with the same settings; decoupled decay of SGD and RMSprop is left out, as torch has none."""
    l2 = optimizer.weight_decay if optimizer.decay == "l2" else 0.0
    if isinstance(optimizer, SGD):
        settings = {"dampening": optimizer.dampening, "nesterov": optimizer.nesterov}
        return torch.optim.SGD(tensors, momentum=momentum, weight_decay=l2, **settings)
    if isinstance(optimizer, RMSprop):
        settings = {"alpha": optimizer.beta2, "eps": optimizer.eps}
        return torch.optim.RMSprop(tensors, momentum=momentum, weight_decay=l2, **settings)
    if isinstance(optimizer, LAMB):
        return PlainLAMB(tensors, optimizer)
    kind = torch.optim.Adam if optimizer.decay == "l2" else torch.optim.AdamW
    return kind(tensors, eps=optimizer.eps, weight_decay=optimizer.weight_decay)


def theirs(optimizer, problem):
    """The parameter tensors of one network after all steps of the reference."""
    tensors = [problem.start[part].clone().requires_grad_() for part in problem.parts]
    reference = twin(optimizer, tensors, problem.rates[0][1])
    shrinks = optimizer.decay == "decoupled" and isinstance(optimizer, SGD | RMSprop)
    for step, (lr, momentum) in enumerate(problem.rates):
        reference.param_groups[0].update(lr=lr, momentum=momentum)
        if isinstance(optimizer, Adam):
            reference.param_groups[0].update(betas=(momentum, optimizer.beta2))
        with torch.no_grad():
            g = problem.gradient(torch.cat(tensors), step)
        for x, part in zip(tensors, problem.parts, strict=True):
            x.grad = g[part].clone()
        if optimizer.clip_norm is not None:
            # torch's factor is limit / (norm + 1e-6): with this limit it is clip_norm / norm
            torch.nn.utils.clip_grad_norm_(tensors, optimizer.clip_norm * (1 + 1e-6 / g.norm().item()))
        if shrinks:
            with torch.no_grad():
                torch._foreach_mul_(tensors, 1 - lr * optimizer.weight_decay)
        reference.step()
    return [x.detach() for x in tensors]


@cache
def references(name):
    """(optimiser, problem, what the reference reaches for each network) of every case."""
    found = []
    for seed, (optimizer, momentum) in enumerate(cases(name)):
        both = problem(seed, momentum)
        found.append((optimizer, both, [theirs(optimizer, both.alone(network)) for network in (0, 1)]))
    return found


def errors(name):
    """The largest of any parameter tensor, case by case; networks are side by side."""
    for optimizer, both, wanted in references(name):
        p, *_ = ours(optimizer, both)
        yield max(
            relative_error(p[network, part], want)
            for network in (0, 1)
            for part, want in zip(both.parts, wanted[network], strict=True)
        )
