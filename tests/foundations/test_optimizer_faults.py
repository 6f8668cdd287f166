"""Do the comparisons of optimisers bite? Each fault is put into one of our functions, and must be seen."""

from dataclasses import replace

import pytest
import torch

from mlfound.foundations import optimizers
from mlfound.foundations.optimizers import LAMB, OPTIMIZERS, SGD, Adam, Optimizer, RMSprop
from tests.support.optimization import BOUND, errors

update, shrink = Optimizer.update, Optimizer.shrink


def l2_before_clipping(self, p, g, state, c, parts):
    if self.decay == "l2":
        g.add_(p, alpha=self.weight_decay)
        self = replace(self, weight_decay=0.0)
    update(self, p, g, state, c, parts)


def decoupled_after_the_step(self, p, g, state, c, parts):
    if self.decay == "l2":
        return update(self, p, g, state, c, parts)
    update(replace(self, weight_decay=0.0), p, g, state, c, parts)
    p.mul_(c.decay)
    return None


def with_decay(decay):
    return lambda self, *step: update(replace(self, decay=decay), *step)


def decoupled_without_lr(self, p, c):
    shrink(self, p, c._replace(decay=1 - self.weight_decay))


def minus_lr(self, lr, momentum, step):
    return -lr


def changed(kind, **changes):
    """`coefficients` with another formula for some of them."""
    true = kind.coefficients

    def broken(self, lr, momentum, step):
        values = {name: change(self, lr, momentum, step) for name, change in changes.items()}
        return true(self, lr, momentum, step)._replace(**values)

    return kind, "coefficients", broken


def lr_in_the_velocity(self, p, g, state, c, parts):
    [v] = state
    self.before(p, v, c)
    v.mul_(c.momentum).add_(g, alpha=-c.step * c.gradient)
    p.sub_(v)


def decay_after_the_look_ahead(self, p, v, c):
    p.add_(v, alpha=c.ahead)
    self.shrink(p, c)


def root(s, eps):
    return s.sqrt() + eps


def rmsprop(root=root, weight=lambda beta2: 1 - beta2, divided_late=False):
    """RMSprop's rule with something else in the place of one of its parts."""

    def rule(self, p, g, state, c, parts):
        s, *velocity = state
        self.shrink(p, c)
        s.mul_(self.beta2).add_(weight(self.beta2) * g**2)
        step = g if divided_late else g / root(s, self.eps)
        for v in velocity:
            step = v.mul_(c.momentum).add_(step)
        p.add_(c.step * (step / root(s, self.eps) if divided_late else step))

    return RMSprop, "rule", rule


def means(root=root, square=lambda g, m: g**2, weight=lambda beta1, beta2: 1 - beta2):
    """Adam's means, likewise."""

    def broken(self, g, state, c):
        m, s = state
        m.lerp_(g, c.gradient)
        s.lerp_(square(g, m), weight(c.momentum, self.beta2))
        return m, root(s, c.eps)

    return Adam, "means", broken


def corrected(mean=True, square=True, at=0):
    """The coefficients of an Adam that corrects the bias of some means only, or counts from another step."""
    true = Adam.coefficients

    def broken(self, lr, momentum, step):
        root = (1 - self.beta2 ** (step + 1 + at)) ** 0.5 if square else 1.0
        correction = root / (1 - momentum ** (step + 1 + at) if mean else 1.0)
        c = true(self, lr, momentum, step)
        return c._replace(step=-lr * correction, eps=self.eps * root, correction=correction)

    return Adam, "coefficients", broken


def one_ratio_for_the_network(self, p, g, state, c, parts, rule=LAMB.rule):
    rule(self, p, g, state, c, [slice(None)])


def norm(x):
    return x.norm(dim=-1, keepdim=True)


def ratio(formula):
    """A trust ratio of another formula, a function of both norms."""
    return optimizers, "trust_ratio", lambda p, r: formula(norm(p), norm(r))


def guarded(p_norm, r_norm):
    return torch.where((p_norm > 0) & (r_norm > 0), p_norm / r_norm, 1.0)


def one_ratio_for_all_networks(p, r):
    return guarded(p.norm(), r.norm())[None, None]


def clip(factor):
    """Clipping by another factor, a function of gradient and limit."""
    return optimizers, "clip", lambda g, limit: g.mul_(factor(g, limit))


GROUPS = {
    "all": tuple(OPTIMIZERS),
    "all but lamb": ("sgd", "rmsprop", "adam", "adamw"),
    "sgd": ("sgd",),
    "rmsprop": ("rmsprop",),
    "adams": ("adam", "adamw", "lamb"),
    "adam": ("adam", "adamw"),
    "lamb": ("lamb",),
}
# where it must be seen: the owner of a function, its name, and what is put in its place
FAULTS = {
    "all: clip by the largest element": clip(
        lambda g, limit: limit / g.abs().amax(-1, True).clamp_min(limit)
    ),
    "all: clip by the squared norm": clip(lambda g, limit: limit / (norm(g) ** 2).clamp_min(limit)),
    "all: clip by one norm of all networks": clip(lambda g, limit: limit / g.norm().clamp_min(limit)),
    "all: short gradients made longer": clip(lambda g, limit: limit / norm(g)),
    "all: clip with torch's 1e-6": clip(lambda g, limit: (limit / (norm(g) + 1e-6)).clamp_max(1)),
    "all: clip element by element": clip(lambda g, limit: (limit / g.abs()).clamp_max(1)),
    "all: l2 before clipping": (Optimizer, "update", l2_before_clipping),
    "all: l2 for decoupled": (Optimizer, "update", with_decay("l2")),
    "all: decoupled for l2": (Optimizer, "update", with_decay("decoupled")),
    "all: decoupled after the step": (Optimizer, "update", decoupled_after_the_step),
    "all but lamb: decoupled without lr": (Optimizer, "shrink", decoupled_without_lr),
    "sgd: nesterov without momentum": changed(SGD, ahead=lambda *_: 0.0, step=minus_lr),
    "sgd: nesterov's look-ahead not taken back": changed(SGD, step=minus_lr),
    "sgd: no dampening": changed(SGD, gradient=lambda *_: 1.0),
    "sgd: the first gradient dampened": changed(
        SGD, gradient=lambda self, lr, momentum, step: 1 - self.dampening if momentum else 1.0
    ),
    "sgd: dampened without momentum": changed(
        SGD, gradient=lambda self, lr, momentum, step: 1 - self.dampening if step else 1.0
    ),
    "sgd: the velocity a mean": changed(SGD, gradient=lambda self, lr, momentum, step: 1 - momentum),
    "sgd: lr in the velocity": (SGD, "rule", lr_in_the_velocity),
    "sgd: decay after the look-ahead": (SGD, "before", decay_after_the_look_ahead),
    "rmsprop: eps inside the root": rmsprop(root=lambda s, eps: (s + eps).sqrt()),
    "rmsprop: no root": rmsprop(root=lambda s, eps: s + eps),
    "rmsprop: no eps": rmsprop(root=lambda s, eps: s.sqrt().clamp_min(1e-300)),
    "rmsprop: squares added up": rmsprop(weight=lambda beta2: 1.0),
    "rmsprop: divided after momentum": rmsprop(divided_late=True),
    "adams: eps inside the root": means(root=lambda s, eps: (s + eps).sqrt()),
    "adams: no root": means(root=lambda s, eps: s + eps),
    "adams: no eps": means(root=lambda s, eps: s.sqrt().clamp_min(1e-300)),
    "adams: the variance of the gradient": means(square=lambda g, m: (g - m) ** 2),
    "adams: the mean's square": means(square=lambda g, m: m**2),
    "adams: beta1 for both means": means(weight=lambda beta1, beta2: 1 - beta1),
    "adams: eps not corrected": changed(Adam, eps=lambda self, *_: self.eps),
    "adam: no bias correction": corrected(mean=False, square=False),
    "adam: only the mean's bias corrected": corrected(square=False),
    "adam: only the mean square's bias corrected": corrected(mean=False),
    "adam: steps counted from 2": corrected(at=1),
    "lamb: no bias correction": changed(LAMB, correction=lambda *_: 1.0),
    "lamb: one ratio for the network": (LAMB, "rule", one_ratio_for_the_network),
    "lamb: one ratio for all networks": (optimizers, "trust_ratio", one_ratio_for_all_networks),
    "lamb: the ratio upside down": ratio(lambda p, r: guarded(r, p)),
    "lamb: the ratio at most 1": ratio(lambda p, r: guarded(p, r).clamp_max(1)),
    "lamb: parameters of 0 stay 0": ratio(lambda p, r: torch.where(r > 0, p / r, 1.0)),
    "lamb: 0 / 0": ratio(lambda p, r: torch.where(p > 0, p / r, 1.0)),
    "lamb: no ratio": ratio(lambda p, r: torch.ones_like(p)),
}
NO_FAULTS = {
    "all: clip": clip(lambda g, limit: limit / norm(g).clamp_min(limit)),
    "rmsprop: rule": rmsprop(),
    "adams: means": means(),
    "adam: coefficients": corrected(),
    "lamb: ratio": ratio(guarded),
}


def each(faults):
    return [(fault, name) for fault in faults for name in GROUPS[fault.split(":")[0]]]


@pytest.mark.slow  # a test of the tests
@pytest.mark.parametrize(("fault", "name"), each(FAULTS))
def test_every_fault_is_caught(fault, name, monkeypatch):
    monkeypatch.setattr(*FAULTS[fault])
    assert max(errors(name)) > BOUND


@pytest.mark.parametrize(("form", "name"), each(NO_FAULTS))
def test_nothing_is_caught_where_a_replacement_has_no_fault(form, name, monkeypatch):
    monkeypatch.setattr(*NO_FAULTS[form])
    assert max(errors(name)) <= BOUND
