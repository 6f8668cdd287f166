"""Which runs stand against which: those that are named, or all that differ in one key and nothing else."""

from collections.abc import Sequence

from mlfound.config.models import CompareConfig
from mlfound.errors import UserError
from mlfound.experiments.comparison.differences import content, data, described, distinguishing, numbered
from mlfound.experiments.comparison.grouping import families, obstacle
from mlfound.experiments.comparison.sides import Family, Side
from mlfound.results import Context, EarlierRun

MAX_RUNS = 500  # that a config can name


def chosen(config: CompareConfig, context: Context) -> tuple[list[Family], list[str]]:
    """What to compare, and a note on runs that are left out."""
    if config.group is None:
        named = named_runs(config, context)
        refuse_other_data(named)
        return [named_sides(named)], []
    runs, others = (named_runs(config, context), {}) if config.runs else context.all_runs("train")
    if runs and (command := runs[0].facts["command"]) != "train":
        raise UserError(f"groups are of runs of train, not of {command}", key="group")
    found = families(config.group, runs)
    if not found:
        message = f"no two of {len(runs)} runs of train differ in {config.group} and nothing else"
        raise UserError(f"{message}{obstacle(config.group, runs)}", key="group")
    taken = len({run.path for family in found for side in family for run in side.runs})
    if taken > MAX_RUNS:
        raise UserError(f"{taken} runs are too many; name at most {MAX_RUNS} of them", key="group")
    left = [f"{count} {status}" for status, count in sorted(others.items())]
    if alone := len(runs) - taken:
        left.append(f"{alone} without a counterpart that differs in {config.group} alone")
    return found, [f"Left out: {', '.join(left)}."] if left else []


def named_runs(config: CompareConfig, context: Context) -> list[EarlierRun]:
    """The runs that `runs` names, of one command."""
    if len(config.runs) < 2:
        advice = "write mlfound compare RUN RUN, or mlfound compare --group model.relu_shift"
        raise UserError(f"fewer than two runs; {advice}", key="runs")
    first, *others = runs = [context.read_run(name, "runs") for name in config.runs]
    for run in others:
        command, first_command = run.facts["command"], first.facts["command"]
        if command != first_command:
            names = f"{run.facts['id']} is a run of {command}, {first.facts['id']} one of {first_command}"
            raise UserError(f"{names}; compare runs of one command", key="runs")
    return runs


def refuse_other_data(runs: Sequence[EarlierRun]) -> None:
    """A UserError if not all saw the same images, split alike."""
    first, *others = runs
    for run in others:
        if content(run) != content(first):
            other = "the data split otherwise" if data(run) == data(first) else "other data"
            names = f"{run.facts['id']} saw {other} ({data(run)}) than {first.facts['id']} ({data(first)})"
            raise UserError(f"{names}; compare runs on the same data", key="runs")


def named_sides(runs: Sequence[EarlierRun]) -> list[Side]:
    """A side per run, called by the one or two settings in which they differ, else by the run's id."""
    different = distinguishing(runs)
    labels = described(different)
    if len(different) > 2 or len(set(labels)) < len(runs):
        labels = [str(run.facts["id"]) for run in runs]
    return [Side(label, [run]) for label, run in zip(numbered(labels), runs, strict=True)]
