"""The commands. No arithmetic, no files: a signature, a help text, one call."""

import sys
from typing import Annotated, Any

import typer

from mlfound import __version__
from mlfound.cli import notebook, runs
from mlfound.cli.execute import execute, resume, show_datasets
from mlfound.cli.options import SHARED, takes
from mlfound.cli.streams import open_streams

app = typer.Typer(
    name="mlfound",
    help='The experiments of "deep learning from the foundations", by hand and measured.',
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.add_typer(runs.app)
app.add_typer(notebook.app)


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
@takes("arguments", "dataset", "from_", "verify", "list_", *SHARED)
def download(context: typer.Context, **flags: Any) -> None:
    """Bring a dataset into the cache, every byte verified.

    \b
    Example:
      mlfound download --dataset fashion-mnist
    """
    if flags["list_"]:
        show_datasets(flags["data_dir"], flags["json_"])
    else:
        execute(context)


@app.command()
@takes(
    "arguments",
    "init",
    "relu_shift",
    "hidden",
    "draws",
    "depth",
    "width",
    "layer",
    "residual",
    "seed",
    "threads",
    *SHARED,
)
def init_stats(context: typer.Context, **flags: Any) -> None:
    """Show what an initialisation does to a signal, measured beside theory.

    \b
    Example:
      mlfound init-stats --relu-shift 0.5
    """
    execute(context)


@app.command()
@takes("arguments", "impl", "shape", "dtype", "budget", "compare", "seed", "device", "threads", *SHARED)
def matmul_bench(context: typer.Context, **flags: Any) -> None:
    """Time the matrix product from three loops to BLAS, each rung checked first.

    \b
    Example:
      mlfound matmul-bench --impl loops --impl matmul --shape 64x784x50
    """
    execute(context)


@app.command()
@takes(
    "arguments",
    "workload",
    "model",
    "impl:stages",
    "rows",
    "check_only",
    "budget",
    "dataset",
    "seed",
    "device",
    "threads",
    *SHARED,
)
def backprop_bench(context: typer.Context, **flags: Any) -> None:
    """Check and time the gradients by hand, from functions to modules, beside the library's.

    \b
    Example:
      mlfound backprop-bench --impl modules --impl torch-nn
    """
    execute(context)


@app.command()
@takes("arguments", "tolerance", *SHARED)
def normalize_check(context: typer.Context, **flags: Any) -> None:
    """Check that the data goes in sound, with mean 0 and standard deviation 1.

    \b
    Example:
      mlfound normalize-check data.dataset=fashion-mnist --tolerance 1e-4
    """
    execute(context)


@app.command()
@takes("arguments", "replicates", "resume_", "seed", "device", "threads", *SHARED)
def train(context: typer.Context, **flags: Any) -> None:
    """Train a network whose gradients were derived by hand, or several that differ in their seed.

    \b
    Example:
      mlfound train configs/mlp.yaml epochs=3 optimizer.lr=0.05
      mlfound train configs/mlp.yaml --replicates 10
      mlfound train --resume runs/latest
    """
    if flags["resume_"] is None:
        execute(context)
    else:
        resume(context)


@app.command()
@takes("arguments", "seed", "device", "threads", *SHARED)
def lr_find(context: typer.Context, **flags: Any) -> None:
    """Raise the learning rate until the loss explodes, and suggest one to train with.

    \b
    Example:
      mlfound lr-find configs/mlp.yaml optimizer.name=adam
    """
    execute(context)


@app.command()
@takes("arguments:compare", "group", "metric", "difference", *SHARED)
def compare(context: typer.Context, **flags: Any) -> None:
    """Say whether a difference between runs is real.

    \b
    Example:
      mlfound compare runs/A runs/B
      mlfound compare --group model.relu_shift
    """
    execute(context, operands="runs")


app.command()(runs.report)


def main() -> None:
    """The console script."""
    open_streams()
    try:
        app()
    except OSError as error:  # of --help and --version; the commands have handled theirs
        sys.exit(f"stdout: {error.strerror}")
