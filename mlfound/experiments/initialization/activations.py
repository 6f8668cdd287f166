"""The activations that a config asks for, as the parts use and name them."""

from mlfound.config.models import InitStatsConfig
from mlfound.foundations.activations import ACTIVATIONS, Activation, Floor, Identity, Leaky, ReLU, Subtract


def chosen_activations(config: InitStatsConfig, shift: float | None) -> list[Activation]:
    """Those that were asked for, and with a shift the shifted ReLU; the last one also stands in the stacks."""
    chosen = dict.fromkeys(config.activation)
    plain = [ACTIVATIONS[name](*([config.leak] if name == "leaky" else [])) for name in chosen]
    return plain if shift is None else [*plain, ACTIVATIONS[config.relu_variant](shift)]


def label(activation: Activation) -> str:
    """As a table names it."""
    match activation:
        case Subtract(s):
            return f"relu - {s:g}"
        case Floor(s):
            return f"max(x, {-s:g})"
        case Leaky(a):
            return f"leaky {a:g}"
        case ReLU():
            return "relu"
        case _:
            return "linear"


def leak(activation: Activation) -> float | None:
    """The a of an activation that scales with its input; None of one that is shifted."""
    match activation:
        case Identity():
            return 1.0
        case ReLU():
            return 0.0
        case Leaky(a):
            return a
        case _:
            return None
