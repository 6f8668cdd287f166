"""Under torchrun: the first rank is the command line, and the others do what it sends them, silently.

So a config is read once, a mistake is said once, and one process has the run folder. What is slow to import is
imported by each rank beside the others.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from mlfound.cli.failures import prepare_imports
from mlfound.cli.signals import Interrupted, deferred
from mlfound.errors import UserError, printable

if TYPE_CHECKING:
    from mlfound.engines.ranks import Ranks
    from mlfound.results import Checkpoint, Resumed

USER = 2  # the exit code of a mistake of the user's


def are_several() -> bool:
    """Whether torchrun started this process beside others; one alone is as without it."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"


def program() -> str:
    """How mlfound was started, for the command that goes on with a run."""
    size, here = (os.environ[name] for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    machines = "" if size == here else f"--nnodes {int(size) // int(here)} "
    return f"torchrun {machines}--nproc-per-node {here} -m mlfound"


def run(commands: Callable[[], None]) -> None:
    """The command line in the first rank; the others follow it."""
    if os.environ["RANK"] != "0":
        follow()
    if sys.argv[1:2] != ["train"]:
        command = printable(" ".join(["mlfound", *sys.argv[1:2]]))
        typer.echo(f"{command}: torchrun starts only mlfound train; leave it out here", err=True)
        sys.exit(USER)
    try:
        commands()
    except BaseException as ended:
        release(ended.code if isinstance(ended, SystemExit) else 1)
        raise


@cache
def this_rank() -> "Ranks":
    """This process among the others, from its first use on."""
    from mlfound.engines.ranks import of_torchrun

    return of_torchrun()


def release(code: Any) -> None:
    """What the others should know when the first rank ends: that it has said why, or that nothing is to be done."""
    has_led = this_rank.cache_info().currsize > 0
    if code and has_led:
        this_rank().fail("", USER)
    elif not code and not has_led:
        this_rank().dismiss()


def lead(
    config: Any, data_dir: Path, resumed: "Resumed | None"
) -> tuple[Any, Callable[[], AbstractContextManager[Callable[[], bool]]]]:
    """Send the others to work; the ranks, and an interruption of all of them together."""
    ranks, checkpoint = this_rank(), resumed.checkpoint if resumed else None
    orders = {
        "config": config.model_dump(mode="json", by_alias=True),
        "data_dir": str(data_dir),
        "resumed": resumed and {"rows": list(resumed.rows), "facts": resumed.facts},
        "checkpoint": checkpoint and checkpoint.facts,
    }
    ranks.lead(orders)
    if checkpoint:
        ranks.spread(checkpoint.tensors)
    return ranks, partial(together, ranks)


def follow() -> NoReturn:
    """The life of every rank but the first."""
    for number in (signal.SIGINT, signal.SIGTERM):  # before there is work they end it at once
        signal.signal(number, signal.SIG_DFL)
    prepare_imports()
    ranks, code = this_rank(), 0
    orders = ranks.follow()
    if orders:
        with redirect_stdout(sys.stderr):
            code = work(ranks, orders)
    sys.exit(code)


def work(ranks: "Ranks", orders: Mapping[str, Any]) -> int:
    """Do the first rank's training beside it; the exit code.

    From here on a signal is not for this rank but for all, whether or not they train already.
    """
    from mlfound.engines.ranks import RankError
    from mlfound.experiments import train

    try:
        with deferred() as is_told:
            train.run(*received(ranks, orders, is_told))
    except RankError as error:
        if error.speaks:
            advice = "mlfound runs has the run; --resume goes on from its last checkpoint"
            typer.echo(f"mlfound: {error}; {advice}", err=True)
        return 1
    except UserError as error:
        ranks.fail(str(error), USER)
        return USER
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        ranks.fail(repr(error), 1)
        if not isinstance(error, OSError | MemoryError):
            traceback.print_exc()
        return 1
    return 0


def received(ranks: "Ranks", orders: Mapping[str, Any], is_told: Callable[[], bool]) -> tuple[Any, Any]:
    """Config and context as the first rank has them, but for a recorder that keeps nothing."""
    from mlfound.config.models import CONFIGS
    from mlfound.results import Checkpoint, Context, Resumed
    from mlfound.runs.environment import environment

    resumed = None
    if orders["resumed"]:
        facts = orders["checkpoint"]
        checkpoint = None if facts is None else Checkpoint(ranks.spread({}), facts)
        resumed = Resumed(checkpoint, **orders["resumed"])
    context = Context(
        Silent(),
        Path(orders["data_dir"]),
        environment(),
        no_run,
        resumed=resumed,
        interruption=partial(together, ranks, is_told),
        ranks=ranks,
    )
    return CONFIGS["train"].model_validate(orders["config"]), context


@contextmanager
def together(ranks: "Ranks", is_told: Callable[[], bool] = lambda: False) -> Iterator[Callable[[], bool]]:
    """See `deferred`: all are interrupted as soon as one is, and none leaves before the first has all sums.

    `is_told` says whether this one was told to stop before. Where a rank ended torchrun ends the others, too: from
    then on a signal must not disturb what is written of it.
    """
    from mlfound.engines.ranks import RankError

    try:
        with deferred() as is_received:
            yield lambda: ranks.stopped(is_received() or is_told())
            ranks.close()
    except KeyboardInterrupt:
        ignore_signals()
        raise
    except RankError as error:
        ignore_signals()
        raise ranks.ended() from error
    if ranks.is_stopped:
        ignore_signals()
        raise Interrupted


def ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def no_run(name: str, key: str) -> NoReturn:
    raise UserError(f"{name}: only the first rank reads runs", key=key)


class Silent:
    """The `Recorder` of a rank that keeps and shows nothing."""

    def begin(self, config: Any, **facts: Any) -> None: ...

    def message(self, text: str) -> None: ...

    def metrics(self, rows: Sequence[Mapping[str, float | int]], line: str) -> None: ...

    def checkpoint(self, checkpoint: "Checkpoint", keep: int, best: bool = False) -> None: ...

    def progress(self, label: str, done: int, total: int, **figures: str) -> None: ...
