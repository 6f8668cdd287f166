"""What an initialisation does to a signal: one layer, deep stacks, convolutions; drawn, measured, beside theory."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from torch import Generator, Tensor

from mlfound import hardware
from mlfound.config.models import InitStatsConfig
from mlfound.errors import UserError
from mlfound.experiments.initialization import convolution, layer
from mlfound.experiments.initialization.depth import FACTOR_ONLY, plain_stack, residual_stack
from mlfound.experiments.initialization.found import Found
from mlfound.experiments.initialization.lesson import funnels, products
from mlfound.experiments.initialization.report import report
from mlfound.foundations.activations import ACTIVATIONS, Activation
from mlfound.foundations.randomness import generator
from mlfound.results import Context, Result
from mlfound.training.inputs import prepare

STORY = ("layer", "stack", "conv")
STORY_SHIFT, STORY_DEPTH = 0.5, 50  # the lesson's; deep enough for torch's default to vanish
STACK_ROWS = 256  # real rows are alike: more of them hardly say more
SMALL_DRAWS = 30  # at most, of the lesson's small stacks, which take long for their size
SAMPLE_ROWS, SAMPLE_DRAWS = 1000, 10  # what the histograms are of

SCHEMES = {  # what each part is about
    "layer": ("normal", "small", "xavier", "kaiming", "kaiming-fan-out", "torch-default"),
    "shift": ("kaiming",),
    "stack": (
        "normal", "small", "xavier", "kaiming", "kaiming-fan-out", "torch-default", "orthogonal", "lsuv",
    ),
    "residual": ("xavier", "kaiming", "fixup"),
    "conv": ("torch-default", "kaiming"),
}  # fmt: skip
ELSEWHERE = {  # the parts that a scheme is not made for, and what to do
    "fixup": (("layer", "shift", "stack", "conv"), "scales the branches of a residual stack; add --residual"),
    "lsuv": (("residual", "conv"), "looks at each layer of a plain stack; leave it out here"),
}


def run(config: InitStatsConfig, context: Context) -> Result:
    """The part that was asked for, or the whole story."""
    parts = parts_of(config)
    for init in config.init:
        if init not in schemes(config, parts[0]):
            raise UserError(f"{init} {ELSEWHERE[init][1]}", key="init")
    inputs = prepare(config.data, context)
    x, shape = inputs.splits.valid.x, inputs.splits.shape
    if not x.any():
        raise UserError("every pixel is 0: there is no signal to look at", key="data.dataset")
    refuse_too_large(config, parts, *x.shape)
    if parts == ("conv",) and (reason := convolution.unfit(shape)):
        raise UserError(reason, key="layer")
    threads = hardware.use_threads(config.threads, (config.rows or STACK_ROWS) * config.width**2)
    config = config.model_copy(update={"threads": threads})
    context.recorder.begin(config, seeds=[config.seed], dataset=inputs.facts, threads=threads)

    found = Found(config, inputs.facts["name"], shape)
    for part in parts:
        found = LOOKS[part](found, x, schemes(config, part), context)
    return report(with_small_stacks(found, x) if "stack" in parts else found)


def parts_of(config: InitStatsConfig) -> tuple[str, ...]:
    """`residual`, `depth`, `layer` and `relu_shift` ask for one part alone, in this order; else all is told."""
    if config.residual:
        return ("residual",)
    if config.depth is not None:
        return ("stack",)
    if config.layer == "conv":
        return ("conv",)
    if config.relu_shift is not None:
        return ("shift",)
    return ("layer",) if config.layer == "linear" else STORY


def schemes(config: InitStatsConfig, part: str) -> Sequence[str]:
    """Those that were asked for and are made for this part; if none was asked for, those that it is about."""
    chosen = dict.fromkeys(config.init or SCHEMES[part])
    return [init for init in chosen if part not in ELSEWHERE.get(init, ((), ""))[0]]


def activations(config: InitStatsConfig, shift: float | None) -> list[Activation]:
    """Those that were asked for, and with a shift the shifted ReLU; the last one also stands in the stacks."""
    chosen = dict.fromkeys(config.activation)
    plain = [ACTIVATIONS[name](*([config.leak] if name == "leaky" else [])) for name in chosen]
    return plain if shift is None else [*plain, ACTIVATIONS[config.relu_variant](shift)]


def draws_of(found: Found, what: str) -> Generator:
    """Random numbers for one purpose: what else is looked at makes no difference."""
    return generator(found.config.seed, f"init-stats {what}")


def look_at_layers(found: Found, x: Tensor, names: Sequence[str], context: Context) -> Found:
    """Every scheme through one layer, all activations on the same products."""
    config = found.config
    shift = STORY_SHIFT if config.relu_shift is None else config.relu_shift
    x, chosen = x[: config.rows], activations(config, shift)
    layers = {
        name: layer.measure(
            x, name, chosen, config.hidden, config.draws,
            draws_of(found, f"layer {name}"), partial(context.recorder.progress, name),
        )
        for name in names
    }  # fmt: skip
    name = "kaiming" if "kaiming" in layers else names[0]
    rows, draws = x[:SAMPLE_ROWS], min(config.draws, SAMPLE_DRAWS)
    w = layer.draw(name, (x.shape[1], config.hidden), draws_of(found, f"layer {name}"), draws, rows)
    return replace(found, x=x, shift=shift, layers=layers, drawn=name, sample=(rows @ w).flatten())


def look_at_stacks(found: Found, x: Tensor, names: Sequence[str], context: Context) -> Found:
    """One draw of every scheme through a deep stack; under fixup also its factor without its zeros."""
    config, x = found.config, x[: found.config.rows or STACK_ROWS]
    activation = activations(config, config.relu_shift)[-1]
    if config.residual and "fixup" in names:
        names = [*names, FACTOR_ONLY]
    stacks = []
    for n, name in enumerate(names):
        context.recorder.progress("stacks", n, len(names), scheme=name)
        build, depth = residual_stack if config.residual else plain_stack, config.depth or STORY_DEPTH
        stacks.append(build(x, name, activation, depth, config.width, draws_of(found, f"stack {name}")))
    return replace(found, stacks=stacks)


def look_at_convolutions(found: Found, x: Tensor, names: Sequence[str], context: Context) -> Found:
    """Every scheme through one convolution and through four; of images that are no square, nothing."""
    config = found.config
    if convolution.unfit(found.shape):
        return found
    images = x[: config.rows or convolution.IMAGES].reshape(-1, 1, *found.shape)
    activation, draws = activations(config, config.relu_shift)[-1], min(config.draws, SMALL_DRAWS)
    convolutions = {}
    for n, name in enumerate(names):
        context.recorder.progress("convolutions", n, len(names), scheme=name)
        convolutions[name] = convolution.measure(
            images, name, activation, draws, draws_of(found, f"conv {name}")
        )
    return replace(found, convolutions=convolutions)


def with_small_stacks(found: Found, x: Tensor) -> Found:
    """The lesson's hundred products, and the stack whose fan in is not its fan out."""
    draws = min(found.config.draws, SMALL_DRAWS)
    return replace(
        found,
        products=products(draws_of(found, "products"), draws),
        funnels=funnels(x, found.config.hidden, draws_of(found, "funnel"), draws),
    )


def refuse_too_large(config: InitStatsConfig, parts: Sequence[str], rows: int, features: int) -> None:
    """What a part holds at once, estimated before it is: float32 numbers, and each draw's figures."""
    hidden, width, depth = config.hidden, config.width, config.depth or STORY_DEPTH
    some, few = min(rows, config.rows or rows), min(rows, config.rows or STACK_ROWS)
    if {"layer", "shift"} & {*parts}:
        hardware.require_memory(12 * (some + features) * hidden, "hidden", f"a layer of {hidden:,} units")
        hardware.require_memory(
            200 * len(schemes(config, parts[0])) * config.draws, "draws", f"{config.draws:,} draws"
        )
    numbers = features * width + 4 * few * width
    if "stack" in parts:
        numbers += depth * (3 * width**2 + 2 * few * width)
    if "residual" in parts:
        numbers += depth * (2 * width**2 + few * width // 2)
    if {"stack", "residual"} & {*parts}:
        key = "depth" if depth > width else "width"
        hardware.require_memory(4 * numbers, key, f"a stack of {depth:,} layers of {width:,} units")


LOOKS = {
    "layer": look_at_layers,
    "shift": look_at_layers,
    "stack": look_at_stacks,
    "residual": look_at_stacks,
    "conv": look_at_convolutions,
}
