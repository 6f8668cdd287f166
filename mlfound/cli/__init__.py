"""The commands. No arithmetic, no files: a signature, a help text, one call."""

import sys
from typing import Annotated, Any

import typer

from mlfound import __version__
from mlfound.cli import notebook, ranks, runs
from mlfound.cli.execute import execute, resume, show_datasets, show_machine
from mlfound.cli.options import SHARED, takes
from mlfound.cli.streams import open_streams
from mlfound.cli.sweep import sweep
from mlfound.cli.usage import Commands

app = typer.Typer(
    name="mlfound",
    help='The experiments of "deep learning from the foundations", by hand and measured.',
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
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
@takes("arguments dataset from_ verify list_", SHARED)
def download(context: typer.Context, **flags: Any) -> None:
    """Bring a dataset into the cache, every byte verified.

    \b
    Example:
      mlfound download --dataset fashion-mnist
    """
    if flags["list_"]:
        show_datasets(flags)
    else:
        execute(context)


@app.command()
@takes("arguments tolerance", SHARED)
def normalize_check(context: typer.Context, **flags: Any) -> None:
    """Check that the data is sound, with mean 0 and std 1.

    \b
    Example:
      mlfound normalize-check data.dataset=fashion-mnist --tolerance 1e-4
    """
    execute(context)


@app.command()
@takes("arguments impl shape dtype budget compare seed device:cpu threads:one", SHARED)
def matmul_bench(context: typer.Context, **flags: Any) -> None:
    """Time the matrix product, from three loops to C and BLAS.

    \b
    Example:
      mlfound matmul-bench --impl loops --impl matmul --shape 64x784x50
    """
    execute(context)


@app.command()
@takes(
    "arguments model:init init relu_shift hidden draws depth width layer residual seed threads:one", SHARED
)
def init_stats(context: typer.Context, **flags: Any) -> None:
    """Show what an initialisation does to a signal.

    \b
    Example:
      mlfound init-stats --relu-shift 0.5
    """
    execute(context)


@app.command()
@takes(
    "arguments workload model impl:stages hidden:step batch_size replicates rows check_only",
    "budget:stages dataset seed device:cpu threads:one",
    SHARED,
)
def backprop_bench(context: typer.Context, **flags: Any) -> None:
    """Check and time the gradients derived by hand.

    \b
    Example:
      mlfound backprop-bench --impl modules --impl torch-nn
    """
    execute(context)


@app.command()
@takes("arguments batch_size model.hidden seed device threads", SHARED)
def lr_find(context: typer.Context, **flags: Any) -> None:
    """Find a learning rate: raise it until the loss explodes.

    \b
    Example:
      mlfound lr-find configs/mlp.yaml optimizer.name=adam
    """
    execute(context)


@app.command()
@takes(
    "arguments epochs optimizer.lr batch_size model.hidden replicates inside resume_ seed device threads",
    SHARED,
)
def train(context: typer.Context, **flags: Any) -> None:
    """Train a network whose gradients were derived by hand.

    \b
    Example:
      mlfound train configs/mlp.yaml --epochs 3 model.init=xavier
      mlfound train configs/mlp.yaml --replicates 10
      mlfound train model.name=cnn 'model.channels=[8, 16, 32, 32]'
      mlfound train --resume runs/latest
      torchrun --nproc-per-node 2 -m mlfound train configs/mlp-wide.yaml
    """
    if flags["resume_"] is None:
        execute(context)
    else:
        resume(context)


@app.command()
@takes(
    "arguments impl:convolutions shape:layer rows:images dtype budget:layers seed device:cpu threads:one",
    SHARED,
)
def conv_bench(context: typer.Context, **flags: Any) -> None:
    """Time convolution and its gradients, from seven loops on.

    \b
    Example:
      mlfound conv-bench --impl unfold --impl library --shape 3x32x32-16x3x3p1
    """
    execute(context)


@app.command()
@takes("arguments:compare group metric difference", SHARED)
def compare(context: typer.Context, **flags: Any) -> None:
    """Say whether a difference between runs is real.

    \b
    Example:
      mlfound compare runs/A runs/B
      mlfound compare --group model.relu_shift
    """
    execute(context, operands="runs")


app.command()(sweep)


@app.command()
@takes("arguments dataset seeds:remedies jobs:remedies resume_:remedies", SHARED)
def remedies(context: typer.Context, **flags: Any) -> None:
    """Show what each remedy against overfitting buys.

    \b
    Example:
      mlfound remedies rows=1000,5000 --seeds 0-2
      mlfound remedies --resume latest
    """
    if flags["resume_"] is None:
        execute(context)
    else:
        resume(context)


app.command()(runs.report)


@app.command()
@takes("data_dir json_")
def info(**flags: Any) -> None:
    """Show what this machine has, and of what is not here why.

    \b
    Example:
      mlfound info --json
    """
    show_machine(flags)


def main() -> None:
    """The console script."""
    open_streams()
    try:
        if ranks.are_several():
            ranks.run(app)
        app()
    except OSError as error:  # of --help and --version; the commands have handled theirs
        sys.exit(f"stdout: {error.strerror}")
