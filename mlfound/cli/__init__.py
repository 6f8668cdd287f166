"""The commands. No arithmetic, no files: a signature, a help text, one call."""

import io
import sys
from typing import Annotated

import typer

from mlfound import __version__
from mlfound.cli import notebook, runs
from mlfound.cli.execute import config_among, execute, resume, show_datasets
from mlfound.cli.options import (
    RUNS,
    Budget,
    CheckOnly,
    Compare,
    ConfigFile,
    DataDir,
    Dataset,
    Depth,
    Device,
    Difference,
    Draws,
    Dtype,
    From,
    Group,
    Hidden,
    Impl,
    Init,
    Json,
    LayerKind,
    List,
    Metric,
    Name,
    PrintConfig,
    Quiet,
    ReluShift,
    Replicates,
    Residual,
    Resume,
    Rows,
    Runs,
    RunsDir,
    Seed,
    Set,
    Shapes,
    Stages,
    Threads,
    Tolerance,
    Verify,
    Width,
    Workload,
)

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
    config: ConfigFile = None,
    init: Init = None,
    relu_shift: ReluShift = None,
    hidden: Hidden = None,
    draws: Draws = None,
    depth: Depth = None,
    width: Width = None,
    layer: LayerKind = None,
    residual: Residual = None,
    set_: Set = None,
    seed: Seed = None,
    threads: Threads = None,
    runs_dir: RunsDir = RUNS,
    data_dir: DataDir = None,
    name: Name = None,
    json_: Json = False,
    quiet: Quiet = False,
    print_config: PrintConfig = False,
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

    \b
    Example:
      mlfound matmul-bench --impl loops --impl matmul --shape 64x784x50
    """
    execute(context)


@app.command()
def backprop_bench(
    context: typer.Context,
    config: ConfigFile = None,
    workload: Workload = None,
    impl: Stages = None,
    rows: Rows = None,
    check_only: CheckOnly = None,
    budget: Budget = None,
    dataset: Dataset = None,
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
    """Check and time the gradients by hand, from functions to modules, beside the library's.

    Example: mlfound backprop-bench --impl modules --impl torch-nn
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

    \b
    Example:
      mlfound normalize-check --set data.dataset=fashion-mnist --tolerance 1e-4
    """
    execute(context)


@app.command()
def train(
    context: typer.Context,
    config: ConfigFile = None,
    replicates: Replicates = None,
    resume_: Resume = None,
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
    runs: Runs = None,
    group: Group = None,
    metric: Metric = None,
    difference: Difference = None,
    set_: Set = None,
    runs_dir: RunsDir = RUNS,
    data_dir: DataDir = None,
    name: Name = None,
    json_: Json = False,
    quiet: Quiet = False,
    print_config: PrintConfig = False,
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
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path that is no Unicode goes out as the bytes it is
        sys.stdout.reconfigure(errors="surrogateescape")
    app()
