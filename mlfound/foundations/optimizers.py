"""Stochastic gradient descent with momentum, Nesterov's look-ahead and decoupled weight decay."""

from collections.abc import Mapping

import torch
from torch import Tensor


class SGD:
    """Changes `parameters` in place; keeps one velocity a parameter.

    v = momentum v + g, then p = (1 - lr weight_decay) p - lr v (Sutskever et al. 2013, with the lr outside v).
    Nesterov steps along g + momentum v, the gradient after the momentum's next step. The decay shrinks p itself
    and stays out of v: decoupled (Loshchilov and Hutter 2019, algorithm 1).
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], nesterov: bool = False, weight_decay: float = 0.0
    ) -> None:
        self.parameters, self.nesterov, self.weight_decay = parameters, nesterov, weight_decay
        self.velocities = {name: torch.zeros_like(p) for name, p in parameters.items()}

    def step(self, gradients: Mapping[str, Tensor], lr: float, momentum: float) -> None:
        """One step against `gradients`, named like the parameters."""
        for name, p in self.parameters.items():
            g, v = gradients[name], self.velocities[name]
            v.mul_(momentum).add_(g)
            p.mul_(1 - lr * self.weight_decay)
            p.sub_(g.add(v, alpha=momentum) if self.nesterov else v, alpha=lr)
