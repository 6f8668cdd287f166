"""`mlfound remedies`: which trainings it is a sweep of, what their figures come to, and what it refuses."""

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mlfound.config.remedies import RemediesConfig
from mlfound.experiments.comparison.comparisons import compare
from mlfound.experiments.comparison.figures import MEASURES
from mlfound.report.brief import MAX_LINES, show_brief
from mlfound.results import Result
from mlfound.runs.reader import Run
from mlfound.runs.titles import title
from mlfound.sweeps.cures import compared, report
from mlfound.sweeps.grid import Cell
from mlfound.sweeps.remedies import cures, grid_of
from mlfound.sweeps.summary import gathered
from mlfound.sweeps.worker import Outcome
from tests.support.commands import Outcome as Ended
from tests.support.commands import mlfound, refused, refused_at_once, without_git
from tests.support.trained_runs import made

ALL = 50_000
WRONG = {  # test images of 10,000, by what was trained on 1,000 rows; of the rest some less
    "the net alone": 1000, "augmentation": 500, "convolutions": 700, "regularisation": 998, "smaller net": 1200,
    "all together": 200,
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_git() -> Any:
    with without_git():
        yield


def cells(**keys: Any) -> list[Cell]:
    return list(grid_of(RemediesConfig(**keys), ALL, 10).cells)


def case(cell: Cell) -> str:
    return str(cell.settings["case"])


def test_more_data_are_the_network_alone_on_more_rows_which_are_trained_once() -> None:
    assert list(dict.fromkeys(map(case, cells(rows=(5000, 1000))))) == [
        "the net alone on 1,000 rows",
        "the net alone on 5,000 rows",
        *(
            f"{name} on 1,000 rows"
            for name in ("augmentation", "convolutions", "regularisation", "smaller net")
        ),
        "all together on 5,000 rows",
        "the net alone on 25,000 rows",
        *(
            f"{name} on 5,000 rows"
            for name in ("augmentation", "convolutions", "regularisation", "smaller net")
        ),
        "all together on 25,000 rows",
    ]
    assert [cell.seed for cell in cells(rows=(1000,), seeds="3,1")] == [3] * 7 + [1] * 7
    assert len(cells(rows=(1000, 5000), seeds="0-2")) == 3 * 13
    assert len(cells(rows=(ALL,), seeds="0-1")) == 2 * 6, "of all rows there are no more"


def test_a_remedy_changes_its_own_sections_and_no_other() -> None:
    by_case = {case(cell): cell.config for cell in cells(rows=(1000,))}
    alone = by_case["the net alone on 1,000 rows"]

    def changed(name: str) -> dict[str, Any]:
        config = by_case[f"{name} rows"]
        keys = {key for key, value in config.items() if alone.get(key) != value}
        return {key: config[key] for key in keys if not key.startswith("model.") or key in alone}

    assert changed("the net alone on 5,000") == {"data.train_rows": 5000, "epochs": 25}
    assert {key for key, value in changed("augmentation on 1,000").items() if value} == {
        "augment.shift", "augment.rotate", "augment.scale", "augment.elastic", "augment.sigma",
    }  # fmt: skip
    assert changed("convolutions on 1,000") == {"model.name": "cnn"}
    assert changed("regularisation on 1,000").keys() == {"model.dropout", "optimizer.weight_decay"}
    assert changed("smaller net on 1,000").keys() == {"model.hidden"}
    together = {key for key, value in changed("all together on 5,000").items() if value}
    assert together == {
        "data.train_rows", "epochs", "model.name", "optimizer.weight_decay",
        "augment.shift", "augment.rotate", "augment.scale", "augment.elastic", "augment.sigma",
    }  # fmt: skip
    assert alone["model.dropout"] == alone["optimizer.weight_decay"] == 0


@pytest.mark.parametrize(("rows", "epochs"), [(ALL, 8), (5000, 25), (500, 80)])
def test_fewer_rows_have_more_epochs_and_fewer_steps(rows: int, epochs: int) -> None:
    assert {
        cell.config["epochs"] for cell in cells(rows=(rows,)) if cell.config["data.train_rows"] == rows
    } == {epochs}


def found(seeds: str = "0-4", lacking: str = "", **keys: Any) -> Result:
    """What made-up figures come to: without those of the cases that begin with `lacking`."""
    config = RemediesConfig(seeds=seeds, **keys)
    grid, outcomes = grid_of(config, ALL, 10), {}
    for cell in grid.cells:
        if not (lacking and case(cell).startswith(lacking)):
            wrong = WRONG[case(cell).partition(" on ")[0]] * (1000 / cell.config["data.train_rows"]) ** 0.5
            run = made(cell.name, (round(wrong) + cell.number**3 % 13,), cell.seed or 0)
            outcomes[cell.name] = Outcome(cell.name, "completed", run.name)
    return report(compared(cures(config, ALL, gathered(grid, outcomes, Path("runs")))), ALL)


def rows_of(result: Result, name: str) -> list[dict[str, Any]]:
    [table] = [table for table in result.tables if table.name == name]
    return [dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows]


def test_what_a_remedy_buys_is_the_paired_difference_of_compare() -> None:
    config = RemediesConfig(rows=(1000, 5000))
    result = found(rows=(1000, 5000))
    by_place = {(row["remedy"], row["rows"]): row for row in rows_of(result, "every_figure")}
    assert len(by_place) == 14
    grid = grid_of(config, ALL, 10)
    outcomes = {
        cell.name: Outcome(cell.name, "completed", f"20261123-1200-train-{cell.name}") for cell in grid.cells
    }
    sides = {each.label: each.side for each in gathered(grid, outcomes, Path("runs"))}
    places = {
        (name, rows): f"{'the net alone' if name == 'more data' else name} on {trained:,} rows"
        for rows in (1000, 5000)
        for name in [*list(WRONG)[1:], "more data"]
        if (trained := 5 * rows if name in ("more data", "all together") else rows)
    }
    pairs = [(sides[f"the net alone on {rows:,} rows"], sides[label]) for (_, rows), label in places.items()]
    for place, each in zip(places, compare(pairs, MEASURES["test_accuracy"], 0.1), strict=True):
        row, (low, high) = by_place[place], each.interval
        assert (row["change_points"], row["p"], row["verdict"]) == (-each.difference, each.p, each.verdict)
        assert low is not None
        assert high is not None
        assert (row["change_low_points"], row["change_high_points"]) == (-high, -low)
        assert row["change_low_points"] < row["change_points"] < row["change_high_points"]
    more = by_place["more data", 1000]
    assert more["trained_rows"] == by_place["all together", 1000]["trained_rows"] == 5000
    assert more["test_error"] == by_place["the net alone", 5000]["test_error"]
    assert by_place["augmentation", 1000]["change_points"] == pytest.approx(-5, abs=0.05)


def test_the_findings_are_of_the_fewest_rows_first() -> None:
    result = found(rows=(5000, 1000))
    assert re.fullmatch(
        r"On 1,000 rows more data buys most: 10\.\d\d% to 4\.\d\d%; all together: 0\.\d\d%\.",
        result.findings[0],
    )
    assert result.findings[2] == (
        "On 1,000 rows, by what they buy: better: more data, augmentation, convolutions; no difference seen: "
        "regularisation; worse: smaller net; as in the lesson."
    )
    assert result.findings[4].startswith(
        "On 1,000 rows the net alone overfits in 0 of 5 seeds: its validation loss"
    )
    assert [row["remedy"] for row in rows_of(result, "remedies")][:3] == [
        "the net alone",
        "more data",
        "augmentation",
    ]


def test_the_screen_has_a_dozen_lines_of_80_columns() -> None:
    result = found()
    out = io.StringIO()
    show_brief(result, "mlfound report latest --open", Console(file=out, width=80, force_terminal=True))
    lines = re.sub("\x1b.*?m", "", out.getvalue()).splitlines()
    assert len(lines) + 1 <= MAX_LINES, "with the path"
    assert all(len(line) <= 80 for line in lines)
    assert [line.split("  ")[0] for line in lines[2:9]] == [
        row["remedy"] for row in rows_of(result, "remedies")
    ]
    assert lines[1].split() == ["remedy", "1,000", "rows", "5,000", "rows", "50,000", "rows"]
    assert re.search(r" 0/5 overfit .* 0/5 overfit .* 0/5 overfit", lines[2])
    assert re.search(r"-\d\.\d\d ± \d\.\d\d .* no more rows$", lines[3])
    assert lines[9].startswith("On 1,000 rows more data buys most")


def test_the_picture_has_a_line_for_each_remedy_with_a_gap_where_there_are_no_more_rows() -> None:
    [picture] = found(rows=(1000, ALL)).pictures
    assert picture.data["values"] == [1000, ALL]
    lines = dict(zip(picture.data["names"], picture.data["mean"], strict=True))
    assert lines["more data"][1] is None
    assert lines["the net alone"][0] == pytest.approx(10, abs=0.1)
    for low, mean, high in zip(*(picture.data[part][0] for part in ("low", "mean", "high")), strict=True):
        assert low < mean < high


@pytest.mark.parametrize(
    "lacking", ["the net alone", "the net alone on 1,000", "all together", "augmentation"]
)
def test_what_did_not_complete_is_in_no_comparison(lacking: str) -> None:
    result = found(rows=(1000,), lacking=lacking)
    rows = {row["remedy"]: row for row in rows_of(result, "every_figure")}
    assert lacking not in rows
    if lacking.startswith("the net alone"):
        assert {row["p"] for row in rows.values()} == {None}
        assert not result.findings
    else:
        assert all(row["p"] is not None for name, row in rows.items() if name != "the net alone")
        assert len(result.findings) == 3


def test_where_nothing_completed_nothing_is_shown() -> None:
    assert not compared([])
    assert report([], ALL) == Result({}, findings=[], tables=[], pictures=[])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rows=0", "rows=0: rows: 0 is not valid; write a list of 1 to 20 numbers"),
        ("rows=-5", "rows=-5: rows: -5 is not valid"),
        ("rows=[]", "rows=[]: rows: [] is not valid; write a list of 1 to 20 numbers of training rows"),
        ("rows=many", "rows=many: rows: 'many' is not valid"),
        ("rows=1e3", "rows=1e3: rows: 1000.0 is not valid"),
        ("rows=500,500", "rows=500,500: rows: a number of rows twice; write each once"),
        ("--seeds x", "--seeds x: seeds: 'x' is not valid; write two seeds or more, each once, as in 0-4"),
        ("--seeds 3", "--seeds 3: seeds: one seed says nothing about chance; write two or more, as in 0-4"),
        ("seeds=0,0", "seeds=0,0: seeds: '0,0' is not valid"),
        ("--jobs 0", "--jobs 0: jobs: 0 is not valid; write auto or a whole number from 1"),
        ("hidden=[]", "hidden=[]: hidden: without hidden units there is nothing to regularise"),
        ("model.hidden=[50]", "model.hidden=[50]: unknown key 'model.hidden'; did you mean 'hidden'?"),
        ("augment.shift=0.5", "augment.shift=0.5: augment.shift: 0.5 is not valid"),
        ("augment=null", "augment=null: augment: null is not valid"),
        ("dropout=1", "dropout=1: dropout: 1 is not valid"),
        ("--resume nothing", "nothing: no such run"),
        ("dataset=nowhere/at/all", "dataset=nowhere/at/all: dataset: "),
        ("--dataset mnst", "--dataset mnst: dataset: "),
        ("dataset=mnist-sample rows=[70000]", "rows=[70000]: rows: 70,000 training rows are not available; write 1"),
        ("dataset=mnist-sample", "50,000 training rows are not available; write 1 to 5,000"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(line: str, said: str) -> None:
    refused_at_once(mlfound("remedies", *shlex.split(line)), said)


def test_a_section_that_is_given_in_part_keeps_the_rest() -> None:
    printed = mlfound("remedies", "augment.shift=2", "--print-config").out
    assert "shift: 2\n  rotate: 10.0\n  scale: 0.1\n" in printed
    assert "rows: [300, 400]" in mlfound("remedies", "--set", "rows=300,400", "--print-config").out


SMALL = (
    "dataset=mnist-sample",
    "rows=[1000]",
    "hidden=[16]",
    "smaller=[4]",
    "epochs=1",
    "--no-plots",
    "--jobs",
    1,
)


def remedies(*words: Any) -> Ended:
    return mlfound("remedies", *SMALL, *words)


@pytest.mark.slow
def test_from_the_command_line_and_again_what_was_lost() -> None:
    outcome = remedies("--seeds", "0-1")
    assert outcome.code == 0, outcome
    assert "14 trainings: 7 cases with 2 seeds each" in outcome.err
    assert len(list(outcome.path.glob("cells/2*"))) == 14, "more data are of the network alone, too"
    by_name = {row["remedy"]: row for row in outcome.rows("every_figure")}
    cases = {row["case"]: row for row in outcome.rows("cells") if row["seed"] == "1"}
    assert list(by_name) == ["the net alone", "more data", *list(WRONG)[1:]]
    other = Run(outcome.path / cases["augmentation on 1,000 rows"]["run"])
    assert other.config["augment"]["shift"] == 1
    assert other.config["model"]["hidden"] == [16]
    assert title(Run(outcome.path)) == "Remedies against overfitting on the MNIST sample, 14 cells"
    assert "rows: [1000]" in mlfound("remedies", "latest", "--print-config").out, "its folder is a config"

    before = outcome.json("summary.json")
    lost = outcome.path / cases["convolutions on 1,000 rows"]["run"]
    shutil.rmtree(lost)
    again = mlfound("remedies", "--resume", "latest", "--jobs", 1, "--no-plots")
    assert again.code == 0, again
    assert again.json("summary.json")["metrics"] == before["metrics"]
    assert again.path == outcome.path
    assert len(list(outcome.path.glob("cells/2*"))) == 14
    facts = json.loads((again.path / "run.json").read_text())
    assert (facts["command"], facts["cells"], len(facts["resumed"])) == ("remedies", 14, 1)


@pytest.mark.slow
def test_from_a_script_with_processes() -> None:
    """Which the processes do not run again."""
    keys = {"rows": [200], "hidden": [8], "smaller": [4], "epochs": 1, "seeds": "0-1", "jobs": 2}
    call = f"mlfound.run('remedies', {keys}, dataset='mnist-sample', plots=False, runs_dir='here')"
    Path("script.py").write_text(f"import mlfound\n{call}\n")
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    [run] = Path("here").glob("2*")
    assert len(list(run.glob("cells/2*"))) == 14


def test_what_a_resumed_run_refuses() -> None:
    path = made("a")
    refused(mlfound("remedies", "--resume", path), "a run of train; name one of remedies")
    facts = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**facts, "command": "remedies"}))
    refused(
        mlfound("remedies", "--resume", path, "rows=300"), "rows=300: a resumed run has its own; leave it out"
    )
    refused(mlfound("remedies", "--resume", path, "--name", "x"), "--name x: a resumed run has its own")
