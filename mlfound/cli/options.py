"""The flags, each described once: annotations for the signatures of the commands."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

RUNS = Path("runs")


def number_or_word(text: str) -> float | str:
    """For flags such as `--threads N|auto`: what is no number is left for the config to refuse."""
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return text


def path_of_user(text: str | Path) -> Path:
    """A path with its `~` replaced: no shell does that in `--runs-dir=~/x`, nor in a variable."""
    return Path(os.path.expanduser(text))


ConfigFile = Annotated[
    Path | None,
    typer.Argument(metavar="CONFIG", parser=path_of_user, help="A YAML file; without it the defaults hold."),
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
    Path,
    typer.Option(metavar="DIR", envvar="MLFOUND_RUNS_DIR", parser=path_of_user, help="Where run folders go."),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        envvar="MLFOUND_DATA_DIR",
        parser=path_of_user,
        help="The data cache; else the user's cache folder.",
    ),
]
Name = Annotated[str | None, typer.Option(metavar="TEXT", help="Added to the run folder's name.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, no tables; errors still.")]
PrintConfig = Annotated[bool, typer.Option("--print-config", help="Print the config as YAML and stop.")]

Dataset = Annotated[str | None, typer.Option(metavar="NAME", help="mnist, fashion-mnist or mnist-sample.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="PATH", help="Your own copy: a folder of IDX files, a mnist.npz or a mnist.pkl.gz."
    ),
]
Verify = Annotated[bool | None, typer.Option("--verify", help="Fetch nothing, check what is there.")]
List = Annotated[bool, typer.Option("--list", help="Show all datasets, where they are and their licence.")]

Impl = Annotated[
    list[str] | None,
    typer.Option(metavar="RUNG", help="A rung, as einsum; repeatable; else the whole ladder."),
]
Stages = Annotated[
    list[str] | None,
    typer.Option("--impl", metavar="STAGE", help="A stage or a peer, as modules; repeatable; else all."),
]
Workload = Annotated[
    str | None, typer.Option(metavar="NAME", help="lesson (all rows at once) or step (training).")
]
Rows = Annotated[int | None, typer.Option(metavar="N", help="How many training rows; else all.")]
CheckOnly = Annotated[
    bool | None, typer.Option("--check-only", help="Check the gradients, time nothing, need no data.")
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

Init = Annotated[
    list[str] | None,
    typer.Option(metavar="SCHEME", help="A scheme, as kaiming; repeatable; else those of the lesson."),
]
ReluShift = Annotated[
    Any, typer.Option(metavar="S", parser=number_or_word, help="Only max(x, 0) - S, draw by draw.")
]
Hidden = Annotated[Any, typer.Option(metavar="N", parser=number_or_word, help="Units of the one layer.")]
Draws = Annotated[Any, typer.Option(metavar="N", parser=number_or_word, help="How often weights are drawn.")]
Depth = Annotated[
    Any, typer.Option(metavar="N", parser=number_or_word, help="Only a stack of so many layers.")
]
Width = Annotated[Any, typer.Option(metavar="N", parser=number_or_word, help="Units of its layers.")]
Residual = Annotated[bool | None, typer.Option("--residual", help="Only a stack of residual blocks.")]
LayerKind = Annotated[str | None, typer.Option("--layer", metavar="KIND", help="Only linear, or only conv.")]

Tolerance = Annotated[
    Any,
    typer.Option(
        metavar="X",
        parser=number_or_word,
        help="How far the training mean may be from 0 and the std from 1.",
    ),
]

Replicates = Annotated[
    int | None, typer.Option(metavar="N", help="Train N networks together: seeds SEED to SEED + N - 1.")
]
Resume = Annotated[
    str | None,
    typer.Option("--resume", metavar="RUN", help="Go on with a run that was broken off, in its folder."),
]
Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN", help="Paths, ids, beginnings of ids, or latest; or one CONFIG, a YAML file."
    ),
]
Group = Annotated[
    str | None, typer.Option(metavar="KEY", help="Compare all train runs that differ in this key alone.")
]
Metric = Annotated[
    str | None, typer.Option(metavar="NAME", help="The figure to decide by, else test_accuracy.")
]
Difference = Annotated[
    Any,
    typer.Option(
        metavar="X",
        parser=number_or_word,
        help="How many seeds would it take to see so much? In points: 0.1.",
    ),
]
