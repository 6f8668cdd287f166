"""The commands: flags -> config -> experiment -> run folder -> screen. No arithmetic, no files.

What is slow to import (torch, matplotlib, pydantic, yaml) is imported inside the function that needs it: `--help`
is to be instant.
"""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlfound import __version__
from mlfound.errors import UserError

if TYPE_CHECKING:
    from mlfound.config.loading import Override

app = typer.Typer(
    name="mlfound",
    help='The experiments of "deep learning from the foundations", by hand and measured.',
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def number_or_word(text: str) -> float | str:
    """For flags such as `--threads N|auto`: what is no number is left for the config to refuse."""
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return text


ConfigFile = Annotated[
    Path | None, typer.Argument(metavar="CONFIG", help="A YAML file; without it the defaults hold.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a config key; repeatable, wins over the file."),
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Where the random numbers start.")]
Device = Annotated[str | None, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.")]
Threads = Annotated[
    Any,
    typer.Option(metavar="N|auto", parser=number_or_word, help="CPU threads that torch may use."),
]
RunsDir = Annotated[
    Path, typer.Option(metavar="DIR", envvar="MLFOUND_RUNS_DIR", help="Where run folders go.")
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", envvar="MLFOUND_DATA_DIR", help="The data cache; else the user's cache folder."
    ),
]
Name = Annotated[str | None, typer.Option(metavar="TEXT", help="Added to the run folder's name.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, no tables; errors still.")]
PrintConfig = Annotated[bool, typer.Option("--print-config", help="Print the config as YAML and stop.")]

Dataset = Annotated[str | None, typer.Option(metavar="NAME", help="mnist, fashion-mnist or mnist-sample.")]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="PATH", help="Your own copy: IDX files, raw or .gz, or a mnist.pkl.gz."),
]
Verify = Annotated[bool | None, typer.Option("--verify", help="Fetch nothing, check what is there.")]
List = Annotated[bool, typer.Option("--list", help="Show all datasets, where they are and their licence.")]

Impl = Annotated[
    list[str] | None,
    typer.Option(metavar="RUNG", help="A rung, as einsum; repeatable; else the whole ladder."),
]
Shapes = Annotated[
    list[str] | None,
    typer.Option("--shape", metavar="MxKxN", help="Sizes, as 5x784x10 for (5,784) x (784,10); repeatable."),
]
Dtype = Annotated[str | None, typer.Option(metavar="NAME", help="float32, float64, float16 or bfloat16.")]
Budget = Annotated[float | None, typer.Option(metavar="SECONDS", help="How long to time each rung.")]
Compare = Annotated[
    str | None, typer.Option(metavar="RUN", help="The folder of an earlier run: faster or slower now?")
]

Tolerance = Annotated[
    Any,
    typer.Option(
        metavar="X",
        parser=number_or_word,
        help="How far the training mean may be from 0 and the std from 1.",
    ),
]

# parameters of the commands that are no config keys
NO_KEYS = {"config", "set_", "runs_dir", "data_dir", "name", "json_", "quiet", "print_config", "list_"}
RUNS = Path("runs")


@app.callback(invoke_without_command=True)
def mlfound(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)
    ] = False,
) -> None:
    """The experiments of "deep learning from the foundations", by hand and measured."""
    if version:
        typer.echo(f"mlfound {__version__}")
        raise typer.Exit


@app.command()
def download(
    context: typer.Context,
    config: ConfigFile = None,
    dataset: Dataset = None,
    from_: From = None,
    verify: Verify = None,
    list_: List = False,
    set_: Set = None,
    runs_dir: RunsDir = RUNS,
    data_dir: DataDir = None,
    name: Name = None,
    json_: Json = False,
    quiet: Quiet = False,
    print_config: PrintConfig = False,
) -> None:
    """Bring a dataset into the cache, every byte verified.

    Example: mlfound download --dataset fashion-mnist
    """
    if list_:
        show_datasets(data_dir, json_)
    else:
        execute(context)


@app.command()
def matmul_bench(
    context: typer.Context,
    config: ConfigFile = None,
    impl: Impl = None,
    shape: Shapes = None,
    dtype: Dtype = None,
    budget: Budget = None,
    compare: Compare = None,
    set_: Set = None,
    seed: Seed = None,
    device: Device = None,
    threads: Threads = None,
    runs_dir: RunsDir = RUNS,
    data_dir: DataDir = None,
    name: Name = None,
    json_: Json = False,
    quiet: Quiet = False,
    print_config: PrintConfig = False,
) -> None:
    """Time the matrix product from three loops to BLAS, each rung checked first.

    Example: mlfound matmul-bench --impl loops --impl matmul --shape 64x784x50
    """
    execute(context)


@app.command()
def normalize_check(
    context: typer.Context,
    config: ConfigFile = None,
    tolerance: Tolerance = None,
    set_: Set = None,
    runs_dir: RunsDir = RUNS,
    data_dir: DataDir = None,
    name: Name = None,
    json_: Json = False,
    quiet: Quiet = False,
    print_config: PrintConfig = False,
) -> None:
    """Check that the data goes in sound, with mean 0 and standard deviation 1.

    Example: mlfound normalize-check --set data.dataset=fashion-mnist --tolerance 1e-4
    """
    execute(context)


@app.command()
def train(
    context: typer.Context,
    config: ConfigFile = None,
    set_: Set = None,
    seed: Seed = None,
    device: Device = None,
    threads: Threads = None,
    runs_dir: RunsDir = RUNS,
    data_dir: DataDir = None,
    name: Name = None,
    json_: Json = False,
    quiet: Quiet = False,
    print_config: PrintConfig = False,
) -> None:
    """Train a network whose gradients were derived by hand.

    Example: mlfound train configs/mlp.yaml --set epochs=3 --set optimizer.lr=0.05
    """
    execute(context)


def execute(context: typer.Context) -> None:
    """What every command does: config, experiment, run folder, screen, exit code."""
    from mlfound.config.loading import dump, load, parse_set

    command, flags = str(context.info_name), context.params
    with one_line_errors():
        overrides = [*map(parse_set, flags["set_"] or ()), *flag_overrides(flags)]
        loaded = load(command, flags["config"], overrides)
        if flags["print_config"]:
            typer.echo(dump(loaded.config), nl=False)
            return

        from mlfound.data.cache import default_data_dir
        from mlfound.report.terminal import screen, show
        from mlfound.results import Context
        from mlfound.runs.environment import environment
        from mlfound.runs.reader import read_run
        from mlfound.runs.recorder import RunRecorder

        run = import_module(f"mlfound.experiments.{command.replace('-', '_')}").run
        machine, stderr, quiet = environment(), screen(stderr=True), flags["quiet"]
        with RunRecorder(
            command, sys.argv[1:], flags["runs_dir"], flags["name"], machine, stderr, quiet
        ) as recorder:
            given = Context(recorder, flags["data_dir"] or default_data_dir(), machine, read_run)
            try:
                result = run(loaded.config, given)
            except UserError as error:
                raise UserError(loaded.locate(error)) from error
            summary = recorder.finish(result)
        if flags["json_"]:
            typer.echo(json.dumps(summary, indent=2, ensure_ascii=False))
        else:
            if not quiet:
                show(result, screen())
            typer.echo(summary["path"])
    raise typer.Exit(0 if result.passed else 1)


def flag_overrides(flags: dict[str, Any]) -> "list[Override]":
    """The flags that stand for config keys of the same name, where they were given."""
    from mlfound.config.loading import Override

    given = {name.rstrip("_"): value for name, value in flags.items() if name not in NO_KEYS}
    return [
        Override(key, list(value) if isinstance(value, tuple) else value, as_typed(key, value))
        for key, value in given.items()
        if value not in (None, [], ())
    ]


def as_typed(key: str, value: object) -> str:
    """A flag as the user will have typed it, once for each of several values."""
    if isinstance(value, list | tuple):
        return " ".join(as_typed(key, item) for item in value)
    return f"--{key}" if value is True else f"--{key} {value}"


def show_datasets(data_dir: Path | None, as_json: bool) -> None:
    """`download --list`."""
    from mlfound.data.cache import default_data_dir
    from mlfound.experiments.download import listing
    from mlfound.report.terminal import screen, show

    with one_line_errors():
        result = listing(data_dir or default_data_dir())
        if as_json:
            [table] = result.tables
            names = [column.name for column in table.columns]
            typer.echo(json.dumps([dict(zip(names, row, strict=True)) for row in table.rows], indent=2))
        else:
            show(result, screen())


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What goes wrong for a reason outside the code ends as one line and an exit code, never as a traceback."""
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except UserError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        typer.echo(f"{error.filename or 'mlfound'}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None
    except Terminated:
        raise typer.Exit(128 + signal.SIGTERM) from None
    except KeyboardInterrupt:
        raise typer.Exit(128 + signal.SIGINT) from None


class Terminated(KeyboardInterrupt):
    """SIGTERM, taken as the Ctrl-C of another process: the run folder says `interrupted`."""


def terminate(number: int, frame: object) -> None:
    raise Terminated


def main() -> None:
    """The console script."""
    app()
