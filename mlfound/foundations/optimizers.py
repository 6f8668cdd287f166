"""Stochastic gradient descent: momentum, Nesterov's look-ahead, decoupled weight decay, a limit for weights."""

from collections.abc import Mapping

import torch
from torch import Tensor


class SGD:
    """Changes `parameters` in place; keeps one velocity per parameter.

    v = momentum v + g, then p = (1 - lr weight_decay) p - lr v (Sutskever et al. 2013, with the lr outside v).
    Nesterov steps along g + momentum v, the gradient after the momentum's next step. The decay shrinks p itself
    and stays out of v: decoupled (Loshchilov and Hutter 2019, algorithm 1). After the step `max_norm` limits the
    weights that come into a hidden unit.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        nesterov: bool = False,
        weight_decay: float = 0.0,
        max_norm: float | None = None,
    ) -> None:
        self.parameters, self.nesterov, self.weight_decay = parameters, nesterov, weight_decay
        self.max_norm = max_norm
        self.velocities = {name: torch.zeros_like(p) for name, p in parameters.items()}
        *self.hidden, _ = (p for name, p in parameters.items() if name.startswith("w"))

    def step(self, gradients: Mapping[str, Tensor], lr: float, momentum: float) -> None:
        """One step against `gradients`, named like the parameters."""
        for name, p in self.parameters.items():
            g, v = gradients[name], self.velocities[name]
            v.mul_(momentum).add_(g)
            p.mul_(1 - lr * self.weight_decay)
            p.sub_(g.add(v, alpha=momentum) if self.nesterov else v, alpha=lr)
        if self.max_norm is not None:
            for w in self.hidden:
                limit_norms(w, self.max_norm)


def limit_norms(w: Tensor, limit: float) -> None:
    """Shorten every column of `w` (in, out), the weights into one unit, that is longer than `limit`, to `limit`.

    Max-norm regularisation: Srivastava et al. 2014, section 5.1.
    """
    w.mul_(limit / w.square().sum(0).sqrt().clamp_min(limit))
