"""Climb the stages of the backward pass: hold every gradient against autograd, then time them side by side."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import torch

from mlfound.config.models import BackpropBenchConfig
from mlfound.data.fetch import fetch
from mlfound.data.load import Splits, load
from mlfound.data.normalize import normalized
from mlfound.data.registry import find
from mlfound.errors import UserError
from mlfound.experiments import backprop_lesson, backprop_step, hardware
from mlfound.experiments.gradients import BOUND, errors, situations
from mlfound.experiments.inputs import dataset_facts
from mlfound.foundations.checks import relative_error
from mlfound.foundations.modules import LOSSES
from mlfound.foundations.stages import STAGES, Stage
from mlfound.reference.torch_nn import torch_nn
from mlfound.results import Check, Column, Context, Result, Table

SHIFTS = (0.0, 0.5)
TENSORS = ("loss", "w1", "b1", "w2", "b2", "x")
DIFFERENCES_BOUND = 1e-6  # of central differences, whose step of 1e-6 leaves them some nine digits

CHECKED: dict[str, Stage] = {**STAGES, "torch-nn": torch_nn}  # torch-functional is what these are held against
WORKLOADS = {"lesson": backprop_lesson.LADDER, "step": backprop_step.LADDER}


def run(config: BackpropBenchConfig, context: Context) -> Result:
    """The gradients of every chosen stage; those that are right are timed, unless only the check was asked for."""
    device = hardware.resolve_device(config.device)
    threads = hardware.use_threads(config.threads, backprop_lesson.LARGEST_PRODUCT)
    names = chosen(config)
    config = config.model_copy(update={"device": str(device), "threads": threads})
    resolved = {"seeds": [config.seed], "device": str(device), "threads": threads}
    if config.check_only:
        context.recorder.begin(config, **resolved)
        return check(names, config.seed)

    splits, facts = images(config, context)
    workload = backprop_lesson if config.workload == "lesson" else backprop_step
    workload.refuse(config, names, splits)
    context.recorder.begin(config, dataset=facts, **resolved)
    checked = check(names, config.seed)
    wrong = {each.name.split()[0] for each in checked.checks if not each.passed}
    right = [name for name in names if name not in wrong]
    timed = workload.climb(config, right, splits.to(device), context)
    said = [f"Not timed, for its gradients are wrong: {', '.join(sorted(wrong))}."] if wrong else []
    return replace(
        timed,
        checks=[*checked.checks, *timed.checks],
        tables=[*checked.tables, *timed.tables],
        findings=[*said, *timed.findings],
    )


def chosen(config: BackpropBenchConfig) -> list[str]:
    """The implementations to run, in teaching order; one that was named must be part of the workload."""
    ladder = WORKLOADS[config.workload]
    default = type(config).model_fields["impl"].default
    if set(config.impl) != set(default):
        for name in config.impl:
            if name not in ladder:
                known = f"write one of {', '.join(ladder)}"
                raise UserError(f"{name} is no part of the workload {config.workload}; {known}", key="impl")
    names = [name for name in ladder if name in config.impl]
    if config.check_only and not set(names) & set(CHECKED):
        message = f"{' and '.join(names)}: no gradients to check; write one of {', '.join(CHECKED)}"
        raise UserError(message, key="impl")
    return names


def images(config: BackpropBenchConfig, context: Context) -> tuple[Splits, dict[str, object]]:
    """The normalised images, and what `run.json` says of them; refuses more rows than there are."""
    dataset = find(config.dataset, key="dataset")
    fetch(dataset, context.data_dir, progress=context.recorder.progress)
    splits = load(dataset, context.data_dir)
    there = len(splits.train.y)
    if config.rows is not None and config.rows > there:
        message = f"{config.dataset} has {there:,} training rows; write {there} or less, or null for all"
        raise UserError(message, key="rows")
    return normalized(splits, "global")[0], dataset_facts(dataset, splits)


def check(names: Sequence[str], seed: int) -> Result:
    """Every stage in every situation, both losses and shifts: its worst error tensor by tensor is a check."""
    cases = [
        ((shift, loss, situation), case)
        for shift, loss in product(SHIFTS, LOSSES)
        for situation, case in situations(shift, loss, seed)
    ]
    rows = [
        (name, *which, tensor, error)
        for name in names
        if name in CHECKED
        for which, case in cases
        for tensor, error in errors(CHECKED[name], case).items()
    ]
    worst: dict[tuple[str, str], float] = {}
    for name, _, _, _, tensor, error in rows:
        worst[name, tensor] = max(error, worst.get((name, tensor), 0.0))
    by_stage = [
        (name, *(worst[name, tensor] for tensor in TENSORS)) for name in dict.fromkeys(row[0] for row in rows)
    ]
    title = f"Relative errors against autograd, float64: the worst of {len(cases)} cases"
    long = ("impl", "relu_shift", "loss", "situation", "tensor", "relative_error")
    return Result(
        metrics={"worst_gradient_error": max(worst.values(), default=0.0)},
        checks=[
            *(Check(f"{name} {tensor}: relative error", e <= BOUND, e, BOUND) for (name, tensor), e in worst.items()),
            second_opinion(seed),
        ],
        tables=[
            Table("errors", title, (Column("impl", "stage"), *(Column(t, t, ".0e") for t in TENSORS)), by_stage),
            Table("gradients", "Relative errors, case by case", [Column(c) for c in long], rows, shown=False),
        ],
    )


def second_opinion(seed: int) -> Check:
    """Autograd's own gradients beside central differences of its losses."""
    found = [
        relative_error(case.reference()[tensor], case.difference(tensor))
        for shift, loss in product(SHIFTS, LOSSES)
        for tensor in TENSORS[1:]
        for case in [dict(situations(shift, loss, seed))["odd sizes"]]
    ]
    name, worst = "autograd itself, by central differences", max(found)
    return Check(name, worst <= DIFFERENCES_BOUND, worst, DIFFERENCES_BOUND)
