"""The commands in the course's order, and a mistake in a command line as one line that says what was meant."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from mlfound.errors import printable

UsageError: Any = typer.BadParameter.__bases__[0]  # which typer does not export
HelpFormatter: Any = typer.Context.formatter_class
HYPHEN = "\u2011"  # at which no line is broken


class WholeWords(HelpFormatter):  # type: ignore[misc]
    """Breaks the lines of a help between words only: `torch-default` is one. Arguments have no type of Python's."""

    def write_dl(self, rows: Any, *args: Any, **options: Any) -> None:
        rows = [(term.partition(" <")[0], says.replace("-", HYPHEN)) for term, says in rows]
        super().write_dl(rows, *args, **options)

    def getvalue(self) -> str:
        return str(super().getvalue()).replace(HYPHEN, "-")


class Context(typer.Context):
    """Of a command."""

    formatter_class = WholeWords


class Commands(TyperGroup):
    """A group of commands."""

    context_class = Context

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            command.context_class = Context
        return command

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with one_line_usage():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with one_line_usage():
            return super().invoke(ctx)


@contextmanager
def one_line_usage() -> Iterator[None]:
    """End with exit code 2 and one line; to give no arguments where some are needed still shows the help."""
    try:
        yield
    except UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            raise
        typer.echo(printable(line(error)), err=True)
        raise typer.Exit(2) from None


def line(error: Any) -> str:
    """What is wrong with which command, and what was meant."""
    command = error.ctx.command_path if error.ctx else "mlfound"
    if hasattr(error, "possibilities"):
        flag = error.option_name
        return f"{flag}: {command} has no such flag; {instead(flag, command, error.possibilities)}"
    message = error.format_message()
    return f"{command}: {message[0].lower()}{message[1:]}"


def instead(flag: str, command: str, near: list[str] | None) -> str:
    """The nearest flag, or the config key that is called so."""
    from mlfound.cli.completion import experiment, keys

    word = flag.lstrip("-").replace("-", "_")
    exact = [key for key in keys(experiment(command)) if word in (key, key.rpartition(".")[2])]
    if exact:
        return f"write {exact[0]}=VALUE"
    return f"did you mean {near[0]}?" if near else f"{command} -h lists them"
