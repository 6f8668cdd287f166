"""What a sweep leaves: its cells as run folders, the tables, the verdict; and what becomes of a cell that fails."""

import csv
import io
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import mlfound as package
from mlfound.report.brief import MAX_LINES, show_brief
from mlfound.results import Result
from mlfound.sweeps import backends, summary
from mlfound.sweeps.grid import Grid, read_grid
from mlfound.sweeps.worker import Outcome, Task, work
from tests.support.commands import Outcome as Ended
from tests.support.commands import mlfound, refused, without_git
from tests.support.trained_runs import SHIFTED, WIDER, WRONG, made

SMALL = ("data.dataset=mnist-sample", "data.train_rows=500", "epochs=1", "--jobs", 1, "--no-plots")
DIVERGING = "optimizer.lr=0.1,1e30"  # the second overflows in the first steps


@pytest.fixture(autouse=True)
def no_git() -> Any:
    with without_git():
        yield


def sweep(*words: Any) -> Ended:
    return mlfound("sweep", *SMALL, *words)


def statuses(run: Path) -> list[str]:
    with (run / "tables" / "cells.csv").open(newline="") as file:
        return [row["status"] for row in csv.DictReader(file)]


def test_every_cell_is_an_ordinary_run_with_the_figures_of_the_command_line() -> None:
    outcome = sweep("optimizer.lr=0.1,0.2", "--seeds", "0,3")
    assert outcome.code == 0
    rows = outcome.rows("cells")
    assert [(row["optimizer.lr"], row["seed"]) for row in rows] == [
        ("0.1", "0"), ("0.1", "3"), ("0.2", "0"), ("0.2", "3"),
    ]  # fmt: skip
    settings = {
        "data.dataset": "mnist-sample",
        "data.train_rows": 500,
        "epochs": 1,
        "optimizer.lr": 0.2,
        "seed": 3,
    }
    alone = package.run("train", settings, runs_dir="alone", plots=False)
    assert float(rows[-1]["valid_loss"]) == alone.metrics["valid_loss"]
    for row in rows:
        run = package.runs.reader.Run(outcome.path / row["run"])
        assert (run.status, run.command) == ("completed", "train")
        assert run.metrics["test_accuracy"] == float(row["test_accuracy"])
    assert (outcome.path / row["run"] / "model.safetensors").read_bytes() == (
        alone.path / "model.safetensors"
    ).read_bytes()


def test_cells_are_not_among_the_runs() -> None:
    path = sweep("optimizer.lr=0.1,0.2").path
    assert mlfound("runs", "--json").out.count('"id"') == 1
    assert (Path("runs") / "latest").resolve() == path.resolve()
    cells = json.loads(mlfound("runs", "--sweep", "latest", "--sort", "optimizer.lr", "--json").out)
    assert [cell["config"]["optimizer"]["lr"] for cell in cells] == [0.2, 0.1]


def test_only_a_sweep_has_cells() -> None:
    path = made("a")
    refused(mlfound("runs", "--sweep", path), f"{path}: this is no sweep, it has no cells")


def test_any_command_that_measures_something(tmp_path: Path) -> None:
    outcome = mlfound(
        "sweep", "--command", "matmul-bench", "impl=[broadcast],[matmul]", "budget=0.01", "--jobs", 1, "--no-plots"
    )  # fmt: skip
    assert outcome.code == 0
    assert "matmul-bench has no validation data" in outcome.out
    assert [row["impl"] for row in outcome.rows("settings")] == ["[broadcast]", "[matmul]"]
    again = mlfound("sweep", outcome.path, "--jobs", 1, "--no-plots")
    assert [row["impl"] for row in again.rows("cells")] == ["[broadcast]", "[matmul]"], (
        "its folder is a config"
    )


def test_a_cell_that_fails_is_said_and_does_not_stop_the_rest() -> None:
    outcome = sweep(DIVERGING, "--seeds", "0-1")
    assert outcome.code == 1
    assert statuses(outcome.path) == ["completed", "completed", "diverged", "diverged"]
    assert "cell 3 (lr 1e+30, seed 0) diverged" in outcome.err
    assert "lr 1e+30: 2 of 2 cells diverged." in outcome.json("summary.json")["findings"]
    assert [row["optimizer.lr"] for row in outcome.rows("settings")] == ["0.1"], "there is no mean of nothing"


def test_the_rest_can_be_stopped_and_done_later() -> None:
    outcome = sweep("optimizer.lr=1e30,0.1", "--on-error", "stop")
    assert outcome.code == 1
    assert statuses(outcome.path) == ["diverged", "missing"]
    assert "1 cell is left" in outcome.err
    again = mlfound("sweep", "--resume", "latest", "--jobs", 1, "--no-plots")
    assert again.code == 1
    assert statuses(again.path) == ["diverged", "completed"]
    assert again.path == outcome.path


def test_resume_does_only_what_is_missing_or_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    path = sweep("optimizer.lr=0.1,0.2", "--seeds", "0-1").path
    first, second, *rest = sorted(path.glob("cells/2*"))
    shutil.rmtree(first)
    facts = json.loads((second / "run.json").read_text())
    (second / "run.json").write_text(json.dumps({**facts, "status": "failed"}))
    before = {each: (each / "run.json").stat().st_mtime_ns for each in rest}
    tasks: list[Task] = []
    monkeypatch.setattr(backends, "work", lambda task: (tasks.append(task), work(task))[1])
    outcome = mlfound("sweep", "--resume", path, "--jobs", 1, "--no-plots")
    assert outcome.code == 0
    assert len(tasks) == 2
    assert statuses(path) == ["completed"] * 4
    assert {each: (each / "run.json").stat().st_mtime_ns for each in rest} == before
    assert len(list(path.glob("cells/2*"))) == 4
    assert len(outcome.json("run.json")["resumed"]) == 1


def test_a_sweep_does_not_go_on_with_another_version() -> None:
    path = sweep("optimizer.lr=0.1,0.2").path
    facts = json.loads((path / "run.json").read_text())
    assert set(facts["code"]) == {"mlfound", "torch", "code"}
    (path / "run.json").write_text(json.dumps({**facts, "code": {**facts["code"], "torch": "1.0"}}))
    outcome = mlfound("sweep", "--resume", path, "--jobs", 1)
    refused(outcome, "torch is", "the sweep was begun with 1.0", "start a new sweep with its config.yaml")
    assert json.loads((path / "run.json").read_text())["status"] == "completed", "nothing was touched"


def test_settings_of_the_same_words_are_not_one() -> None:
    """What a schedule does to the momentum is not in its words."""
    piece = "{name: cosine, from: 1, to: 0, share: 1, momentum_from: MOMENTUM, momentum_to: 0.9}"
    lists = ",".join(f"[{piece.replace('MOMENTUM', momentum)}]" for momentum in ("0.5", "0.8"))
    outcome = sweep(f"schedule={lists}", "--seeds", "0-1")
    assert outcome.code == 0, outcome
    assert [row["cells"] for row in outcome.rows("settings")] == ["2", "2"]


def test_only_a_sweep_is_resumed() -> None:
    mlfound("train", "data.dataset=mnist-sample", "epochs=1", "--no-plots")
    refused(mlfound("sweep", "--resume", "latest"), "a run of train; name the folder of a sweep")


def test_a_sweep_that_was_interrupted_is_kept_by_gc() -> None:
    path = sweep("optimizer.lr=0.1,0.2").path
    (path / "summary.json").unlink()
    facts = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**facts, "status": "interrupted"}))
    os.utime(path, (0, 0))
    assert "can be resumed" in mlfound("runs", "gc").out
    assert path.exists()


def report(**sides: tuple[int, ...]) -> tuple[Grid, Result]:
    """What is said of made runs: wrong images by seed, for each number of hidden units."""
    grid = read_grid(None, [(f"model.hidden={','.join(f'[{name[1:]}]' for name in sides)}", "")], "0-9")
    outcomes = {}
    for cell in grid.cells:
        wrong = sides[f"h{cell.config['model.hidden'][0]}"]
        if cell.seed is not None and cell.seed < len(wrong):
            run = made(cell.name, (wrong[cell.seed],), cell.seed, model__hidden=cell.config["model.hidden"])
            outcomes[cell.name] = Outcome(cell.name, "completed", run.name)
    return grid, summary.report(grid, outcomes, Path("runs"))


def table(result: Result, name: str) -> list[dict[str, Any]]:
    [found] = [each for each in result.tables if each.name == name]
    names = [column.name for column in found.columns]
    return [dict(zip(names, row, strict=True)) for row in found.rows]


def test_the_best_on_validation_and_those_not_distinguishable_from_it() -> None:
    """Of figures of real runs: 100 units are better than 50, and a shift is not seen."""
    _, result = report(h50=WRONG, h51=SHIFTED, h100=WIDER)
    rows = table(result, "settings")
    assert [(row["model.hidden"], row["verdict"]) for row in rows] == [
        ("[100]", "best"), ("[51]", "worse"), ("[50]", "worse"),
    ]  # fmt: skip
    assert rows[0]["valid_loss_low"] < rows[0]["valid_loss"] < rows[0]["valid_loss_high"]
    assert "test_accuracy" not in rows[0], "the test data are for the winner alone"
    assert result.findings[0].startswith("hidden [100] is best on validation: test accuracy 97.53%")
    assert result.findings[1] == "2 of 2 other settings are worse (p by Holm over 2)."
    _, result = report(h60=WRONG, h61=SHIFTED)
    assert [row["verdict"] for row in table(result, "settings")] == ["best", "not distinguishable"]
    assert result.findings[1].startswith("Not distinguishable from it (p = ")


@pytest.mark.parametrize("count", [1, 2, 6, 12])
def test_the_screen_has_a_dozen_lines_of_80_columns(count: int) -> None:
    _, result = report(**{f"h{50 + n}": tuple(wrong - 10 * n for wrong in WRONG) for n in range(count)})
    out = io.StringIO()
    show_brief(result, "mlfound report latest --open", Console(file=out, width=80, force_terminal=True))
    lines = re.sub("\x1b.*?m", "", out.getvalue()).splitlines()
    assert len(lines) + 1 <= MAX_LINES
    assert all(len(line) <= 80 for line in lines)
    assert (" best" in lines[2]) == (1 < count < 8), "in a table, where there is room"
    assert any("test accuracy" in line for line in lines)


def test_p_is_holms_over_all_comparisons() -> None:
    """Two equal differences: by Holm each p is twice that of one alone."""
    alone = table(report(h50=WRONG, h100=WIDER)[1], "settings")[1]["p"]
    both = table(report(h60=WRONG, h70=WRONG, h101=WIDER)[1], "settings")[1]["p"]
    assert both == pytest.approx(2 * alone)


def test_a_setting_of_which_cells_are_missing_is_not_the_best() -> None:
    """Its mean is one of survivors; nor is anything said of a difference that one seed shows."""
    _, result = report(h50=WRONG, h100=WIDER[:5])
    assert [row["model.hidden"] for row in table(result, "settings")] == ["[50]", "[100]"]
    assert "hidden [100]: 5 of 10 cells missing." in result.findings
    assert not result.passed
    _, single = report(h70=WRONG[:1], h71=WIDER[:1])
    assert [row["verdict"] for row in table(single, "settings")] == ["best", "cannot be judged"]


def test_no_interval_of_an_accuracy_leaves_0_to_1() -> None:
    _, result = report(h50=(100, 9_000))
    [row] = table(result, "settings")
    assert (row["valid_accuracy_low"], row["valid_accuracy_high"]) == (0, 1)
    assert "(0.00% to 100.00% at 95%, over 2 seeds)" in result.findings[0]
    assert result.metrics["best_test_accuracy_high"] == 1


def test_other_data_are_not_compared() -> None:
    grid = read_grid(None, [("data.dataset=mnist,fashion-mnist", "")], "0")
    outcomes = {}
    for cell, digest in zip(grid.cells, "ab", strict=True):
        run = made(cell.name, (9,), 0, facts={"dataset": {"digest": digest, "rows": {}}})
        outcomes[cell.name] = Outcome(cell.name, "completed", run.name)
    result = summary.report(grid, outcomes, Path("runs"))
    assert result.findings == ["The cells saw different data, so no setting is called the best."]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["epochs=1,2"], "setting_line"),
        (["epochs=1,2", "batch_size=8,16"], "setting_map"),
        (["epochs=1,2", "batch_size=8,16", "optimizer.lr=0.1,0.2"], None),
        ([], None),
    ],
)
def test_the_picture_is_of_the_one_or_two_keys_that_vary(texts: list[str], kind: str | None) -> None:
    grid = read_grid(None, [(text, "") for text in texts], "0-1")
    outcomes = {}
    for cell in grid.cells:
        run = made(cell.name, (100 + cell.number,), cell.seed or 0)
        outcomes[cell.name] = Outcome(cell.name, "completed", run.name)
    result = summary.report(grid, outcomes, Path("runs"))
    found = [picture for picture in result.pictures if picture.name == "settings"]
    assert [picture.kind for picture in found] == ([kind] if kind else [])
    if kind == "setting_line":
        assert found[0].data["seeds"] == [pytest.approx([0.0601, 0.0602]), pytest.approx([0.0603, 0.0604])]
        assert found[0].data["mean"] == pytest.approx([0.06015, 0.06035])
    if kind == "setting_map":
        assert found[0].data["mean"][1][0] == pytest.approx(0.05 + 0.01055)
