"""Optimisers, in order of increasing complexity: what a step makes of the gradient.

All parameters are one flat tensor `p`, and `g` is its gradient: (n,), or (networks, n) for networks side
by side. What an optimiser remembers is its state: tensors of the same shape, 0 before the first step.

Weight decay pulls parameters towards 0, in one of two ways. "l2" adds weight_decay p to g, the gradient of the
penalty weight_decay |p|² / 2, which then goes through momentum and division as g does: Adam decays less where
gradients are large. "decoupled" multiplies p by 1 - lr weight_decay before the step, so that all shrink at the same
rate (Loshchilov and Hutter 2019). For SGD without momentum the two are the same.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.linalg import vector_norm

Number = float | Tensor  # for a CUDA graph a 0-d tensor on the device, of the dtype of p
State = Sequence[Tensor]
Parts = Sequence[slice]  # of the last axis: one for each parameter tensor


class Coefficients(NamedTuple):
    """What varies from step to step, computed on the host: no step depends on a value on the device."""

    decay: Number  # p <- decay p, if the decay is decoupled
    momentum: Number  # the weight of the old velocity
    gradient: Number  # the weight of the new gradient in velocity or mean
    step: Number  # p <- p + step direction
    ahead: Number = 0.0  # of Nesterov: p <- p + ahead velocity
    eps: Number = 0.0
    correction: Number = 1.0  # for the bias of the means


@dataclass(frozen=True)
class Optimizer(ABC):
    """`clip_norm` is the largest norm of a network's whole gradient; a longer one is shortened to it."""

    weight_decay: float = 0.0
    decay: Literal["decoupled", "l2"] = "decoupled"
    clip_norm: float | None = None

    @property
    @abstractmethod
    def state_names(self) -> tuple[str, ...]:
        """A name for each tensor of the state."""

    @abstractmethod
    def coefficients(self, lr: float, momentum: float, step: int) -> Coefficients:
        """Of the step number `step`, from 0. Of Adam, AdamW and LAMB `momentum` is beta1."""

    def update(self, p: Tensor, g: Tensor, state: State, c: Coefficients, parts: Parts) -> None:
        """One step in place, which overwrites `g`: clipping, decay, rule."""
        if self.clip_norm is not None:
            clip(g, self.clip_norm)
        if self.weight_decay and self.decay == "l2":
            g.add_(p, alpha=self.weight_decay)
        self.rule(p, g, state, c, parts)

    @abstractmethod
    def rule(self, p: Tensor, g: Tensor, state: State, c: Coefficients, parts: Parts) -> None:
        """`update` without clipping and l2 decay."""

    def shrink(self, p: Tensor, c: Coefficients) -> None:
        """The decoupled decay."""
        if self.weight_decay and self.decay == "decoupled":
            p.mul_(c.decay)


@dataclass(frozen=True)
class SGD(Optimizer):
    """v = momentum v + (1 - dampening) g, p = p - lr v (Sutskever et al. 2013, eq. 1 and 2, with the lr outside v).

    As in torch, dampening spares the first gradient, and all where momentum is 0. Nesterov steps along g + momentum
    v, the gradient after the momentum's next step; it needs dampening 0. With ahead = lr momentum this is the same as
    p + ahead v_old - (lr + ahead) v_new, where g is only in v: an engine may add it there between `before` and
    `after`.
    """

    dampening: float = 0.0
    nesterov: bool = False
    state_names = ("momentum",)

    def coefficients(self, lr: float, momentum: float, step: int) -> Coefficients:
        ahead = lr * momentum if self.nesterov else 0.0
        gradient = 1 - self.dampening if step and momentum else 1.0
        return Coefficients(1 - lr * self.weight_decay, momentum, gradient, -lr - ahead, ahead)

    def rule(self, p: Tensor, g: Tensor, state: State, c: Coefficients, parts: Parts) -> None:
        [v] = state
        self.before(p, v, c)
        add(v.mul_(c.momentum), g, c.gradient)
        self.after(p, v, c)

    @property
    def accumulates(self) -> bool:
        """Whether `before`, v = c.momentum v + g and `after` are `update`: g is used as it is."""
        l2 = self.weight_decay and self.decay == "l2"
        return self.clip_norm is None and not l2 and not self.dampening

    def before(self, p: Tensor, v: Tensor, c: Coefficients) -> None:
        """The part of the step that comes before the gradient is added to `v`."""
        self.shrink(p, c)
        if self.nesterov:
            add(p, v, c.ahead)

    def after(self, p: Tensor, v: Tensor, c: Coefficients) -> None:
        """The rest of the step."""
        add(p, v, c.step)


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """s = beta2 s + (1 - beta2) g², p = p - lr g / (√s + eps) (Tieleman and Hinton 2012, lecture 6.5).

    With momentum, as in torch: v = momentum v + g / (√s + eps), p = p - lr v.
    """

    beta2: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0  # whether there is any: how much, the step says

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("mean square", "momentum") if self.momentum else ("mean square",)

    def coefficients(self, lr: float, momentum: float, step: int) -> Coefficients:
        return Coefficients(1 - lr * self.weight_decay, momentum, 1.0, -lr, eps=self.eps)

    def rule(self, p: Tensor, g: Tensor, state: State, c: Coefficients, parts: Parts) -> None:
        s, *velocity = state
        self.shrink(p, c)
        s.mul_(self.beta2).addcmul_(g, g, value=1 - self.beta2)
        g.div_(s.sqrt().add_(c.eps))
        if self.momentum:
            [v] = velocity
            g = v.mul_(c.momentum).add_(g)
        add(p, g, c.step)


@dataclass(frozen=True)
class Adam(Optimizer):
    """m = beta1 m + (1 - beta1) g, s = beta2 s + (1 - beta2) g², p = p - lr m̂ / (√ŝ + eps).

    m̂ = m / (1 - beta1^t) and ŝ = s / (1 - beta2^t), at step t from 1, correct that both means start at 0 (Kingma and
    Ba 2015, algorithm 1). As in torch, beta1 is that of the step. The corrections go into lr and eps, as at the end
    of the paper's section 2: m̂ / (√ŝ + eps) = correction m / (√s + eps √(1 - beta2^t)).
    """

    decay: Literal["decoupled", "l2"] = "l2"
    beta2: float = 0.999
    eps: float = 1e-8
    state_names = ("mean", "mean square")

    def coefficients(self, lr: float, momentum: float, step: int) -> Coefficients:
        root = math.sqrt(1 - self.beta2 ** (step + 1))
        correction = root / (1 - momentum ** (step + 1))
        decay = 1 - lr * self.weight_decay
        return Coefficients(decay, momentum, 1 - momentum, -lr * correction, 0.0, self.eps * root, correction)

    def rule(self, p: Tensor, g: Tensor, state: State, c: Coefficients, parts: Parts) -> None:
        self.shrink(p, c)
        add_quotient(p, *self.means(g, state, c), c.step)

    def means(self, g: Tensor, state: State, c: Coefficients) -> tuple[Tensor, Tensor]:
        """m and √s + eps after `g`, in whose memory the second is."""
        m, s = state
        m.lerp_(g, c.gradient)
        s.lerp_(g.square_(), 1 - self.beta2)
        return m, torch.sqrt(s, out=g).add_(c.eps)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled decay by default (Loshchilov and Hutter 2019, algorithm 2); lr scales it, as in torch."""

    decay: Literal["decoupled", "l2"] = "decoupled"


@dataclass(frozen=True)
class LAMB(Adam):
    """r = m̂ / (√ŝ + eps) + weight_decay p, p = p - lr |p| / |r| r in each parameter tensor (You et al. 2020, alg. 2).

    The ratio is 1 where either norm is 0; the paper's φ is the identity. "decoupled" is this decay: it stays out of
    the means, though the ratio scales it. With "l2" weight_decay p is in g instead.
    """

    decay: Literal["decoupled", "l2"] = "decoupled"
    eps: float = 1e-6

    def coefficients(self, lr: float, momentum: float, step: int) -> Coefficients:
        return super().coefficients(lr, momentum, step)._replace(step=-lr)

    def rule(self, p: Tensor, g: Tensor, state: State, c: Coefficients, parts: Parts) -> None:
        r = torch.div(*self.means(g, state, c), out=g).mul_(c.correction)
        if self.weight_decay and self.decay == "decoupled":
            r.add_(p, alpha=self.weight_decay)
        for own_p, own_r in ((p[..., part], r[..., part]) for part in parts):
            own_p.addcmul_(own_r, trust_ratio(own_p, own_r).mul_(c.step))


def trust_ratio(p: Tensor, r: Tensor) -> Tensor:
    """|p| / |r| of one parameter tensor, for every network; 1 where either is 0. The last axis becomes 1."""
    p_norm, r_norm = norms(p), norms(r)
    return (p_norm / r_norm).masked_fill_((p_norm == 0) | (r_norm == 0), 1.0)


def clip(g: Tensor, limit: float) -> None:
    """Shorten the gradient of every network that is longer than `limit`, to `limit` (Pascanu et al. 2013, alg. 1)."""
    g.mul_(limit / norms(g).clamp_min_(limit))


def norms(x: Tensor) -> Tensor:
    """Of every network: (..., n) to (..., 1)."""
    each: Tensor = vector_norm(x, dim=-1, keepdim=True)
    return each


def add(into: Tensor, tensor: Tensor, factor: Number) -> None:
    """into <- into + factor tensor."""
    if isinstance(factor, Tensor):
        into.addcmul_(tensor, factor)
    else:
        into.add_(tensor, alpha=factor)


def add_quotient(into: Tensor, over: Tensor, under: Tensor, factor: Number) -> None:
    """into <- into + factor over / under; may overwrite `under`."""
    if isinstance(factor, Tensor):
        into.addcmul_(torch.div(over, under, out=under), factor)
    else:
        into.addcdiv_(over, under, value=factor)


def limit_norms(w: Tensor, limit: float) -> None:
    """Shorten every column of `w` (..., in, out), the weights into one unit, that is longer than `limit`, to `limit`.

    Max-norm regularisation: Srivastava et al. 2014, section 5.1.
    """
    w.mul_(limit / vector_norm(w, dim=-2, keepdim=True).clamp_min_(limit))


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "lamb": LAMB,
}
