"""torch's own optimiser for one of ours; what its class does not do runs before each of its steps."""

from collections.abc import Callable, Iterable
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from mlfound.foundations.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop

Settings = dict[str, Any]


def optimizer_for(
    ours: Optimizer, parameters: Iterable[Tensor], lr: float, momentum: float, **how: bool
) -> torch.optim.Optimizer:
    """With the same rule as `ours`, whose type is in RULES; of Adam `momentum` is beta1.

    `how` is fused, capturable: for those of torch's classes that can.
    """
    kind, settings = RULES[type(ours)](ours, momentum)
    leaves = list(parameters)
    settings |= {name: value for name, value in how.items() if value and name in signature(kind).parameters}
    is_coupled = kind is not torch.optim.AdamW
    has_this_decay = is_coupled == (ours.decay == "l2")
    settings["weight_decay"] = ours.weight_decay if has_this_decay else 0.0
    made: torch.optim.Optimizer = kind(leaves, lr=lr, **settings)

    @torch.no_grad()
    def before(*_: object) -> None:
        if ours.clip_norm is not None:
            norm = get_total_norm([p.grad for p in leaves if p.grad is not None])
            clip_grads_with_norm_(leaves, ours.clip_norm, norm - 1e-6)  # torch adds 1e-6, ours does not
        if not has_this_decay and ours.weight_decay:
            torch._foreach_mul_(leaves, 1 - lr * ours.weight_decay)

    made.register_step_pre_hook(before)
    return made


def sgd(ours: SGD, momentum: float) -> tuple[Any, Settings]:
    settings = {"dampening": ours.dampening, "nesterov": ours.nesterov}
    return torch.optim.SGD, {"momentum": momentum, **settings}


def rmsprop(ours: RMSprop, momentum: float) -> tuple[Any, Settings]:
    momentum = momentum if ours.momentum else 0.0
    return torch.optim.RMSprop, {"alpha": ours.beta2, "eps": ours.eps, "momentum": momentum}


def adam(ours: Adam, momentum: float) -> tuple[Any, Settings]:
    kind = torch.optim.Adam if ours.decay == "l2" else torch.optim.AdamW
    return kind, {"betas": (momentum, ours.beta2), "eps": ours.eps}


# type of ours: (ours, momentum) -> torch's class and its settings, but for lr and decay
RULES: dict[type[Optimizer], Callable[[Any, float], tuple[Any, Settings]]] = {
    SGD: sgd,
    RMSprop: rmsprop,
    Adam: adam,
    AdamW: adam,
}
