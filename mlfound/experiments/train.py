"""Train multilayer perceptrons whose gradients were derived by hand: forward, loss, backward, step; repeat."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

from mlfound.config.training import TrainConfig
from mlfound.engines import ladder
from mlfound.engines.recipe import Network
from mlfound.experiments.training.outcome import diverged, outcome
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.modules import LOSSES, MLP
from mlfound.foundations.randomness import generator
from mlfound.results import Check, Context, Result, Table
from mlfound.training.gradients import check_gradients
from mlfound.training.inputs import Inputs, prepare
from mlfound.training.loop import Training
from mlfound.training.plan import Plan, plan
from mlfound.training.resume import refuse_changes, what_decides_bits
from mlfound.training.scoring import Score, evaluate

CHECKED_ROWS = 32  # enough for both sides of most ReLUs, few enough to take no time


def run(config: TrainConfig, context: Context) -> Result:
    """Refuse what cannot work, check this very model's gradients, train it, measure the test accuracy once."""
    inputs = prepare(config.data, context, min_classes=2)
    planned = plan(config, inputs.splits)
    bits = what_decides_bits(planned.device, context.environment)
    if context.resumed:
        refuse_changes(planned.config, inputs, bits, context)
    starts = [
        mlp_parameters(planned.sizes, INITIALIZATIONS[config.model.init], generator(seed, "initialization"))
        for seed in planned.config.seeds
    ]
    check, gradients = checked(config, starts[0], inputs)
    begin(planned, inputs, bits, context)
    if not check.passed:
        finding = "The gradients are not those of autograd: nothing was trained."
        return Result({}, "failed", [check], [finding], [gradients])
    result = train(planned, starts, inputs.to(planned.device), context)
    return replace(result, checks=[check], tables=[gradients, *result.tables])


def checked(config: TrainConfig, parameters: Network, inputs: Inputs) -> tuple[Check, Table]:
    """The gradients of this network on the first rows of its data."""
    model, few = config.model, inputs.splits.train.first(CHECKED_ROWS)
    return check_gradients(
        parameters, few.x, few.y, model.relu_shift, config.loss, model.dropout, model.input_dropout
    )


def begin(planned: Plan, inputs: Inputs, bits: Mapping[str, str], context: Context) -> None:
    """The run folder, and the first lines of what happens."""
    config = planned.config
    context.recorder.begin(
        config,
        dataset=inputs.facts,
        seeds=list(planned.config.seeds),
        device=config.device,
        threads=config.threads,
        processes=planned.processes,
        bits=bits,
    )
    rows = ", ".join(f"{count:,} {split}" for split, count in inputs.facts["rows"].items())
    context.recorder.message(f"{inputs.facts['name']}: {rows} images")
    context.recorder.message(str(planned))


def train(planned: Plan, starts: Sequence[Network], inputs: Inputs, context: Context) -> Result:
    """From the first weights, or a checkpoint, to what the training has shown."""
    config, splits = planned.config, inputs.splits
    draws = [generator(seed, "dropout", planned.device) for seed in planned.config.seeds]
    data, ask = (splits.train.x, splits.train.y), partial(answers, config, inputs)
    with (  # no interruption while processes are forked: Python loses one that falls there
        context.interruption() as interrupted,
        closing(
            ladder.engine(config.engine, planned.recipe, starts, draws, *data, planned.processes)
        ) as engine,
    ):
        training = Training(config, engine, splits, ask, context)
        if context.resumed:
            training.resume(context.resumed)
        divergence = training.run(interrupted)
    if divergence:
        return diverged(config, divergence, training.epochs)
    models = [MLP(network, config.model.relu_shift) for network in engine.networks]
    return outcome(config, inputs, models, LOSSES[config.loss](), training.epochs)


def answers(config: TrainConfig, inputs: Inputs, network: Network) -> Score:
    """Of a network, on the validation set."""
    model, valid = MLP(network, config.model.relu_shift), inputs.splits.valid
    return evaluate(model, LOSSES[config.loss](), valid.x, valid.y, inputs.splits.classes)
