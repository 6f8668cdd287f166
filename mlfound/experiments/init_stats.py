"""What an initialisation does to a signal: one layer, deep stacks, convolutions, any model; beside theory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlfound import hardware
from mlfound.config.models import InitStatsConfig
from mlfound.errors import UserError
from mlfound.experiments.initialization import convolutions, layer, model, products, stacks
from mlfound.experiments.initialization.claims import OnProgress, with_one_claim_table
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.model_initialization import BY_MODEL, FITTED
from mlfound.results import Context, Result
from mlfound.training.inputs import Inputs, prepare

ADVICE = {  # for the schemes that only some parts are made for
    "fixup": "scales the branches of a residual stack; leave it out, or take that stack alone, --residual",
    "lsuv": "looks at each layer of a plain stack; leave it out here",
}


@dataclass(frozen=True)
class Part:
    """`run(config, inputs, schemes, on_progress)`, and what the command must know about it."""

    run: Callable[[InitStatsConfig, Inputs, Sequence[str], OnProgress], Result]
    defaults: Sequence[str] = ()  # the schemes, if the config names none
    also: Sequence[str] = ()  # of those in ADVICE, the ones it is made for
    refuse: Callable[[InitStatsConfig, Inputs, Sequence[str]], None] = lambda config, inputs, schemes: None
    by_default: bool = True  # runs when no part is selected

    def schemes(self, config: InitStatsConfig) -> list[str]:
        chosen = dict.fromkeys(config.init or self.defaults)
        return [init for init in chosen if init in INITIALIZATIONS or init in self.also]


def run(config: InitStatsConfig, context: Context) -> Result:
    """The parts that the config selects."""
    if config.model is not None and not config.init:
        config = config.model_copy(update={"init": tuple(dict.fromkeys(model.usual_schemes(config)))})
    parts = [PARTS[name] for name in part_names(config)]
    for init in config.init:
        if init not in parts[0].schemes(config):
            raise UserError(f"{init} {ADVICE[init]}", key="init")
    inputs = prepare(config.data, context)
    if not inputs.splits.valid.x.any():
        raise UserError("every pixel is 0: there is no signal to look at", key="data.dataset")
    for part in parts:
        part.refuse(config, inputs, part.schemes(config))
    facts = model.facts(config, inputs) if config.model is not None else stack_facts(config)
    config = config.model_copy(update={"threads": facts["threads"]})
    context.recorder.begin(config, seeds=[config.seed], dataset=inputs.facts, **facts)
    result = Result()
    for n, part in enumerate(parts):

        def on_progress(scheme: str, share: float, before: int = n) -> None:  # one bar for all parts
            done = round(100 * (before + share) / len(parts))
            context.recorder.progress("init-stats", done, 100, scheme=scheme)

        result += part.run(config, inputs, part.schemes(config), on_progress)
    return with_one_claim_table(result).ranked(*RANK)


def stack_facts(config: InitStatsConfig) -> dict[str, Any]:
    """The threads, by the largest product, that of a layer of a stack."""
    return {"threads": hardware.use_threads(config.threads, (config.rows or stacks.ROWS) * config.width**2)}


def part_names(config: InitStatsConfig) -> list[str]:
    """What `model`, `residual`, `depth`, `layer` and `relu_shift` select, the first of them that is set."""
    if config.model is not None:
        return ["model"]
    if config.residual:
        return ["residual"]
    if config.depth is not None:
        return ["stacks", "products"]
    if config.layer == "conv":
        return ["convolutions"]
    if config.relu_shift is not None:
        return ["shift"]
    if config.layer == "linear":
        return ["layer"]
    return [name for name, part in PARTS.items() if part.by_default]


RANK = (
    "kaiming_relu_*",
    "kaiming_signal_*",
    "torch-default_signal_*",
    "kaiming_four_*",
    "torch-default_four_*",
)
PARTS = {
    "layer": Part(layer.run, layer.SCHEMES, ["lsuv"], layer.refuse_too_large),
    "shift": Part(layer.run, ["kaiming"], ["lsuv"], layer.refuse_too_large, by_default=False),
    "stacks": Part(stacks.run, stacks.SCHEMES, ["lsuv"], stacks.refuse_too_large),
    "products": Part(products.run),
    "convolutions": Part(convolutions.run, convolutions.SCHEMES, refuse=convolutions.refuse_unfit),
    "model": Part(model.run, also=[*FITTED, *BY_MODEL], refuse=model.refuse, by_default=False),
    "residual": Part(stacks.run, stacks.RESIDUAL, ["fixup"], stacks.refuse_too_large, by_default=False),
}
