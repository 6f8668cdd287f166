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

        parsed = [parse_set(text, "--where ") for text in query.where]
        for each in parsed:
            try:
                found = those_with({each.key: each.value}, found, runs_dir)
            except UserError as error:
                raise UserError(f"{each.origin}: {error}") from None
    if query.command is not None:
        refuse_unknown_command(query.command, found)
        found = [run for run in found if run.command == query.command]
    if query.sort is not None:
        found = sorted_by(query.sort, found)
    if query.reverse:
        found.reverse()
    return found[: query.limit]


def refuse_unknown_command(command: str, runs: Sequence[Run]) -> None:
    """A UserError for a command that none of the runs is of, and that does not exist."""
    if all(run.command != command for run in runs):
        from mlfound.config.models import CONFIGS

        if command not in CONFIGS:
            raise UserError(f"--command {command}: no such command; {advice(command, list(CONFIGS))}")


def nothing_found(query: Query, runs_dir: Path) -> str:
    """What to say of an empty list."""
    of = f" of {query.command}" if query.command else ""
    with_ = f" with {' and '.join(query.where)}" if query.where else ""
    return printable(f"No runs{of}{with_} in {runs_dir}{'' if query.where else ' yet'}.")
