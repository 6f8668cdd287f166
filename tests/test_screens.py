"""What every command prints, held to rules and to no stored text: how many lines, how wide, every word whole."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

import mlfound
from mlfound.experiments.trained.test_set import worst_confusion
from mlfound.report.brief import MAX_LINES, show_brief
from mlfound.report.fitted import table_lines
from mlfound.report.tables import cell
from mlfound.report.terminal import show
from mlfound.results import Check, Column, Result, Table
from mlfound.runs.run import Screen
from tests.support.commands import mlfound as mlfound_command
from tests.support.commands import without_git

MLP = str(Path(__file__).parent.parent / "configs" / "mlp.yaml")
SAMPLE: dict[str, Any] = {"data.dataset": "mnist-sample"}
SMALL: dict[str, Any] = {"dataset": "mnist-sample", "budget": 0.01}
SEEDS: dict[str, Any] = {**SAMPLE, "replicates": 3, "epochs": 1}
# Calls that have all tables and columns of each command, on the sample
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "train": ("train", SAMPLE),
    "replicates": ("train", SEEDS),
    "shifted": ("train", {**SEEDS, "model.relu_shift": 0.5}),
    "compare": ("compare", {"group": "model.relu_shift"}),
    "init-stats": ("init-stats", {**SAMPLE, "draws": 3, "width": 32}),
    "depth": ("init-stats", {**SAMPLE, "depth": 6, "width": 16}),
    "shift": ("init-stats", {**SAMPLE, "relu_shift": 0.5}),
    "model": ("init-stats", {**SAMPLE, "model": MLP, "draws": 2}),
    "normalize-check": ("normalize-check", SAMPLE),
    "lr-find": ("lr-find", SAMPLE),
    "download": ("download", {"dataset": "mnist-sample"}),
    "verify": ("download", {"dataset": "mnist-sample", "verify": True}),
    "matmul-bench": ("matmul-bench", {"budget": 0.01}),
    "conv-bench": ("conv-bench", {"budget": 0.01, "shape": ("1x28x28-2x5x5s9", "2x5x4-3x3x2s2p1")}),
    "backprop-bench": ("backprop-bench", {**SMALL, "rows": 100}),
    "check-only": ("backprop-bench", {"check_only": True}),
    "step": ("backprop-bench", {**SMALL, "rows": 640, "workload": "step", "impl": ("modules", "torch-nn")}),
}
LADDERS = ("matmul-bench", "conv-bench", "backprop-bench", "check-only", "step")
WIDTHS = (80, 160)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """What each command found, run once."""
    folder, found = tmp_path_factory.mktemp("screens"), dict[str, Result]()
    with without_git(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlfound.report.pictures.png", lambda picture: b"")  # pictures are not looked at here
        for name, (command, settings) in CALLS.items():
            screen = Screen(show=lambda result, summary, name=name: found.update({name: result}))
            mlfound.run(command, runs_dir=folder, data_dir=folder, screen=screen, **settings)
    return found


def printed(result: Result, width: int, verbose: bool = False) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    show(result, console) if verbose else show_brief(result, "mlfound report latest --open", console)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("name", CALLS)
def test_the_default_screen(results: dict[str, Result], name: str) -> None:
    """With the run folder's path below it, which is one line."""
    result = results[name]
    for width in WIDTHS:
        lines = printed(result, width)
        assert all(cell_len(line) <= width or " " not in line for line in lines)
        [ladder] = [table for table in result.tables if table.shown == "alone"] or [None]
        assert (ladder is not None) == (name in LADDERS)
        assert len(lines) + 1 <= (len(ladder.rows) + 4 if ladder else MAX_LINES)
        assert "" not in lines
        said = "--verbose" in lines[-1] + lines[-2]
        assert said != (name in ("lr-find", "check-only")), "that something is left out is said"
        assert "report.html" in lines[-1]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", CALLS)
def test_every_table_with_verbose(results: dict[str, Result], name: str, width: int) -> None:
    result = results[name]
    lines = printed(result, width, verbose=True)
    assert all(cell_len(line) <= width or " " not in line for line in lines)
    for table in result.tables:
        if table.shown == "never":
            continue
        shown, left_out = table_lines(table, width)
        columns = [column for column in table.columns if column.name not in left_out]
        labels = {word for column in columns for word in (column.label or column.name).split()}
        cells = {
            word for column in columns for row in table.rows
            for word in cell(row[table.columns.index(column)], column).split()
        }  # fmt: skip
        words = {word for line in shown for word in line.plain.split()}
        assert labels | cells <= words, "no word is broken"
        assert {column.name for column in table.columns if column.rank == 1} <= {
            each.name for each in columns
        }
        assert (f"tables/{table.name}.csv" in " ".join(lines)) == bool(left_out)


@pytest.mark.parametrize("name", CALLS)
def test_no_two_columns_of_a_table_have_one_name(results: dict[str, Result], name: str) -> None:
    for table in results[name].tables:
        labels = [column.label or column.name for column in table.columns]
        assert len({*labels}) == len(labels), table.name
        assert len({column.name for column in table.columns}) == len(labels), table.name


@pytest.mark.parametrize("name", CALLS)
def test_rows_can_be_told_apart(results: dict[str, Result], name: str) -> None:
    """By the columns that never give way."""
    for table in results[name].tables:
        if table.shown != "never":
            keys = [n for n, column in enumerate(table.columns) if column.rank == 1 or n == 0]
            names = [tuple(row[n] for n in keys) for row in table.rows]
            assert len({*names}) == len(names), table.name


def test_failed_checks_are_all_listed_and_the_headline_is_never_left_out() -> None:
    checks = [Check(f"number {n}", n % 2 == 0, n, 1) for n in range(60)]
    lines = printed(Result({}, checks=checks, findings=["long " * 300, "more"]), 80)
    assert sum(line.startswith("✗ number") for line in lines) == 30
    assert sum(line.startswith("long") for line in lines) > 12
    assert "✓ 30 of 60 checks; 1 more finding: --verbose" in lines


def test_findings_in_their_order_as_far_as_there_is_room() -> None:
    findings = [f"finding {n}, " + "which has two lines, " * 5 for n in range(9)]
    lines = printed(Result({}, findings=findings), 80)
    assert [n for n in range(9) if f"finding {n}," in " ".join(lines)] == [0, 1, 2, 3]
    assert lines[-2:] == [
        "5 more findings: --verbose",
        "report.html, the page of this run: mlfound report latest --open",
    ]


@pytest.mark.parametrize(("rows", "shown"), [(8, True), (9, False)])
def test_a_table_that_has_no_room_is_left_to_verbose(rows: int, shown: bool) -> None:
    table = Table("any", "Any title", [Column("n")], [[n] for n in range(rows)], "always")
    lines = printed(Result({}, findings=["The verdict."], tables=[table]), 80)
    assert ("Any title" in lines) == shown
    assert ("The verdict." in lines) == (not shown)
    assert ("1 more finding" in lines[-1]) == shown
    assert len(lines) < MAX_LINES


def test_a_page_that_is_not_there_is_not_named() -> None:
    console = Console(file=io.StringIO(), width=80)
    show_brief(Result({}, findings=["The verdict."]), None, console)
    assert console.file.getvalue() == "The verdict.\n"


def test_the_end_of_a_run(own_folder: Path) -> None:
    usual = mlfound_command("download", "--dataset", "mnist-sample").out.splitlines()
    assert Path(usual[-1]).is_dir()
    assert usual[-2] == "report.html, the page of this run: mlfound report latest --open"
    elsewhere = mlfound_command(
        "download", "--dataset", "mnist-sample", "--runs-dir", "else where"
    ).out.splitlines()
    assert elsewhere[-2].endswith(f": mlfound report '{elsewhere[-1]}' --open")
    verbose = mlfound_command("download", "--dataset", "mnist-sample", "--verbose").out.splitlines()
    assert "sha256" in verbose[1].split()
    assert Path(verbose[-1]).is_dir()
    assert (
        len(mlfound_command("download", "--dataset", "mnist-sample", "--quiet", "--verbose").out.splitlines())
        == 1
    )


def test_an_epoch_has_a_line_on_a_terminal_too(tmp_path: Path) -> None:
    """Above the bar; it fits into 80 columns."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    with without_git():
        screen = Screen(console, quiet=False)
        mlfound.run("train", runs_dir=tmp_path, data_dir=tmp_path, screen=screen, epochs=2, **SAMPLE)
    lines = [line for line in console.file.getvalue().splitlines() if line.startswith("epoch ")]
    assert [line.split()[1] for line in lines] == ["1", "2"]
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize(
    ("noun", "rows", "said"),
    [
        ("digit", [(0, 9, 9, 1.0, None, 0), (1, 1000, 4, 0.4, 7, 6)], "1 read as 7, 6 of 1,000 images."),
        (
            "image",
            [("Bag", 9, 8, 0.9, "Shirt", 1), ("Shirt", 9, 9, 1.0, None, 0)],
            "Bag taken for Shirt, 1 of 9 images.",
        ),
        ("digit", [(0, 9, 9, 1.0, None, 0)], None),
    ],
)
def test_the_most_frequent_mistake(noun: str, rows: list[tuple[Any, ...]], said: str | None) -> None:
    wanted = [f"Most frequent mistake, seed 3: {said}"] if said else []
    assert worst_confusion(rows, ", seed 3", noun) == wanted


@pytest.mark.parametrize("width", WIDTHS)
def test_what_shows_without_running(own_folder: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Lists of data sets and runs, and one run, on a terminal; a path is a word, however long."""
    mlfound_command("normalize-check", "data.dataset=mnist-sample", "--quiet")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("FORCE_COLOR", "1")
    for words in (("download", "--list"), ("runs",), ("runs", "show", "latest")):
        outcome = mlfound_command(*words)
        assert outcome.code == 0
        lines = re.sub("\x1b.*?m", "", outcome.out).splitlines()
        assert all(cell_len(line) <= width or " " not in line.strip() for line in lines), words
    assert "  dataset: mnist-sample" in lines, "with its indentation"
    listed = " ".join(re.sub("\x1b.*?m", "", mlfound_command("download", "--list").out).split())
    assert {"mnist", "fashion-mnist", "MIT", "state:" if width == 80 else "state"} <= {*listed.split()}
