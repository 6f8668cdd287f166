"""The activations that a config names, as the parts use and label them."""

from mlfound.config.models import InitStatsConfig
from mlfound.foundations.activations import ACTIVATIONS, Activation, Floor, Identity, Leaky, ReLU, Subtract


def chosen_activations(config: InitStatsConfig, shift: float | None) -> list[Activation]:
    """Those of the config, and with a shift the shifted ReLU; deep stacks take the last one."""
    chosen = dict.fromkeys(config.activation)
    plain = [ACTIVATIONS[name](*([config.leak] if name == "leaky" else [])) for name in chosen]
    return plain if shift is None else [*plain, ACTIVATIONS[config.relu_variant](shift)]


def label(activation: Activation) -> str:
    match activation:
        case Subtract(s):
            return f"relu - {s:g}"
        case Floor(s):
            return f"max(x, {-s:g})"
        case Leaky(a):
            return f"leaky {a:g}"
    return "relu" if isinstance(activation, ReLU) else "linear"


def leak(activation: Activation) -> float | None:
    """The slope below 0; None of a shifted activation, which does not scale with its input."""
    constants: dict[type, float] = {Identity: 1.0, ReLU: 0.0}
    return activation.a if isinstance(activation, Leaky) else constants.get(type(activation))
