"""The commands. No arithmetic, no files: a signature, a help text, one call."""

import sys
from typing import Annotated

import typer

from mlfound import __version__
from mlfound.cli import notebook, options, runs
from mlfound.cli.execute import config_among, execute, resume, show_datasets
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
def download(
    context: typer.Context,
    config: options.ConfigFile = None,
    dataset: options.Dataset = None,
    from_: options.From = None,
    verify: options.Verify = None,
    list_: options.List = False,
    set_: options.Set = None,
    runs_dir: options.RunsDir = options.RUNS,
    data_dir: options.DataDir = None,
    name: options.Name = None,
    json_: options.Json = False,
    quiet: options.Quiet = False,
    print_config: options.PrintConfig = False,
) -> None:
    """Bring a dataset into the cache, every byte verified.

    \b
    Example:
      mlfound download --dataset fashion-mnist
    """
    if list_:
        show_datasets(data_dir, json_)
    else:
        execute(context)


@app.command()
def init_stats(
    context: typer.Context,
    config: options.ConfigFile = None,
    init: options.Init = None,
    relu_shift: options.ReluShift = None,
    hidden: options.Hidden = None,
    draws: options.Draws = None,
    depth: options.Depth = None,
    width: options.Width = None,
    layer: options.LayerKind = None,
    residual: options.Residual = None,
    set_: options.Set = None,
    seed: options.Seed = None,
    threads: options.Threads = None,
    runs_dir: options.RunsDir = options.RUNS,
    data_dir: options.DataDir = None,
    name: options.Name = None,
    json_: options.Json = False,
    quiet: options.Quiet = False,
    print_config: options.PrintConfig = False,
) -> None:
    """Show what an initialisation does to a signal, measured beside theory.

    \b
    Example:
      mlfound init-stats --relu-shift 0.5
    """
    execute(context)


@app.command()
def matmul_bench(
    context: typer.Context,
    config: options.ConfigFile = None,
    impl: options.Impl = None,
    shape: options.Shapes = None,
    dtype: options.Dtype = None,
    budget: options.Budget = None,
    compare: options.Compare = None,
    set_: options.Set = None,
    seed: options.Seed = None,
    device: options.Device = None,
    threads: options.Threads = None,
    runs_dir: options.RunsDir = options.RUNS,
    data_dir: options.DataDir = None,
    name: options.Name = None,
    json_: options.Json = False,
    quiet: options.Quiet = False,
    print_config: options.PrintConfig = False,
) -> None:
    """Time the matrix product from three loops to BLAS, each rung checked first.

    \b
    Example:
      mlfound matmul-bench --impl loops --impl matmul --shape 64x784x50
    """
    execute(context)


@app.command()
def backprop_bench(
    context: typer.Context,
    config: options.ConfigFile = None,
    workload: options.Workload = None,
    impl: options.Stages = None,
    rows: options.Rows = None,
    check_only: options.CheckOnly = None,
    budget: options.Budget = None,
    dataset: options.Dataset = None,
    set_: options.Set = None,
    seed: options.Seed = None,
    device: options.Device = None,
    threads: options.Threads = None,
    runs_dir: options.RunsDir = options.RUNS,
    data_dir: options.DataDir = None,
    name: options.Name = None,
    json_: options.Json = False,
    quiet: options.Quiet = False,
    print_config: options.PrintConfig = False,
) -> None:
    """Check and time the gradients by hand, from functions to modules, beside the library's.

    Example: mlfound backprop-bench --impl modules --impl torch-nn
    """
    execute(context)


@app.command()
def normalize_check(
    context: typer.Context,
    config: options.ConfigFile = None,
    tolerance: options.Tolerance = None,
    set_: options.Set = None,
    runs_dir: options.RunsDir = options.RUNS,
    data_dir: options.DataDir = None,
    name: options.Name = None,
    json_: options.Json = False,
    quiet: options.Quiet = False,
    print_config: options.PrintConfig = False,
) -> None:
    """Check that the data goes in sound, with mean 0 and standard deviation 1.

    \b
    Example:
      mlfound normalize-check --set data.dataset=fashion-mnist --tolerance 1e-4
    """
    execute(context)


@app.command()
def train(
    context: typer.Context,
    config: options.ConfigFile = None,
    replicates: options.Replicates = None,
    resume_: options.Resume = None,
    set_: options.Set = None,
    seed: options.Seed = None,
    device: options.Device = None,
    threads: options.Threads = None,
    runs_dir: options.RunsDir = options.RUNS,
    data_dir: options.DataDir = None,
    name: options.Name = None,
    json_: options.Json = False,
    quiet: options.Quiet = False,
    print_config: options.PrintConfig = False,
) -> None:
    """Train a network whose gradients were derived by hand, or several that differ in their seed.

    \b
    Example:
      mlfound train configs/mlp.yaml --set epochs=3 --set optimizer.lr=0.05
      mlfound train configs/mlp.yaml --replicates 10
      mlfound train --resume runs/latest
    """
    if resume_ is None:
        execute(context)
    else:
        resume(context)


@app.command()
def compare(
    context: typer.Context,
    runs: options.Runs = None,
    group: options.Group = None,
    metric: options.Metric = None,
    difference: options.Difference = None,
    set_: options.Set = None,
    runs_dir: options.RunsDir = options.RUNS,
    data_dir: options.DataDir = None,
    name: options.Name = None,
    json_: options.Json = False,
    quiet: options.Quiet = False,
    print_config: options.PrintConfig = False,
) -> None:
    """Say whether a difference between runs is real.

    \b
    Example:
      mlfound compare runs/A runs/B
      mlfound compare --group model.relu_shift
    """
    context.params |= config_among(runs)
    execute(context)


app.command()(runs.report)


def main() -> None:
    """The console script."""
    open_streams()
    try:
        app()
    except OSError as error:  # of --help and --version; the commands have handled theirs
        sys.exit(f"stdout: {error.strerror}")
