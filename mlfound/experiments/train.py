"""Train multilayer perceptrons whose gradients were derived by hand: forward, loss, backward, step; repeat."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from torch import Tensor

from mlfound.config.training import TrainConfig
from mlfound.experiments.trained.history import diverged, history
from mlfound.experiments.trained.test_set import on_test_set
from mlfound.foundations.modules import MLP
from mlfound.results import Context, Result
from mlfound.training.build import build, initial
from mlfound.training.gradients import check_gradients
from mlfound.training.inputs import Inputs, prepare
from mlfound.training.plan import Plan, plan, require_memory
from mlfound.training.resume import refuse_changes, what_decides_bits

CHECKED_ROWS = 32  # enough for both sides of most ReLUs, few enough to take no time
RANK = ("test_accuracy", "test_wrong", "replicates", "test_loss", "valid_accuracy", "train_loss", "epochs")


def run(config: TrainConfig, context: Context) -> Result:
    """Refuse what cannot work, check this very model's gradients, train it, measure the test accuracy once."""
    inputs = prepare(config.data, context, min_classes=2)
    planned = plan(config, inputs.splits)
    bits = what_decides_bits(planned.device, context.environment)
    require_memory(planned, inputs.splits)
    if context.resumed:
        refuse_changes(planned.config, inputs, bits, context)
    few = inputs.splits.train.first(CHECKED_ROWS)
    checked = check_gradients(initial(planned, planned.seeds[0], few.x), few.x, few.y, planned.recipe)

    context.recorder.begin(
        planned.config,
        dataset=inputs.facts,
        seeds=list(planned.seeds),
        device=str(planned.device),
        threads=planned.threads,
        processes=planned.processes,
        bits=bits,
    )
    rows = ", ".join(f"{count:,} {split}" for split, count in inputs.facts["rows"].items())
    context.recorder.message(f"{inputs.facts['name']}: {rows} images")
    context.recorder.message(str(planned))
    if not checked.passed:
        return checked
    return (checked + train(planned, inputs.to(planned.device), context)).ranked(*RANK)


def train(planned: Plan, inputs: Inputs, context: Context) -> Result:
    """From the first weights, or a checkpoint, to the test accuracy or where it diverged."""
    with (  # no interruption while processes are forked: Python loses one that falls there
        context.interruption() as interrupted,
        closing(build(planned, inputs.splits)) as trainer,
    ):
        divergence = trainer.run(context, interrupted)
    if divergence:
        return diverged(planned, divergence, trainer.epochs)
    models = [MLP(network, planned.recipe.relu_shift) for network in trainer.engine.networks]
    tested = on_test_set(planned, inputs, models, trainer.epochs)
    trained = history(planned, trainer.epochs, len(inputs.splits.train.y), tested.metrics["test_accuracy"])
    count = sum(p.numel() for p in models[0].parameters.values())
    metrics = {**tested.metrics, **trained.metrics, "parameters": count}
    tensors, model = model_tensors(planned, inputs, models), description(planned)
    return replace(trained + tested, metrics=metrics, tensors=tensors, model=model)


def model_tensors(planned: Plan, inputs: Inputs, models: Sequence[MLP]) -> dict[str, Tensor]:
    """The parameters, of several networks with their seed before the name, and the mean and std of the pixels."""
    networks = {
        (name if len(models) == 1 else f"{seed}.{name}"): p
        for seed, model in zip(planned.seeds, models, strict=True)
        for name, p in model.parameters.items()
    }
    return {**networks, "input_mean": inputs.mean, "input_std": inputs.std}


def description(planned: Plan) -> dict[str, Any]:
    """What rebuilds the networks from these tensors: the kind of model, its settings, the names of mean and std."""
    return {
        "model": {"name": "mlp", **planned.config.model.model_dump(mode="json")},
        "loss": planned.recipe.loss,
        "normalize": {"mean": "input_mean", "std": "input_std"},
        "seeds": list(planned.seeds),
    }
