"""Which runs `mlfound runs` lists, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlfound.errors import UserError, printable
from mlfound.runs.columns import sorted_by
from mlfound.runs.listing import advice, list_runs, those_with
from mlfound.runs.reader import Run


@dataclass(frozen=True)
class Query:
    """`where` are texts KEY=VALUE; all conditions hold at once."""

    command: str | None = None
    where: Sequence[str] = ()
    sort: str | None = None
    reverse: bool = False
    limit: int | None = None


def select(query: Query, runs_dir: Path) -> list[Run]:
    """The runs it asks for; UserError, with the nearest name, for a command, key or metric that there is not."""
    found = list_runs(runs_dir)
    if query.where:
        from mlfound.config.loading import parse_set  # here: a plain list need not wait for pydantic

        for each in [parse_set(text, "--where ") for text in query.where]:
            found = those_with({each.key: each.value}, found, runs_dir)
    if query.command is not None:
        found = [run for run in found if run.command == query.command]
        if not found:
            refuse_unknown_command(query.command)
    if query.sort is not None:
        found = sorted_by(query.sort, found)
    if query.reverse:
        found.reverse()
    return found[: query.limit]


def refuse_unknown_command(command: str) -> None:
    from mlfound.config.models import CONFIGS

    known = [*CONFIGS, "sweep"]
    if command not in known:
        raise UserError(f"--command {command}: no such command; {advice(command, known)}")


def nothing_found(query: Query, runs_dir: Path) -> str:
    """What to say of an empty list."""
    of = f" of {query.command}" if query.command else ""
    with_ = f" with {' and '.join(query.where)}" if query.where else ""
    return printable(f"No runs{of}{with_} in {runs_dir}{'' if query.where else ' yet'}.")
