"""What a shell may complete: runs, the names on ladders, datasets, config keys. Nothing here waits for torch."""

import os
from collections.abc import Callable, Iterator

import typer


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """`latest`, and the ids in the runs folder, the newest first."""
    folder = context.params.get("runs_dir") or os.environ.get("MLFOUND_RUNS_DIR") or "runs"
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.is_dir() or entry.name == "latest"]
    except OSError:
        return []
    return sorted((name for name in names if name.startswith(incomplete)), reverse=True)


def values_of(key: str) -> Callable[[typer.Context, str], list[str]]:
    """The words that a config key of the command allows."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        return [word for word in words(experiment(context.command_path), key) if word.startswith(incomplete)]

    return complete


def operands(context: typer.Context, incomplete: str) -> list[str]:
    """Runs, config keys as KEY=, and the values of a key behind it."""
    command, (key, equals, value) = experiment(context.command_path), incomplete.partition("=")
    if equals:
        return [f"{key}={word}" for word in words(command, key) if word.startswith(value)]
    return [*runs(context, incomplete), *(f"{key}=" for key in keys(command) if key.startswith(incomplete))]


def experiment(path: str) -> str:
    """The experiment's name: `notebook-test` of `mlfound notebook test`; of a sweep what it usually is of."""
    name = "-".join(path.split()[1:])
    return "train" if name == "sweep" else name


def keys(command: str) -> Iterator[str]:
    """The dotted config keys of a command, without those of whole sections."""
    from mlfound.config.keys import fields, section_of
    from mlfound.config.models import CONFIGS

    known = fields(CONFIGS[command]) if command in CONFIGS else {}
    return (key for key, field in known.items() if not section_of(field))


def words(command: str, key: str) -> tuple[str, ...]:
    """The words that a config key allows; none if any number or text is."""
    from mlfound.config.explaining import choices
    from mlfound.config.keys import DATASETS, fields
    from mlfound.config.models import CONFIGS

    match key.rpartition(".")[2]:
        case "dataset":
            return DATASETS
        case "device":
            return ("auto", "cpu", "cuda", "mps")
        case "threads":
            return ("auto",)
        case "group":
            return tuple(keys("train"))
    known = fields(CONFIGS[command])
    return choices(known[key]) if key in known else ()
