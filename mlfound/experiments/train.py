"""Train networks whose gradients were derived by hand: forward, loss, backward, step; repeat."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from torch import Tensor

from mlfound.config.training import TrainConfig
from mlfound.engines.recipe import Named
from mlfound.engines.storage import parameter_count
from mlfound.experiments.trained.history import diverged, history, tested_epoch
from mlfound.experiments.trained.test_set import on_test_set
from mlfound.experiments.trained.verdicts import learned, overfitting
from mlfound.foundations.layers import bound
from mlfound.results import Context, Result
from mlfound.training.build import build, initial
from mlfound.training.epochs import Epoch, lowest
from mlfound.training.gradients import check_gradients
from mlfound.training.inputs import Inputs, prepare
from mlfound.training.plan import Plan, cautions, plan, require_memory
from mlfound.training.refusals import refuse_single_rows
from mlfound.training.resume import refuse_changes, what_decides_bits

CHECKED_ROWS = 32  # enough for both sides of most ReLUs, few enough to take no time
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
    inputs = prepare(config.data, context, min_classes=2)
    planned = plan(config, inputs.splits)
    bits = what_decides_bits(planned.machine, context.environment)
    require_memory(planned, inputs.splits)
    refuse_single_rows(planned.recipe.model, tuple(inputs.splits.train.x.shape), config.batch_size)
    if context.resumed:
        refuse_changes(planned.config, inputs, bits, context)
    few = inputs.splits.train.first(CHECKED_ROWS)
    first = initial(planned, planned.seeds[0], inputs.splits.train.x)
    checked = check_gradients(planned.recipe, first, few.x, few.y)

    context.recorder.begin(planned.config, dataset=inputs.facts, **planned.facts, bits=bits)
    rows = ", ".join(f"{count:,} {split}" for split, count in inputs.facts["rows"].items())
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
        closing(build(planned, inputs.splits)) as trainer,
    ):
        divergence = trainer.run(context, interrupted)
    if divergence:
        return diverged(planned, divergence, trainer.epochs)
    networks, epochs = trainer.result, trainer.epochs
    models = [bound(planned.recipe.model, network) for network in networks]
    tested = on_test_set(planned, inputs, models, epochs)
    trained = history(planned, epochs, len(inputs.splits.train.y), tested.metrics["test_accuracy"])
    verdict = learned(planned, inputs.splits.valid.y, tested_epoch(planned, epochs))
    if verdict.passed and trainer.halves is not None:
        verdict += overfitting(trainer.halves, epochs, hasattr(planned.config.model, "dropout"))
    count = {"parameters": parameter_count(planned.recipe.model.parameters)}
    metrics = {**tested.metrics, **trained.metrics, **verdict.metrics, **count}
    tensors, model = model_tensors(planned, inputs, networks), description(planned, inputs, epochs)
    return replace(trained + verdict + tested, metrics=metrics, tensors=tensors, model=model)


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

    And the epoch that they are of, beside the best and the last, whose networks are in the checkpoints.
    """
    return {
        "epoch": tested_epoch(planned, epochs)[0].epoch,
        "epochs": {"best": lowest(epochs)[0].epoch, "last": epochs[-1].epoch},
        "model": planned.config.model.model_dump(mode="json"),
        "input_shape": list(inputs.splits.shape),
        "loss": planned.recipe.loss,
        "normalize": {"mean": "input_mean", "std": "input_std"},
        "seeds": list(planned.seeds),
    }
