"""Train a multilayer perceptron whose gradients were derived by hand: forward, loss, backward, step; repeat."""

import math
from dataclasses import replace
from itertools import pairwise
from time import perf_counter

from mlfound.config.models import TrainConfig
from mlfound.data.load import Splits
from mlfound.errors import UserError
from mlfound.experiments import hardware
from mlfound.experiments.epochs import Epoch
from mlfound.experiments.gradients import check_gradients
from mlfound.experiments.inputs import prepare
from mlfound.experiments.outcome import outcome
from mlfound.experiments.scoring import ROWS_AT_ONCE, evaluate
from mlfound.foundations.batches import batches
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.modules import LOSSES, MLP, Module
from mlfound.foundations.optimizers import SGD
from mlfound.foundations.randomness import generator
from mlfound.foundations.schedules import SCHEDULES
from mlfound.results import Context, Result

CHECKED_ROWS = 32  # enough for both sides of most ReLUs, few enough to take no time
STEPS_A_REPORT = 25  # between two looks of the progress bar


def run(config: TrainConfig, context: Context) -> Result:
    """Refuse what cannot work, check this very model's gradients, train it, measure the test accuracy once."""
    inputs = prepare(config.data, context)
    sizes = layer_sizes(config, inputs.splits)
    products = [config.batch_size * rows * columns for rows, columns in pairwise(sizes)]
    device = hardware.resolve_device(config.device)
    threads = hardware.use_threads(config.threads, max(products))
    config = config.model_copy(update={"device": str(device), "threads": threads})

    parameters = mlp_parameters(
        sizes, INITIALIZATIONS[config.model.init], generator(config.seed, "initialization")
    )
    train = inputs.splits.train
    check, gradients = check_gradients(
        parameters, train.x[:CHECKED_ROWS], train.y[:CHECKED_ROWS], config.model.relu_shift, config.loss
    )
    context.recorder.begin(
        config, dataset=inputs.facts, seeds=[config.seed], device=str(device), threads=threads
    )
    rows = ", ".join(f"{count:,} {split}" for split, count in inputs.facts["rows"].items())
    network = "-".join(map(str, sizes))
    context.recorder.message(f"{inputs.facts['name']}: {rows} images")
    context.recorder.message(f"{network}, {config.loss}, {device}, {threads} thread{'s' * (threads != 1)}")
    if not check.passed:
        finding = "The gradients are not those of autograd: nothing was trained."
        return Result({}, "failed", [check], [finding], [gradients])

    inputs = inputs.to(device)
    model = MLP(
        {name: p.to(device) for name, p in parameters.items()}, config.model.relu_shift, input_gradient=False
    )
    loss = LOSSES[config.loss]()
    epochs = fit(model, loss, inputs.splits, config, context)
    result = outcome(config, inputs, model, loss, epochs)
    return replace(result, checks=[check], tables=[gradients, *result.tables])


def fit(model: MLP, loss: Module, splits: Splits, config: TrainConfig, context: Context) -> list[Epoch]:
    """The training loop: changes the model's parameters in place, ends early when the loss is not finite."""
    x, y = splits.train.x, splits.train.y
    optimizer = SGD(model.parameters, config.optimizer.nesterov, config.optimizer.weight_decay)
    schedule, shuffling = SCHEDULES[config.schedule], generator(config.seed, "shuffling")
    steps = math.ceil(len(y) / config.batch_size) * config.epochs
    step, epochs = 0, list[Epoch]()
    while len(epochs) < config.epochs and all(epoch.finite for epoch in epochs):
        start, total = perf_counter(), x.new_zeros(())
        for x_batch, y_batch in batches(x, y, config.batch_size, shuffling):
            lr, momentum = schedule(step / steps, config.optimizer.lr, config.optimizer.momentum)
            value = loss(model(x_batch), y_batch)
            model.backward(loss.backward())
            optimizer.step(model.gradients, lr, momentum)

            total += value * len(y_batch)
            step += 1
            if step % STEPS_A_REPORT == 0:
                accuracy = f"{epochs[-1].valid_accuracy:.2%}" if epochs else "–"
                context.recorder.progress("training", step, steps, loss=f"{value:.4f}", accuracy=accuracy)
        train_loss, trained = total.item() / len(y), perf_counter()
        score = evaluate(model, loss, splits.valid.x, splits.valid.y, splits.classes)
        epochs.append(
            Epoch(
                epoch=len(epochs) + 1,
                train_loss=train_loss,
                valid_loss=score.loss,
                valid_accuracy=score.accuracy,
                lr=lr,
                momentum=momentum,
                train_seconds=trained - start,
                eval_seconds=perf_counter() - trained,
                images_per_s=len(y) / (trained - start),
            )
        )
        context.recorder.metrics(vars(epochs[-1]))
    return epochs


def layer_sizes(config: TrainConfig, splits: Splits) -> list[int]:
    """Inputs, hidden units, outputs; refuses a model that does not fit the data or the machine."""
    rows, features = splits.train.x.shape
    outputs = config.model.outputs
    if config.batch_size > rows:
        raise UserError(
            f"{config.batch_size} is more than the {rows:,} training rows; write {rows} or less",
            key="batch_size",
        )
    if 1 < outputs < splits.classes:
        raise UserError(
            f"{outputs} outputs are too few for {splits.classes} classes; write {splits.classes}",
            key="model.outputs",
        )
    sizes = [features, *config.model.hidden, outputs]
    numbers = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))
    # weights, gradients and velocities in float32, their check in float64, and one evaluation's activations
    needed = numbers * (3 * 4 + 4 * 8) + ROWS_AT_ONCE * sum(sizes) * 3 * 4
    hardware.require_memory(needed, "model.hidden", f"a network {'-'.join(map(str, sizes))}")
    return sizes
