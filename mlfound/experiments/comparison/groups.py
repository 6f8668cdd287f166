"""Which runs stand against which: those that were named, or all that differ in one key and nothing else."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlfound.config.documents import flat
from mlfound.config.explaining import unknown_key
from mlfound.config.keys import fields
from mlfound.config.models import CompareConfig
from mlfound.config.training import TrainConfig
from mlfound.errors import UserError
from mlfound.experiments.comparison.samples import (
    CHANCE,
    HOW,
    belongs,
    differing,
    labels,
    settings,
    spoken,
    word,
)
from mlfound.results import Context, EarlierRun

MOST_RUNS = 500  # that a config can name


@dataclass(frozen=True)
class Family:
    """Groups of runs to be held against the first of them; `name` says what all have, where there are more."""

    name: str
    labels: Sequence[str]
    groups: Sequence[Sequence[EarlierRun]]

    @property
    def runs(self) -> list[EarlierRun]:
        return [run for runs in self.groups for run in runs]


def chosen(config: CompareConfig, context: Context) -> tuple[list[Family], list[str]]:
    """What to compare, and what to say of runs that are left out."""
    if config.group is None:
        named = [[run] for run in named_runs(config, context)]
        return [Family("", labels(named), named)], []
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
    taken = sum(len(family.runs) for family in found)
    if taken > MOST_RUNS:
        raise UserError(f"{taken} runs are too many; name at most {MOST_RUNS} of them", key="group")
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


def families(key: str, runs: Sequence[EarlierRun]) -> list[Family]:
    """Runs that are alike but for `key`, together, where there are two values of it; the default's stand first."""
    known = {name: None for run in runs for name in settings(run)} or fields(TrainConfig)
    if key.partition(".")[0] in CHANCE:
        raise UserError(f"{key} is what a comparison averages over; name another key", key="group")
    if key not in known:
        raise UserError(unknown_key(key, known), key="group")
    alike: dict[str, dict[str, list[EarlierRun]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        alike[likeness(run, key)][word(settings(run).get(key))].append(run)
    default = dict(flat(TrainConfig().model_dump(mode="json"))).get(key)
    found = []
    for values in alike.values():
        if len(values) > 1:
            ordered = sorted(values, key=lambda value: place(settings(values[value][0]).get(key), default))
            names = [f"{key.rpartition('.')[2]} {value}" for value in ordered]
            found.append(Family("", names, [values[value] for value in ordered]))
    different = differing([settings(family.runs[0]) for family in found], besides=(*CHANCE, *HOW, key))
    names = spoken(different) or [""] * len(found)
    return [replace(family, name=name) for family, name in zip(found, names, strict=True)]


def likeness(run: EarlierRun, key: str) -> str:
    """Equal for runs of one family. The data counts by its content, not by its name or path."""
    aside = (*CHANCE, *HOW, "data.dataset", key)
    same = {name: value for name, value in settings(run).items() if not belongs(name, aside)}
    return word({**same, "": digest(run)})


def place(value: Any, default: Any) -> tuple[bool, bool, float, str]:
    """Where a value stands among others: the default first, numbers by size, words by the alphabet."""
    number = isinstance(value, int | float)
    return word(value) != word(default), not number, value if number else 0, word(value)


def digest(run: EarlierRun) -> str | None:
    """What the data was, by its content; None for a command that has none."""
    found = (run.facts.get("dataset") or {}).get("digest")
    return found if isinstance(found, str) else None


def data(run: EarlierRun) -> str:
    """The data for a message."""
    name = (run.facts.get("dataset") or {}).get("name", "none")
    return f"{name} {(digest(run) or '')[:8]}".strip()


def data_rows(run: EarlierRun) -> dict[str, int]:
    """How many images each split had."""
    rows = (run.facts.get("dataset") or {}).get("rows")
    return {name: n for name, n in rows.items() if isinstance(n, int)} if isinstance(rows, dict) else {}
