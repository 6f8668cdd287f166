"""Climb the stages of the backward pass: hold every gradient against autograd, then time them side by side."""

from typing import Any

from mlfound import hardware
from mlfound.config.benches import BackpropBenchConfig
from mlfound.data.normalize import normalized
from mlfound.errors import UserError
from mlfound.experiments.backprop import correctness, lesson, step
from mlfound.experiments.backprop.correctness import CHECKED
from mlfound.experiments.benches import load_splits
from mlfound.results import Context, Result
from mlfound.training.gradients import BOUND

WORKLOADS = {"lesson": lesson, "step": step}


def run(config: BackpropBenchConfig, context: Context) -> Result:
    """Every chosen stage: are its gradients right? Then how long does it take, unless only the check was wanted."""
    workload: Any = WORKLOADS[config.workload]
    device = hardware.resolve_device(config.device)
    names, multiplications = chosen(config, workload.LADDER), 0.0
    facts: dict[str, Any] = {"seeds": [config.seed], "device": str(device)}
    if not config.check_only:
        splits, facts["dataset"] = load_splits(config, context)
        multiplications = workload.largest_product(config, splits)
    facts["threads"] = threads = hardware.use_threads(config.threads, multiplications)
    config = config.model_copy(update={"device": str(device), "threads": threads})
    if not config.check_only:
        there = len(splits.train.y)
        if config.rows is not None and config.rows > there:
            message = f"{config.rows:,} is more than the {there:,} training rows; write {there} or less"
            raise UserError(message, key="rows")
        splits, _, _ = normalized(splits, "global")
        workload.refuse(config, names, splits)

    context.recorder.begin(config, **facts)
    errors = correctness.measure_errors(names, config.seed)
    result = correctness.report(errors, config.seed, "alone" if config.check_only else "verbose")
    if config.check_only:
        return result
    wrong = {each.impl for each in errors if each.relative_error > BOUND}
    not_timed = [f"{name} was not timed: its gradients are wrong." for name in sorted(wrong)]
    right = [name for name in names if name not in wrong]
    timed: Result = workload.run(config, right, splits.to(device), context) if right else Result()
    return (result + Result(findings=not_timed) + timed).ranked("*_over_*", "modules_*")


def chosen(config: BackpropBenchConfig, ladder: dict[str, Any]) -> list[str]:
    """The implementations to run, in teaching order; one that was asked for by name must be in the workload."""
    strange = [name for name in config.impl if name not in ladder]
    if strange and config.impl != type(config)().impl:
        message = f"{strange[0]} is not in the workload {config.workload}; write one of {', '.join(ladder)}"
        raise UserError(message, key="impl")
    names: list[str] = [name for name in ladder if name in config.impl]
    if config.check_only and not set(names) & set(CHECKED):
        message = f"{', '.join(names)} has no gradients to check; write one of {', '.join(CHECKED)}"
        raise UserError(message, key="impl")
    return names
