"""Train networks whose gradients were derived by hand: forward, loss, backward, step; repeat."""

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from torch import Tensor

from mlfound.config.training import TrainConfig
from mlfound.engines.group import ALONE
from mlfound.engines.recipe import Named
from mlfound.engines.storage import parameter_count
from mlfound.experiments.trained.augmentation import augmentation
from mlfound.experiments.trained.expected import expected
from mlfound.experiments.trained.history import diverged, history, tested_epoch
from mlfound.experiments.trained.test_set import on_test_set
from mlfound.experiments.trained.verdicts import NO_VALIDATION, learned, overfitting
from mlfound.experiments.trained.while_training import while_training
from mlfound.foundations.layers import Loss, Sequential, bound
from mlfound.results import Context, Result
from mlfound.training.build import build, initial
from mlfound.training.epochs import Epoch, best_epoch
from mlfound.training.evaluation import evaluate
from mlfound.training.gradients import check_gradients
from mlfound.training.inputs import Inputs, prepare
from mlfound.training.loop import Trainer
from mlfound.training.plan import Plan, cautions, plan, require_memory
from mlfound.training.refusals import refuse_single_rows
from mlfound.training.resume import refuse_changes, refuse_differences, what_decides_bits

CHECKED_ROWS = 32  # enough for both sides of most ReLUs, few enough to take no time
LEARNED_ROWS = 1000  # where there is no validation set: enough to tell what was learned from chance
RANK = (
    "test_accuracy",
    "test_wrong",
    "replicates",
    "test_loss",
    "valid_accuracy",
    "train_loss",
    "epochs",
    "overfitting",
)


def run(config: TrainConfig, context: Context) -> Result:
    """Refuse what cannot work, check this very model's gradients, train it, measure the test accuracy once."""
    inputs = prepare(config.data, context, 2, keep_pixels=config.augment is not None)
    planned = plan(config, inputs.splits, context.ranks or ALONE)
    bits = what_decides_bits(planned.machine, context.environment)
    require_memory(planned, inputs.splits)
    refuse_single_rows(planned.recipe.model, tuple(inputs.splits.train.x.shape), config.batch_size)
    if context.resumed:
        refuse_changes(planned.config, inputs, bits, context)
    few = inputs.splits.train.first(CHECKED_ROWS)
    first = initial(planned, planned.seeds[0], inputs.splits.train.x)
    checked = check_gradients(planned.recipe, first, few.x, few.y)
    if context.ranks:
        decides = {} if config.checkpoint.allow_other_bits else bits
        refuse_differences(context.ranks.agree({"dataset": inputs.facts["digest"][:12], **decides}))

    context.recorder.begin(planned.config, dataset=inputs.facts, **planned.facts, bits=bits)
    rows = ", ".join(f"{count:,} {split}" for split, count in inputs.facts["rows"].items() if count)
    context.recorder.message(f"{inputs.facts['name']}: {rows} images")
    context.recorder.message(str(planned))
    for caution in cautions(planned):
        context.recorder.message(caution)
    if not checked.passed:
        return checked
    return (checked + train(planned, inputs.to(planned.machine.device), context)).ranked(*RANK)


def train(planned: Plan, inputs: Inputs, context: Context) -> Result:
    """From the first weights, or a checkpoint, to the test accuracy or where it diverged."""
    with (  # no interruption while processes are forked: Python loses one that falls there
        context.interruption() as interrupted,
        closing(build(planned, inputs.splits, inputs.pixels, context.ranks or ALONE)) as trainer,
    ):
        divergence = trainer.run(context, interrupted)
    if context.ranks and context.ranks.rank:
        return Result()  # what was trained is tested by the first rank
    beside = augmentation(planned, inputs) + while_training(trainer.inside, planned.first)
    if divergence:
        return diverged(planned, divergence, trainer.epochs) + beside
    networks, epochs = trainer.result, trainer.epochs
    models = [bound(planned.recipe.model, network) for network in networks]
    tested = on_test_set(planned, inputs, models, epochs)
    trained = history(planned, epochs, len(inputs.splits.train.y), tested.metrics["test_accuracy"])
    verdict = judged(planned, inputs, models, trainer)
    count = {"parameters": parameter_count(planned.recipe.model.parameters)}
    metrics = {**tested.metrics, **trained.metrics, **verdict.metrics, **count}
    tensors, model = model_tensors(planned, inputs, networks), description(planned, inputs, epochs)
    caveats = Result(findings=[NO_VALIDATION] * (trainer.halves is None))
    wanted = expected(planned.config.expect, metrics)
    found = wanted + trained + verdict + tested + caveats + beside
    return replace(found, metrics=metrics, tensors=tensors, model=model)


def judged(planned: Plan, inputs: Inputs, models: Sequence[Sequential], trainer: Trainer) -> Result:
    """Did it learn anything, did it overfit? By the validation images; without any, the first by training images."""
    if trainer.halves is None:
        return learned_training(planned, inputs, models)
    rows = tested_epoch(planned, trainer.epochs)
    right = {row.seed: row.valid_accuracy for row in rows if row.valid_accuracy is not None}
    verdict = learned(planned, inputs.splits.valid.y, right)
    if not verdict.passed:
        return verdict
    return verdict + overfitting(trainer.halves, trainer.epochs, hasattr(planned.config.model, "dropout"))


def learned_training(planned: Plan, inputs: Inputs, models: Sequence[Sequential]) -> Result:
    """Did it learn anything? By training images from all over their file, which may be sorted by class."""
    train, loss = inputs.splits.train, Loss(planned.recipe.loss)
    step = math.ceil(len(train.y) / LEARNED_ROWS)
    x, y = train.x[::step], train.y[::step]
    scores = [evaluate(model, loss, x, y, inputs.splits.classes) for model in models]
    right = {seed: score.accuracy for seed, score in zip(planned.seeds, scores, strict=True)}
    return learned(planned, y, right, "training")


def model_tensors(planned: Plan, inputs: Inputs, networks: Sequence[Named]) -> dict[str, Tensor]:
    """Parameters and layer state, of several networks with their seed before the name; mean and std of the pixels."""
    tensors = {
        (name if len(networks) == 1 else f"{seed}.{name}"): p
        for seed, network in zip(planned.seeds, networks, strict=True)
        for name, p in network.items()
    }
    return {**tensors, "input_mean": inputs.mean, "input_std": inputs.std}


def description(planned: Plan, inputs: Inputs, epochs: Sequence[Epoch]) -> dict[str, Any]:
    """What rebuilds the networks from these tensors: the kind of model, its settings, the names of mean and std.

    And the epoch that they are of, beside the last and, where validation images chose one, the best, whose networks
    are in the checkpoints.
    """
    best, last = best_epoch(epochs), epochs[-1].epoch
    return {
        "epoch": tested_epoch(planned, epochs)[0].epoch,
        "epochs": {"last": last} if best is None else {"best": best, "last": last},
        "model": planned.config.model.model_dump(mode="json"),
        "input_shape": list(inputs.splits.shape),
        "loss": planned.recipe.loss,
        "normalize": {"mean": "input_mean", "std": "input_std"},
        "seeds": list(planned.seeds),
    }
