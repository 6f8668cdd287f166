"""The activations that a config names, as the parts use and label them."""

from mlfound.config.models import InitStatsConfig
from mlfound.foundations.activations import Activation, Floor, Identity, ReLU


def chosen_activations(config: InitStatsConfig, default_shift: float | None = None) -> list[Activation]:
    """Those of the config, and with a shift the shifted ReLU; deep stacks take the last one."""
    shift = default_shift if config.relu_shift is None else config.relu_shift
    known = {"linear": Identity(), "relu": ReLU(), "leaky": ReLU(leak=config.leak)}
    plain = [known[name] for name in dict.fromkeys(config.activation)]
    if shift is None:
        return plain
    return [*plain, ReLU(shift=shift) if config.relu_variant == "subtract" else Floor(shift)]


def label(activation: Activation) -> str:
    match activation:
        case ReLU(leak=0.0, shift=0.0):
            return "relu"
        case ReLU(leak=0.0, shift=s):
            return f"relu - {s:g}"
        case ReLU(leak=a):
            return f"leaky {a:g}"
        case Floor(s):
            return f"max(x, {-s:g})"
    return "linear"


def leak(activation: Activation) -> float | None:
    """The slope below 0; None of a shifted activation, which does not scale with its input."""
    match activation:
        case ReLU(leak=a, shift=0.0):
            return a
        case Identity():
            return 1.0
    return None
