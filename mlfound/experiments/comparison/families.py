"""Which runs stand against which: those that are named, or all that differ in one key and nothing else."""

import math
from collections import defaultdict
from collections.abc import Sequence

from mlfound.config.documents import flat
from mlfound.config.explaining import unknown_in
from mlfound.config.keys import defaults, fields
from mlfound.config.models import CompareConfig
from mlfound.config.training import TrainConfig
from mlfound.errors import UserError
from mlfound.experiments.comparison import sides
from mlfound.experiments.comparison.sides import CHANCE, HOW, Family, Side, formatted, settings
from mlfound.results import Context, EarlierRun

MAX_RUNS = 500  # that a config can name


def chosen(config: CompareConfig, context: Context) -> tuple[list[Family], list[str]]:
    """What to compare, and a note on runs that are left out."""
    if config.group is None:
        return [named_sides(named_runs(config, context))], []
    runs, others = (named_runs(config, context), {}) if config.runs else context.all_runs("train")
    if runs and (command := runs[0].facts["command"]) != "train":
        raise UserError(f"groups are of runs of train, not of {command}", key="group")
    found = families(config.group, runs)
    if not found:
        message = f"no two of {len(runs)} runs of train differ in {config.group} and nothing else"
        raise UserError(message, key="group")
    taken = sum(len(side.runs) for family in found for side in family)
    if taken > MAX_RUNS:
        raise UserError(f"{taken} runs are too many; name at most {MAX_RUNS} of them", key="group")
    left = [f"{count} {status}" for status, count in sorted(others.items())]
    if alone := len(runs) - taken:
        left.append(f"{alone} without a counterpart that differs in {config.group} alone")
    return found, [f"Left out: {', '.join(left)}."] if left else []


def named_runs(config: CompareConfig, context: Context) -> list[EarlierRun]:
    """The runs that `runs` names, of one command and on the same data."""
    if len(config.runs) < 2:
        advice = "write mlfound compare RUN RUN, or mlfound compare --group model.relu_shift"
        raise UserError(f"fewer than two runs; {advice}", key="runs")
    first, *others = runs = [context.read_run(name, "runs") for name in config.runs]
    for run in others:
        name, first_name = run.facts["id"], first.facts["id"]
        command, first_command = run.facts["command"], first.facts["command"]
        if command != first_command:
            names = f"{name} is a run of {command}, {first_name} one of {first_command}"
            raise UserError(f"{names}; compare runs of one command", key="runs")
        if digest(run) != digest(first):
            names = f"{name} saw other data ({data(run)}) than {first_name} ({data(first)})"
            raise UserError(f"{names}; compare runs on the same data", key="runs")
    return runs


def named_sides(runs: Sequence[EarlierRun]) -> list[Side]:
    """A side per run, called by the one or two settings in which they differ, else by the run's id."""
    different = sides.differing([settings(run) for run in runs], besides=(*CHANCE, *HOW))
    labels = sides.described(different)
    if len(different) > 2 or len(set(labels)) < len(runs):
        labels = [str(run.facts["id"]) for run in runs]
    labels = [label if label not in labels[:n] else f"{label} ({n + 1})" for n, label in enumerate(labels)]
    return [Side(label, [run]) for label, run in zip(labels, runs, strict=True)]


def families(key: str, runs: Sequence[EarlierRun]) -> list[Family]:
    """Runs that are alike but for `key`, together, where it has two values or more; the default's come first."""
    known = {name: None for run in runs for name in settings(run)} or fields(TrainConfig)
    if key.partition(".")[0] in CHANCE:
        raise UserError(f"{key} is what a comparison averages over; name another key", key="group")
    if key not in known:
        raise UserError(unknown_in(TrainConfig, key, {}), key="group")
    alike = defaultdict(list)
    for run in runs:  # the data counts by its content, not by its name or path
        same = sides.without(settings(run), (*CHANCE, *HOW, "data.dataset", key))
        alike[formatted({**same, "": digest(run)})].append(run)
    groups = [group for same in alike.values() if len(group := by_value(key, same)) > 1]
    firsts = [settings(next(iter(group.values()))[0]) for group in groups]
    names = sides.described(sides.differing(firsts, besides=(*CHANCE, *HOW, key))) or [""] * len(groups)
    return [
        [Side(label, members, name) for label, members in group.items()]
        for name, group in zip(names, groups, strict=True)
    ]


def by_value(key: str, runs: Sequence[EarlierRun]) -> dict[str, list[EarlierRun]]:
    """The runs by their value of the key: the default first, then numbers by size, then words by the alphabet."""
    default = formatted(dict(flat(defaults(TrainConfig, runs[0].config))).get(key))

    def rank(run: EarlierRun) -> tuple[bool, float, str]:
        value = settings(run).get(key)
        number = float(value) if isinstance(value, int | float) else math.inf
        return formatted(value) != default, number, formatted(value)

    groups = defaultdict(list)
    for run in sorted(runs, key=rank):
        groups[f"{key.rpartition('.')[2]} {formatted(settings(run).get(key))}"].append(run)
    return groups


def digest(run: EarlierRun) -> str | None:
    """The content of the data; None for a command that has none."""
    found = (run.facts.get("dataset") or {}).get("digest")
    return found if isinstance(found, str) else None


def data(run: EarlierRun) -> str:
    name = (run.facts.get("dataset") or {}).get("name", "none")
    return f"{name} {(digest(run) or '')[:8]}".strip()
