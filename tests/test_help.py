"""What a user is told before anything runs: the help, what a shell completes, and what was meant by a mistake."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from mlfound import ladders
from mlfound.cli import app, completion
from mlfound.cli.options import KEYS
from mlfound.config.explaining import choices
from mlfound.config.keys import DATASETS, fields, value_at
from mlfound.config.models import CONFIGS
from tests.support.commands import mlfound, refused_at_once

ROOT: Any = typer.main.get_command(app)
COURSE = (
    "download", "normalize-check", "matmul-bench", "init-stats", "backprop-bench", "lr-find", "train",
    "conv-bench", "compare", "sweep", "remedies", "report", "info", "runs", "notebook",
)  # fmt: skip


def commands(group: Any = ROOT, above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every command by its words, groups too."""
    found = {above: group}
    for name, command in getattr(group, "commands", {}).items():
        found |= commands(command, (*above, name))
    return found


COMMANDS = commands()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_is_whole_in_80_columns(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = mlfound(*words, "-h")
    assert outcome.code == 0
    assert outcome.out == mlfound(*words, "--help").out
    lines = outcome.out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert not [line for line in lines[1:] if line.endswith(("...", "-"))], "nothing is cut or broken"
    assert "-h, --help" in outcome.out
    assert "<list" not in outcome.out
    for option in COMMANDS[words].params:
        assert " ".join((option.help or "").split()) in " ".join(outcome.out.split()), option.name


@pytest.mark.parametrize("words", [words for words, each in COMMANDS.items() if hasattr(each, "commands")])
def test_a_list_of_commands_is_whole_in_80_columns(words: tuple[str, ...]) -> None:
    """In a process of its own, where lines are two columns shorter than in this one."""
    command = [sys.executable, "-m", "mlfound", *words, "-h"]
    shown = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "80"})
    assert "..." not in shown.stdout.partition("Commands:")[2]
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())


def test_the_commands_are_in_the_courses_order() -> None:
    listed = re.findall(r"^  ([a-z-]+) ", mlfound("-h").out.partition("Commands:")[2], re.MULTILINE)
    assert tuple(listed) == COURSE


@pytest.mark.parametrize("command", CONFIGS)
def test_a_flag_names_its_default_and_its_choices(command: str) -> None:
    words = ("notebook", "test") if command == "notebook-test" else (command,)
    model = CONFIGS[command]
    known, defaults = fields(model), model().model_dump(mode="json", by_alias=True)
    for option in COMMANDS[words].params:
        if option.name in KEYS:
            field, default = known[KEYS[option.name]], value_at(KEYS[option.name], defaults)
            words_of_help = re.split(r"[ ,;()]+|\.(?= |$)", option.help)
            assert not {*choices(field)} - {*words_of_help}, option.name
            if not option.is_flag:
                assert "default: " in option.help, option.name
                several = isinstance(default, list) and len(default) != 1
                if default is not None and not several:
                    value = default[0] if isinstance(default, list) else default
                    assert f"default: {value}." in option.help, option.name


def test_the_flags_for_everyday_keys() -> None:
    flags = ("--epochs", 3, "--lr", 0.05, "--batch-size", 32, "--hidden", 30, "--hidden", 20, "--seed", 7)
    keys = ("epochs=3", "optimizer.lr=0.05", "batch_size=32", "model.hidden=[30, 20]", "seed=7")
    assert mlfound("train", *flags, "--print-config").out == mlfound("train", *keys, "--print-config").out
    refused_at_once(mlfound("train", "--lr", "-1"), "--lr -1: optimizer.lr: ", "write a number above 0")
    refused_at_once(mlfound("train", "--hidden", 0), "--hidden 0: model.hidden")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train --lrr 3", "--lrr: mlfound train has no such flag; did you mean --lr?"),
        (
            "train --momentum 0.5",
            "--momentum: mlfound train has no such flag; write optimizer.momentum=VALUE",
        ),
        (
            "train --no-such-thing",
            "--no-such-thing: mlfound train has no such flag; mlfound train -h lists them",
        ),
        ("train -x", "-x: mlfound train has no such flag; mlfound train -h lists them"),
        ("train --s\x1b[31meed 3", "has no such flag; did you mean --seed?"),
        ("train lrr=3", "lrr=3: unknown key 'lrr'; did you mean 'optimizer.lr'?"),
        ("train --seed", "mlfound: option '--seed' requires an argument."),
        ("train --seed x", "mlfound train: invalid value for '--seed': "),
        ("trian", "mlfound: no such command 'trian'. Did you mean 'train'?"),
        ("runs shwo", "mlfound runs: no such command 'shwo'. Did you mean 'show'?"),
        ("runs --limt 3", "--limt: mlfound runs has no such flag; did you mean --limit?"),
        ("runs show", "mlfound runs show: missing argument 'RUN'."),
        (
            "notebook test --timout 3",
            "--timout: mlfound notebook test has no such flag; did you mean --timeout?",
        ),
        ("--verison", "--verison: mlfound has no such flag; did you mean --version?"),
    ],
)
def test_a_mistake_is_answered_with_what_was_meant(line: str, said: str) -> None:
    refused_at_once(mlfound(*line.split(" ")), said)


def test_no_arguments_show_the_help() -> None:
    assert "Commands:" in mlfound().out + mlfound().err
    assert "Commands:" in mlfound("notebook").out + mlfound("notebook").err


def context(*words: str) -> typer.Context:
    """Of a command, as the shell's completion has it."""
    found = typer.Context(ROOT, info_name="mlfound")
    for word in words:
        found = typer.Context(found.command.commands[word], parent=found, info_name=word)  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize(
    ("command", "key", "wanted"),
    [
        ("init-stats", "init", (*ladders.names("foundations/initialization.py", "INITIALIZATIONS"), "lsuv", "fixup")),
        ("matmul-bench", "impl", ladders.names("foundations/matmul.py", "MATMULS")),
        ("conv-bench", "impl", ladders.names("foundations/convolution.py", "CONVOLUTIONS")),
        ("download", "dataset", DATASETS),
        ("compare", "metric", ("valid_loss", "valid_accuracy", "test_loss", "test_accuracy", "test_error",
                               "test_wrong", "train_loss", "best_epoch")),
        ("train", "seed", ()),
        ("train", "threads", ("auto",)),
    ],
)  # fmt: skip
def test_the_words_of_a_flag_are_completed(command: str, key: str, wanted: tuple[str, ...]) -> None:
    complete = completion.values_of(key)
    assert tuple(complete(context(command), "")) == wanted
    assert complete(context(command), "t") == [word for word in wanted if word.startswith("t")]


def test_keys_their_values_and_runs_are_completed(own_folder: Path) -> None:
    train = context("train")
    assert completion.operands(train, "optimizer.n") == ["optimizer.name=", "optimizer.nesterov="]
    assert completion.operands(train, "data.dataset=m") == ["data.dataset=mnist", "data.dataset=mnist-sample"]
    assert completion.operands(train, "model.init=o") == ["model.init=orthogonal"]
    assert completion.operands(train, "l") == ["loss="], "no runs folder"
    assert "model=" not in completion.operands(train, "m"), "a section is no value"
    assert {"model.init", "epochs"} <= {*completion.values_of("group")(context("compare"), "")}
    for name in ("20260101-000000-train", "20260102-000000-train"):
        (own_folder / "runs" / name).mkdir(parents=True)
    (own_folder / "runs" / "index.html").touch()
    (own_folder / "runs" / "latest").symlink_to(name)
    assert completion.runs(train, "") == ["latest", "20260102-000000-train", "20260101-000000-train"]
    assert completion.runs(train, "20260101") == ["20260101-000000-train"]
    assert "latest" in completion.operands(train, "l")
    assert completion.operands(context("sweep"), "model.init=o") == ["model.init=orthogonal"]


def test_a_shell_completes_without_torch(own_folder: Path) -> None:
    code = (
        "import sys\nfrom mlfound.cli import app\n"
        "try:\n    app(prog_name='mlfound')\nfinally:\n    assert 'torch' not in sys.modules"
    )
    asked = {
        "_MLFOUND_COMPLETE": "complete_bash",
        "COMP_WORDS": "mlfound init-stats --init torch",
        "COMP_CWORD": "3",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **asked}, check=False
    )
    assert done.stdout.split() == ["torch-default"], done.stderr
