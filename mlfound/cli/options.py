"""The flags and arguments, each described once; a command names those that it takes."""

import inspect
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from mlfound import ladders
from mlfound.cli import completion
from mlfound.cli.failures import one_line_errors

RUNS = Path("runs")
SETTING = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*=")  # how KEY=VALUE begins

Command = TypeVar("Command", bound=Callable[..., None])


@dataclass(frozen=True)
class Flag:
    """A parameter of a command: its type, what typer needs to know of it, its default."""

    kind: Any
    info: Any  # a typer.Option or typer.Argument
    default: Any = None
    is_key: bool = True  # it sets the config key of its name


def parameter(name: str) -> str:
    """The Python name of a flag's parameter: `optimizer_lr` of `optimizer.lr`, `impl` of `impl:stages`."""
    return name.partition(":")[0].replace(".", "_")


def number_or_word(text: str) -> float | str:
    """For flags such as `--threads N|auto`: text that is not a number is left for the config to refuse."""
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return text


def path_of_user(text: str | Path) -> Path:
    """A path with its `~` replaced: no shell does that in `--runs-dir=~/x`, nor in a variable."""
    return Path(os.path.expanduser(text))


def text(metavar: str, says: str, *names: str, kind: Any = str) -> Flag:
    """A config key with a value of this kind."""
    return Flag(kind | None, typer.Option(*names, metavar=metavar, help=says))


def texts(metavar: str, says: str, *names: str, kind: Any = list[str]) -> Flag:
    """A config key that is a list: one flag for each item."""
    return text(metavar, f"{says} Repeatable.", *names, kind=kind)


def number(metavar: str, says: str, *names: str) -> Flag:
    """A config key whose value may also be a word."""
    return Flag(Any, typer.Option(*names, metavar=metavar, parser=number_or_word, help=says))


def switch(name: str, says: str) -> Flag:
    """A config key that is true or false."""
    return Flag(bool | None, typer.Option(name, help=says))


def shared(kind: Any, says: str, *names: str, default: Any = None, **more: Any) -> Flag:
    """A flag that is not a config key."""
    return Flag(kind, typer.Option(*names, help=says, **more), default, is_key=False)


def folder(kind: Any, says: str, variable: str | None = None, default: Any = None) -> Flag:
    """The path of a folder, from a flag or an environment variable; `...` as default: it must be given."""
    return shared(kind, says, default=default, metavar="DIR", envvar=variable, parser=path_of_user)


def arguments(metavar: str, says: str) -> Flag:
    """The arguments that are not flags."""
    return Flag(list[str] | None, typer.Argument(metavar=metavar, help=says), is_key=False)


def rungs(file: str, ladder: str) -> str:
    """The names on a ladder, so that the help knows every rung."""
    return ", ".join(ladders.names(file, ladder))


def takes(*names: str) -> Callable[[Command], Command]:
    """Replaces `**flags` in a command's signature, which typer reads, by the parameters that these texts name.

    The command ends with one line for an error that is not ours.
    """

    def described(command: Command) -> Command:
        own = [each for each in inspect.signature(command).parameters.values() if each.name != "flags"]
        command = one_line_errors()(command)
        flags = [
            inspect.Parameter(
                parameter(name),
                inspect.Parameter.KEYWORD_ONLY,
                default=FLAGS[name].default,
                annotation=Annotated[FLAGS[name].kind, FLAGS[name].info],
            )
            for name in " ".join(names).split()
        ]
        command.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in (*own, *flags)}
        return command

    return described


# By the config key that it sets, or the parameter's name; with a suffix after a colon where commands differ in its
# meaning or its default
FLAGS: dict[str, Flag] = {
    "arguments": arguments(
        "CONFIG|KEY=VALUE",
        "A YAML file or a run to take the config from, else the defaults; and config keys, such as epochs=3.",
    ),
    "arguments:compare": arguments(
        "RUN|KEY=VALUE",
        "Runs, as paths, ids, beginnings of ids or latest; or one YAML file; and config keys.",
    ),
    "arguments:sweep": arguments(
        "CONFIG|KEY=A,B",
        "A YAML file or a run to take the config from, else the defaults; and config keys with one value or "
        "several, such as epochs=3 or optimizer.lr=0.05,0.1.",
    ),
    "arguments:notebooks": arguments(
        "NOTEBOOK|KEY=VALUE", "Notebooks, and folders of them; or one YAML file; and config keys."
    ),
    "set_": shared(
        list[str] | None,
        "Override a config key, like KEY=VALUE; wins over the file. Repeatable.",
        "--set",
        metavar="KEY=VALUE",
    ),
    "runs_dir": folder(Path, "Where run folders go.", "MLFOUND_RUNS_DIR", RUNS),
    "data_dir": folder(Path | None, "The data cache; default: the user's cache folder.", "MLFOUND_DATA_DIR"),
    "name": shared(str | None, "Text added to the run folder's name; default: none.", metavar="TEXT"),
    "json_": shared(bool, "Print one JSON document and nothing else.", "--json", default=False),
    "quiet": shared(bool, "Print nothing but errors and the run folder.", "--quiet", default=False),
    "verbose": shared(bool, "Show every table, check and finding.", "--verbose", default=False),
    "no_plots": shared(bool, "Draw no pictures and write no page.", "--no-plots", default=False),
    "print_config": shared(bool, "Print the config as YAML and stop.", "--print-config", default=False),
    "list_": shared(bool, "Show all datasets, their state, path and licence.", "--list", default=False),
    "command": shared(str | None, "Only runs of this command, such as train.", metavar="NAME"),
    "command:sweep": shared(
        str | None,
        "The command to sweep, such as matmul-bench; default: that of CONFIG, or train.",
        metavar="NAME",
    ),
    "seeds": shared(str | None, "A cell for each of these seeds; default: the config's seed.", metavar="0-9"),
    "jobs": shared(
        int | None,
        "Processes of this machine; 1 is this one; default: a process for each core.",
        metavar="N",
        min=1,
    ),
    "seeds:remedies": text("0-9", "Every training once with each of these seeds; default: 0-4."),
    "jobs:remedies": number("N|auto", "Processes of this machine, auto is one for each core; default: auto."),
    "dask": shared(str | None, "Use the workers of this Dask scheduler instead.", metavar="ADDRESS"),
    "on_error": shared(
        str,
        "When a cell fails: continue with the rest, or stop; default: continue.",
        "--on-error",
        metavar="WORD",
        default="continue",
    ),
    "dry_run": shared(bool, "List the cells and stop.", "--dry-run", default=False),
    "yes:sweep": shared(bool, "More than 1,000 cells are meant.", "--yes", default=False),
    "resume_:sweep": shared(
        str | None,
        "Do what is missing or failed of this sweep; default: a new one.",
        "--resume",
        metavar="RUN",
    ),
    "resume_:remedies": shared(
        str | None, "Do what is missing of this run; default: a new one.", "--resume", metavar="RUN"
    ),
    "sweep": shared(str | None, "The cells of this sweep instead.", metavar="RUN"),
    "where": shared(
        list[str] | None, "Only runs with this in their config or run.json; repeatable.", metavar="KEY=VALUE"
    ),
    "sort": shared(str | None, "By a metric, a column or a config key, the highest first.", metavar="KEY"),
    "reverse": shared(bool, "The other way round.", "--reverse", default=False),
    "columns": shared(str | None, "These columns: metrics, config keys, keys of run.json.", metavar="A,B,C"),
    "limit": shared(int | None, "Only the first N.", metavar="N", min=1),
    "html": shared(bool, "Write them as a page, index.html.", "--html", default=False),
    "open_": shared(bool, "The same, and open it in the browser.", "--open", default=False),
    "open_:page": shared(bool, "Open it in the browser.", "--open", default=False),
    "tensorboard": folder(Path, "Where the run's folder of event files goes.", default=...),
    "remove": shared(bool, "Remove these tags.", "--remove", default=False),
    "yes": shared(bool, "Do not ask.", "--yes", default=False),
    "resume_": shared(
        str | None, "Resume an interrupted run in its folder; default: a new run.", "--resume", metavar="RUN"
    ),
    "epochs": text("N", "Times that every training image is seen; default: 10.", kind=int),
    "optimizer.lr": number("X", "Learning rate, the peak of the schedule; default: 0.1.", "--lr"),
    "batch_size": text("N", "Images in one step of training; default: 64.", kind=int),
    "model.hidden": texts("N", "Units of a hidden layer of an mlp; default: 50.", "--hidden", kind=list[int]),
    "seed": text("N", "Seed of the random numbers; default: 0.", kind=int),
    "device": text("DEVICE", "auto, cpu, cuda, cuda:N or mps; default: auto."),
    "device:cpu": text("DEVICE", "auto, cpu, cuda, cuda:N or mps; default: cpu."),
    "threads": number("N|auto", "CPU threads that work on one network; default: auto."),
    "threads:one": number("N|auto", "CPU threads that work together; default: 1."),
    "dataset": text(
        "NAME", f"{rungs('data/registry.py', 'DATASETS')}, or a folder of IDX files; default: mnist."
    ),
    "from_": text(
        "PATH", "Your own copy: IDX files, raw or .gz, mnist.pkl.gz or mnist.npz; default: the web.", "--from"
    ),
    "verify": switch("--verify", "Fetch nothing, verify the cached files."),
    "impl": texts("RUNG", f"Only this rung: {rungs('foundations/matmul.py', 'MATMULS')}; default: all."),
    "impl:convolutions": texts(
        "RUNG", f"Only this rung: {rungs('foundations/convolution.py', 'CONVOLUTIONS')}; default: all."
    ),
    "impl:stages": texts(
        "STAGE",
        "Only this stage or library, of the lesson: functions, classes-outer, classes, modules-einsum, modules, "
        "torch-functional, torch-nn; of a step: modules, buffers/matmul, buffers/onednn, buffers, native, graph, "
        "torch-nn, torch-compile, torch-graph, jax; default: all.",
    ),
    "workload": text("NAME", "lesson (all rows at once) or step (training in batches); default: lesson."),
    "model": text(
        "FILE", "A config of train: step takes its model, optimiser, loss, batch size; default: none."
    ),
    "model:init": text(
        "FILE", "Only the layers of this config of train, or of this run's folder; default: all parts."
    ),
    "rows": text("N", "Number of training rows; default: all.", kind=int),
    "rows:images": text("N", "Images in a batch; default: 64.", kind=int),
    "check_only": switch("--check-only", "Only check the gradients; times nothing and needs no data."),
    "shape": texts("MxKxN", "Sizes such as 64x784x50 for (64,784) x (784,50); default: 5x784x10."),
    "shape:layer": texts(
        "LAYER",
        "A layer such as 1x28x28-8x5x5s2p2: CxHxW images - kernels, s stride, p padding; default: the course's four.",
    ),
    "dtype": text("NAME", "float32, float64, float16 or bfloat16; default: float32."),
    "budget": text("SECONDS", "Time spent on each rung; default: 2.0.", kind=float),
    "budget:layers": text(
        "SECONDS", "Time spent on each rung, all layers together; default: 0.5.", kind=float
    ),
    "budget:stages": text("SECONDS", "Time spent on each stage and pass; default: 1.0.", kind=float),
    "compare": text("RUN", "The folder of an earlier run to compare speed with; default: none."),
    "init": texts(
        "SCHEME",
        f"A scheme: {rungs('foundations/initialization.py', 'INITIALIZATIONS')}, lsuv or fixup; "
        "default: those of the lesson, of a model its own, torch-default and lsuv.",
    ),
    "relu_shift": number("S", "Only the layer with max(x, 0) - S, every draw in detail; default: all parts."),
    "hidden": number("N", "Units of the single layer; default: 50."),
    "hidden:step": texts("N", "Units of a hidden layer of step; default: 50.", kind=list[int]),
    "draws": number("N", "Number of weight draws; default: 100, of a small stack 30, of a model 20."),
    "depth": number("N", "Only a stack of N layers; default: all parts."),
    "width": number("N", "Units of the stack's layers; default: 512."),
    "residual": switch("--residual", "Only a stack of residual blocks."),
    "layer": text("KIND", "all, or only linear or conv layers; default: all."),
    "tolerance": number("X", "How far the training mean may be from 0, the std from 1; default: 0.001."),
    "inside": switch("--inside", "Look at signals and gradients in its layers every 10 steps."),
    "replicates": text("N", "Train N networks together, seeds SEED to SEED + N - 1; default: 1.", kind=int),
    "group": text("KEY", "Compare all train runs that differ in this key alone; default: none."),
    "metric": text(
        "NAME",
        "The figure to decide by: test_accuracy, test_error, test_loss, test_wrong, valid_accuracy, valid_loss, "
        "train_loss or best_epoch; default: valid_loss.",
    ),
    "difference": number(
        "X", "A difference to detect, 0.1 for 0.1 points of an accuracy; default: by the metric."
    ),
    "timeout": number("SECONDS", "Time limit of one cell; default: 600."),
    "kernel": text("NAME", "A kernel such as python3; default: the notebook's own."),
    "to": folder(Path | None, "Where modules go; by default exp beside the notebook."),
    "check": shared(
        bool, "Write nothing; exit code 1 if a module is not up to date.", "--check", default=False
    ),
    "save": switch("--save", "Write the outputs into the notebooks."),
}
# The flags of every experiment
SHARED = "set_ runs_dir data_dir name json_ quiet verbose no_plots print_config"
# By the parameter's name
KEYS = {parameter(name): name.partition(":")[0].rstrip("_") for name, flag in FLAGS.items() if flag.is_key}
for name, flag in FLAGS.items():
    if flag.is_key:
        flag.info.autocompletion = completion.values_of(KEYS[parameter(name)])
    elif name.startswith("arguments"):
        flag.info.autocompletion = completion.operands
for name in ("resume_", "resume_:sweep", "resume_:remedies", "sweep"):
    FLAGS[name].info.autocompletion = completion.runs
