"""What the list of runs says of each: what tells them apart first, as text."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import PurePath
from typing import Any

from mlfound.config.documents import flat
from mlfound.errors import UserError
from mlfound.report.figures import elapsed, figure, headlines, words
from mlfound.report.lines import ListColumn
from mlfound.runs.listing import NOTHING, advice, keys_of, value_of
from mlfound.runs.reader import Run, at

# settings that have a column of their own, and the paths that a comparison is of
SHOWN = {
    "data.dataset",
    "dataset",
    "model",
    "model.name",
    "model.hidden",
    "model.channels",
    "seed",
    "seeds",
    "replicates",
    "runs",
}
# settings that change no result, or only its last digits: their columns give way first
HOUSEKEEPING = (
    "checkpoint", "expect", "device", "threads", "engine", "product", "processes", "workers", "ranks",
)  # fmt: skip
ENDED = ("completed", "failed")  # statuses of runs whose figures are final


def columns_of(runs: Sequence[Run], sort: str | None = None) -> list[ListColumn]:
    """The columns of a list without `--columns`; `sort` is the key that it is sorted by, which is to be seen."""
    name = key_metric(runs)
    settings = differing(runs)
    found = [
        column("run", runs, rank=0),
        column("command", runs, rank=90, folds=True),
        column("status", runs, rank=91, folds=True),
        column("data", runs, rank=5, folds=True),
        column("model", runs, rank=4, folds=True),
        *(setting_column(key, settings, number) for number, key in enumerate(settings)),
        column("seeds", runs, rank=7, folds=True),
        figure_column(name, runs),
        interval_column(name, runs),
        column("took", runs, rank=99),
        column("tags", runs, rank=1),
        column("note", runs, rank=8),
    ]
    if sort is not None and sort not in (name, *settings, *OWN):
        found.insert(-2, column(sort, runs, rank=0))
    return [each for each in found if any(each.cells) or each.label == "run"]


def chosen_columns(names: str, runs: Sequence[Run]) -> list[ListColumn]:
    """Those of `--columns a,b,c`, the run in front; UserError for a name that none of the runs has."""
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    refuse_unknown("--columns", chosen, runs)
    return [column(name, runs, rank) for rank, name in enumerate(dict.fromkeys(["run", *chosen]))]


def sorted_by(key: str, runs: Sequence[Run]) -> list[Run]:
    """The largest number first, texts in the order of the alphabet; runs that lack it last."""
    refuse_unknown("--sort", [key], runs)

    def order(run: Run) -> tuple[int, float, str]:
        value = named_value(run, key)
        if isinstance(value, int | float) and value == value:  # nan is no place in an order
            return 0, -value, ""
        return (2, 0.0, "") if value in (NOTHING, None, "") else (1, 0.0, text(value))

    return sorted(runs, key=order)


def refuse_unknown(flag: str, names: Iterable[str], runs: Sequence[Run]) -> None:
    known = [*OWN, *keys_of(runs)]
    for name in names:
        if runs and name not in OWN and all(value_of(run, name) is NOTHING for run in runs):
            raise UserError(f"{flag} {name}: no run has this; {advice(name, known)}")


def column(name: str, runs: Sequence[Run], rank: int, folds: bool = False) -> ListColumn:
    """A column under the name by which the user knows it."""
    values = [named_value(run, name) for run in runs]
    write: Callable[[Any], str] = elapsed if name == "took" else text
    if any(value is run.metrics.get(name, ...) for value, run in zip(values, runs, strict=True)):
        write = partial(figure, name)
    cells = ["" if value is NOTHING else write(value) for value in values]
    return ListColumn(name, cells, rank, numbers(values), folds)


def named_value(run: Run, name: str) -> Any:
    """What a run has under a name of OWN or a key (see value_of); NOTHING where it has none."""
    if name not in OWN:
        return value_of(run, name)
    value = OWN[name](run)
    return NOTHING if value is None else value


def differing(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The values, run by run, of the settings in which these runs differ; first those in which most do.

    Of runs of several commands, a setting differs if those that have it differ.
    """
    configs = [dict(flat(run.config)) for run in runs]
    keys = dict.fromkeys(key for config in configs for key in config if key not in SHOWN)
    values = {key: [config.get(key, NOTHING) for config in configs] for key in keys}
    deviating = {}  # how many runs have another value than most
    for key, column in values.items():
        found = [value for value in column if value is not NOTHING]
        if any(value != found[0] for value in found):
            counts = Counter(map(text, found))
            deviating[key] = len(found) - max(counts.values())
    order = sorted(deviating, key=lambda key: (key.startswith(HOUSEKEEPING), -deviating[key]))
    return {key: values[key] for key in order}


def setting_column(key: str, settings: Mapping[str, list[Any]], number: int) -> ListColumn:
    """Under the last word of its key, where no other has the same."""
    last = key.rpartition(".")[2]
    alone = sum(each.rpartition(".")[2] == last for each in settings) == 1 and last not in OWN
    values = settings[key]
    rank = 10 + number if number or key.startswith(HOUSEKEEPING) else 3
    return ListColumn(last if alone else key, [text(value) for value in values], rank, numbers(values))


def key_metric(runs: Iterable[Run]) -> str | None:
    """The first figure of the runs that ended, if it is the same of all."""
    first = {next(iter(run.metrics), None) for run in runs if run.status in ENDED} - {None}
    return first.pop() if len(first) == 1 else None


def figure_column(name: str | None, runs: Sequence[Run]) -> ListColumn:
    """The key figure, with its label where the runs have different ones; the status where there is none."""
    cells = []
    for run in runs:
        found = run.metrics if run.status in ENDED else {}
        if name is not None:
            says = figure(name, found[name]) if name in found else ""
        else:
            says = next((f"{each.label} {each.text}" for each in headlines(found, 1)), "")
        cells.append(says if run.status == "completed" else ", ".join(filter(None, [run.status, says])))
    keys = [run.metrics.get(name) for run in runs] if name else ()
    return ListColumn(words(name) if name else "key figure", cells, keys=keys)


def interval_column(name: str | None, runs: Sequence[Run]) -> ListColumn:
    """The 95% interval of the key figure."""
    cells, keys = [], []
    for run in runs:
        of = name or next(iter(run.metrics), None)
        low, high = (run.metrics.get(f"{of}_{end}") for end in ("low", "high"))
        known = low is not None and high is not None
        cells.append(f"{figure(of, low)} to {figure(of, high)}" if of and known else "")
        keys.append(low)
    return ListColumn("95% interval", cells, 6, keys)


def numbers(values: Sequence[Any]) -> Sequence[float | None]:
    """What the texts of these are sorted by, where all are numbers."""
    found = [None if value is NOTHING else value for value in values]
    numeric = all(isinstance(value, int | float | None) and not isinstance(value, bool) for value in found)
    return found if numeric and any(value is not None for value in found) else ()


def data(run: Run) -> str:
    """The name of the data set; of a folder, its last part."""
    name = at(run.facts, "dataset.name") or at(run.config, "data.dataset") or run.config.get("dataset")
    return PurePath(str(name)).name if name else ""


def model(run: Run) -> str:
    """The kind of the model and its hidden layers, `mlp 100-50`, `cnn 8-16`; of a bench the network, or its file."""
    if isinstance(file := run.config.get("model"), str):
        return str(run.facts.get("network") or PurePath(file).name)
    kind = at(run.config, "model.name")
    widths = at(run.config, "model.channels") or at(run.config, "model.hidden")
    layers = "-".join(map(str, widths)) if isinstance(widths, list) else ""
    return f"{kind} {layers}".strip() if kind else ""


def seeds(run: Run) -> str:
    """`0`, `0-9`, or `0, 2, 5`."""
    found = run.facts.get("seeds") or [run.config.get("seed")]
    if not isinstance(found, list) or not all(isinstance(seed, int) for seed in found):
        return ""
    in_turn = len(found) > 1 and found == list(range(found[0], found[0] + len(found)))
    return f"{found[0]}-{found[-1]}" if in_turn else ", ".join(map(str, found))


# What `--columns` and `--sort` know besides keys and metrics
OWN: dict[str, Callable[[Run], Any]] = {
    "run": lambda run: run.id,
    "command": lambda run: run.command,
    "status": lambda run: run.status,
    "data": data,
    "model": model,
    "seeds": seeds,
    "took": lambda run: run.seconds,
    "tags": lambda run: " ".join(run.notes.tags),
    "note": lambda run: "; ".join(filter(None, [run.problem, run.notes.text])),
}


def text(value: Any) -> str:
    """A value as configs spell it; empty where there is none."""
    if value is NOTHING:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
