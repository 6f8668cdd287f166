"""Climb the stages of the backward pass: hold every gradient against autograd, then time them side by side."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

from mlfound import hardware
from mlfound.config.models import BackpropBenchConfig
from mlfound.data.fetch import fetch
from mlfound.data.load import Splits, load
from mlfound.data.normalize import normalized
from mlfound.data.registry import find
from mlfound.errors import UserError
from mlfound.experiments.backprop import lesson, step
from mlfound.experiments.backprop.cases import draw, situations
from mlfound.foundations.checks import relative_error
from mlfound.foundations.modules import LOSSES
from mlfound.results import Check, Column, Context, Result, Table
from mlfound.training.gradients import BOUND, errors
from mlfound.training.inputs import dataset_facts

SHIFTS = (0.0, 0.5)
TENSORS = ("loss", "w1", "b1", "w2", "b2", "x")
DIFFERENCES_BOUND = 1e-6  # of central differences, which keep some nine digits

WORKLOADS = {"lesson": lesson, "step": step}
# torch-functional is what they are held against
CHECKED = {name: stage for name, stage in lesson.LADDER.items() if name != "torch-functional"}


class Gradient(NamedTuple):
    """One relative error: whose, in which case, of which tensor; a row of `tables/gradients.csv`."""

    impl: str
    relu_shift: float
    loss: str
    situation: str
    tensor: str
    relative_error: float


def run(config: BackpropBenchConfig, context: Context) -> Result:
    """Every chosen stage: are its gradients right? Then how long does it take, unless only the check was wanted."""
    workload: Any = WORKLOADS[config.workload]
    device = hardware.resolve_device(config.device)
    threads = hardware.use_threads(config.threads, workload.largest_product(config))
    names = chosen(config)
    config = config.model_copy(update={"device": str(device), "threads": threads})
    facts: dict[str, Any] = {"seeds": [config.seed], "device": str(device), "threads": threads}
    if not config.check_only:
        splits, facts["dataset"] = images(config, context)
        workload.refuse(config, names, splits)

    context.recorder.begin(config, **facts)
    gradients = all_gradients(names, config.seed)
    checked = gradient_report(gradients, config.seed)
    if config.check_only:
        return checked
    wrong = {each.impl for each in gradients if each.relative_error > BOUND}
    right = [name for name in names if name not in wrong]
    timed: Result = workload.climb(config, right, splits.to(device), context)
    said = [f"{name} was not timed: its gradients are wrong." for name in sorted(wrong)]
    return replace(
        timed,
        checks=[*checked.checks, *timed.checks],
        tables=[*checked.tables, *timed.tables],
        findings=[*said, *timed.findings],
    )


def chosen(config: BackpropBenchConfig) -> list[str]:
    """The implementations to run, in teaching order; one that was asked for by name must be in the workload."""
    ladder: Sequence[str] = list(WORKLOADS[config.workload].LADDER)
    if config.impl != type(config)().impl:
        for name in config.impl:
            if name not in ladder:
                message = f"{name} is not in the workload {config.workload}; write one of {', '.join(ladder)}"
                raise UserError(message, key="impl")
    names: list[str] = [name for name in ladder if name in config.impl]
    if config.check_only and not set(names) & set(CHECKED):
        message = f"{', '.join(names)} has no gradients to check; write one of {', '.join(CHECKED)}"
        raise UserError(message, key="impl")
    return names


def images(config: BackpropBenchConfig, context: Context) -> tuple[Splits, dict[str, Any]]:
    """The normalised images, and what `run.json` says of them; refuses more rows than there are."""
    dataset = find(config.dataset, key="dataset")
    fetch(dataset, context.data_dir, progress=context.recorder.progress)
    splits = load(dataset, context.data_dir)
    there = len(splits.train.y)
    if config.rows is not None and config.rows > there:
        message = f"{config.rows:,} is more than the {there:,} training rows; write {there} or less"
        raise UserError(message, key="rows")
    return normalized(splits, "global")[0], dataset_facts(dataset, splits)


def all_gradients(names: Sequence[str], seed: int) -> list[Gradient]:
    """Every stage in every situation, with both losses, with and without a shift."""
    return [
        Gradient(name, shift, loss, situation, tensor, error)
        for name in names
        if name in CHECKED
        for shift, loss in product(SHIFTS, LOSSES)
        for situation, case in situations(shift, loss, seed)
        for tensor, error in errors(CHECKED[name], case).items()
    ]


def gradient_report(gradients: Sequence[Gradient], seed: int) -> Result:
    """A check a stage and tensor, by the worst of its cases; a table of these, and one of every case."""
    worst: dict[str, dict[str, float]] = {}
    for each in gradients:
        stage = worst.setdefault(each.impl, dict.fromkeys(TENSORS, 0.0))
        stage[each.tensor] = max(stage[each.tensor], each.relative_error)
    checks = [
        Check(f"{name}: {tensor} as by autograd", error <= BOUND, error, BOUND)
        for name, stage in worst.items()
        for tensor, error in stage.items()
    ]
    columns = (Column("impl", "stage"), *(Column(tensor, format=".0e") for tensor in TENSORS))
    rows = [(name, *stage.values()) for name, stage in worst.items()]
    title = "Gradients by hand and by autograd, float64: the largest relative errors"
    cases = Table("gradients", title, [Column(name) for name in Gradient._fields], gradients, shown=False)
    return Result(
        {}, checks=[*checks, second_opinion(seed)], tables=[Table("errors", title, columns, rows), cases]
    )


def second_opinion(seed: int) -> Check:
    """Who checks autograd? Its gradients beside central differences of its losses."""
    cases = [draw((7, 11, 5, 3), shift, loss, seed) for shift, loss in product(SHIFTS, LOSSES)]
    worst = max(
        relative_error(case.reference()[name], case.difference(name))
        for case in cases
        for name in TENSORS[1:]
    )
    name = "autograd's gradients as by central differences"
    return Check(name, worst <= DIFFERENCES_BOUND, worst, DIFFERENCES_BOUND)
