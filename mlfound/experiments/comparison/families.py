"""Which runs stand against which: those that were named, or all that differ in one key and nothing else."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from mlfound.config.documents import flat
from mlfound.config.explaining import unknown_key
from mlfound.config.keys import fields
from mlfound.config.models import CompareConfig
from mlfound.config.training import TrainConfig
from mlfound.errors import UserError
from mlfound.experiments.comparison.sides import (
    CHANCE,
    HOW,
    Family,
    Side,
    belongs,
    described,
    differing,
    formatted,
    settings,
)
from mlfound.results import Context, EarlierRun

MAX_RUNS = 500  # that a config can name


def chosen(config: CompareConfig, context: Context) -> tuple[list[Family], list[str]]:
    """What to compare, and what to say of runs that are left out."""
    if config.group is None:
        return [named_sides(named_runs(config, context))], []
    runs: Sequence[EarlierRun]
    others: Mapping[str, int] = {}
    if config.runs:
        runs = named_runs(config, context)
        if runs[0].facts["command"] != "train":
            raise UserError(f"groups are of runs of train, not of {runs[0].facts['command']}", key="group")
    else:
        runs, others = context.all_runs("train")
    found = families(config.group, runs)
    if not found:
        raise UserError(
            f"no two of {len(runs)} runs of train differ in {config.group} and nothing else", key="group"
        )
    taken = sum(len(side.runs) for family in found for side in family)
    if taken > MAX_RUNS:
        raise UserError(f"{taken} runs are too many; name at most {MAX_RUNS} of them", key="group")
    alone = len(runs) - taken
    left = [f"{count} {status}" for status, count in sorted(others.items())]
    left += [f"{alone} without a counterpart that differs in {config.group} alone"] if alone else []
    return found, [f"Left out: {', '.join(left)}."] if left else []


def named_runs(config: CompareConfig, context: Context) -> list[EarlierRun]:
    """The runs that `runs` names, of one command and on the same data."""
    if len(config.runs) < 2:
        raise UserError(
            "fewer than two runs; write mlfound compare RUN RUN, or mlfound compare --group model.relu_shift",
            key="runs",
        )
    first, *others = runs = [context.read_run(name, "runs") for name in config.runs]
    for run in others:
        ours, theirs = first.facts["command"], run.facts["command"]
        if ours != theirs:
            names = f"{run.facts['id']} is a run of {theirs}, {first.facts['id']} one of {ours}"
            raise UserError(f"{names}; compare runs of one command", key="runs")
        if digest(run) != digest(first):
            names = f"{run.facts['id']} saw other data ({data(run)}) than {first.facts['id']} ({data(first)})"
            raise UserError(f"{names}; compare runs on the same data", key="runs")
    return runs


def named_sides(runs: Sequence[EarlierRun]) -> list[Side]:
    """A side per run, called by the one or two settings that tell them apart, else by the run's id."""
    different = differing([settings(run) for run in runs], besides=(*CHANCE, *HOW))
    labels = described(different)
    if len(different) > 2 or len(set(labels)) < len(runs):
        labels = [str(run.facts["id"]) for run in runs]
    labels = [label if label not in labels[:n] else f"{label} ({n + 1})" for n, label in enumerate(labels)]
    return [Side(label, [run]) for label, run in zip(labels, runs, strict=True)]


def families(key: str, runs: Sequence[EarlierRun]) -> list[Family]:
    """Runs that are alike but for `key`, together, where there are two values of it; the default's stand first."""
    known = {name: None for run in runs for name in settings(run)} or fields(TrainConfig)
    if key.partition(".")[0] in CHANCE:
        raise UserError(f"{key} is what a comparison averages over; name another key", key="group")
    if key not in known:
        raise UserError(unknown_key(key, known), key="group")
    alike: dict[str, list[EarlierRun]] = defaultdict(list)
    for run in runs:
        alike[likeness(run, key)].append(run)
    groups = [group for same in alike.values() if len(group := by_value(key, same)) > 1]
    firsts = [next(iter(group.values()))[0] for group in groups]
    different = differing([settings(run) for run in firsts], besides=(*CHANCE, *HOW, key))
    names = described(different) or [""] * len(groups)
    return [
        [Side(label, members, name) for label, members in group.items()]
        for name, group in zip(names, groups, strict=True)
    ]


def likeness(run: EarlierRun, key: str) -> str:
    """Equal for runs of one family. The data counts by its content, not by its name or path."""
    aside = (*CHANCE, *HOW, "data.dataset", key)
    same = {name: value for name, value in settings(run).items() if not belongs(name, aside)}
    return formatted({**same, "": digest(run)})


def by_value(key: str, runs: Sequence[EarlierRun]) -> dict[str, list[EarlierRun]]:
    """The runs by what they have for the key: the default first, numbers by size, words by the alphabet."""
    default = formatted(dict(flat(TrainConfig().model_dump(mode="json"))).get(key))

    def place(run: EarlierRun) -> tuple[bool, float, str]:
        value = settings(run).get(key)
        number = float(value) if isinstance(value, int | float) else math.inf
        return formatted(value) != default, number, formatted(value)

    groups = defaultdict(list)
    for run in sorted(runs, key=place):
        groups[f"{key.rpartition('.')[2]} {formatted(settings(run).get(key))}"].append(run)
    return groups


def digest(run: EarlierRun) -> str | None:
    """What the data was, by its content; None for a command that has none."""
    found = (run.facts.get("dataset") or {}).get("digest")
    return found if isinstance(found, str) else None


def data(run: EarlierRun) -> str:
    """The data for a message."""
    name = (run.facts.get("dataset") or {}).get("name", "none")
    return f"{name} {(digest(run) or '')[:8]}".strip()
