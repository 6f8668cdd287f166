"""Failures for a reason outside the code: one line and an exit code, never a traceback."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from mlfound.cli.signals import Terminated, raised
from mlfound.errors import UserError, printable
from mlfound.files import shortfalls

# The messages of torch, numpy, threading and the dynamic loader, each in its own type of error
NO_MEMORY = re.compile(
    "(allocate|enough|out of) memory|failed to map segment|bad_alloc|can't start new thread", re.IGNORECASE
)
# bytes that torch, numpy and scipy need to be loaded: with less, one of them crashes or never returns
MIN_ADDRESS_SPACE = 900 * 2**20


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the command with one line for an error of the user, the disk or the memory, and silently for a signal."""
    try:
        with raised():
            yield
    except UserError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        typer.echo(printable(f"{error.filename or 'mlfound'}: {error.strerror or error}"), err=True)
        raise typer.Exit(1) from None
    except Terminated:
        raise typer.Exit(128 + signal.SIGTERM) from None
    except KeyboardInterrupt:
        raise typer.Exit(128 + signal.SIGINT) from None
    except Exception as error:
        reason = lack_of_memory(error)
        if reason is None:
            raise
        typer.echo(
            f"mlfound: not enough memory ({reason}); free some, or make the experiment smaller", err=True
        )
        raise typer.Exit(1) from None
    finally:
        for line in shortfalls():  # of a command without a run; a run has shown its own
            typer.echo(printable(line), err=True)


def lack_of_memory(error: BaseException | None) -> str | None:
    """The message about memory if this error, or a cause of it, is a lack of memory; else None."""
    while error is not None:
        lines = str(error).splitlines()
        if isinstance(error, MemoryError) or any(map(NO_MEMORY.search, lines)):
            return printable(next(filter(NO_MEMORY.search, lines), "".join(lines[:1])))[:200] or "MemoryError"
        error = error.__cause__ or error.__context__
    return None


def prepare_imports() -> None:
    """Prepare the import of an experiment's libraries; MemoryError if they cannot be loaded."""
    # our pictures open no window, and matplotlib refuses to be imported for a name that it does not know
    os.environ.pop("MPLBACKEND", None)
    if sys.platform != "win32":
        import resource

        space, _ = resource.getrlimit(resource.RLIMIT_AS)
        if space != resource.RLIM_INFINITY and space < MIN_ADDRESS_SPACE:
            raise MemoryError(
                f"ulimit -v leaves {space >> 20} MiB, and torch takes {MIN_ADDRESS_SPACE >> 20} to be loaded"
            )
