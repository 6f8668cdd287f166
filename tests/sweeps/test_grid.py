"""From several values for some keys to cells, and one line for what is no grid."""

import shlex
from pathlib import Path

import pytest

from mlfound.config.loading import dump
from mlfound.errors import UserError
from mlfound.sweeps.grid import Grid, read_grid
from tests.support.commands import mlfound, refused_at_once

SWEEP = """
data: {dataset: mnist-sample}
vary:
  model:
    hidden: [[50], [100, 50]]
cases:
  shifted: {model: {relu_shift: 0.5}}
  plain: {}
seeds: 0-2, 7
"""


def typed(*texts: str, **more: str) -> Grid:
    return read_grid(None, [(text, "") for text in texts], **more)


def settings(grid: Grid, *keys: str) -> list[tuple[object, ...]]:
    return [tuple(cell.config[key] for key in keys) for cell in grid.cells]


def test_every_combination_once_for_each_seed() -> None:
    grid = typed("optimizer.lr=0.05,1e-1", "model.hidden=[50],[100,50]", "epochs=3", seeds="4,0-1")
    rows = settings(grid, "optimizer.lr", "model.hidden", "seed", "epochs")
    pairs = [(lr, hidden) for lr in (0.05, 0.1) for hidden in ([50], [100, 50])]
    assert rows == [(lr, hidden, seed, 3) for lr, hidden in pairs for seed in (4, 0, 1)]
    assert [cell.number for cell in grid.cells] == list(range(1, 13))
    assert str(grid.cells[-1]) == "lr 0.1, hidden [100, 50], seed 1"


def test_cases_are_named_combinations(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SWEEP)
    grid = read_grid(tmp_path / "a.yaml")
    assert grid.axes == {"case": ["shifted", "plain"], "model.hidden": [[50], [100, 50]]}
    assert len(grid.cells) == 2 * 2 * 4
    assert settings(grid, "model.relu_shift", "data.dataset")[::8] == [
        (0.5, "mnist-sample"),
        (0.0, "mnist-sample"),
    ]
    assert str(grid.cells[0]) == "shifted, hidden [50], seed 0"


def test_what_is_typed_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("epochs: 3\nvary: {optimizer: {lr: [0.1, 0.2]}}\nseeds: 0-9\n")
    grid = read_grid(tmp_path / "a.yaml", [("optimizer.lr=0.3,0.4", ""), ("epochs=1", "")], "5")
    assert settings(grid, "optimizer.lr", "seed", "epochs") == [(0.3, 5, 1), (0.4, 5, 1)]


KINDS = "optimizer: {name: adam, beta1: 0.8}\nvary: {optimizer: {name: [adam, sgd]}}\n"
IN_CASES = "cases: {ours: {data: {dataset: digits}}, theirs: {data: {dataset: mnist-sample}}}"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (SWEEP, "data.dataset=mnist-sample,digits"),
        (SWEEP, "data.dataset=digits"),
        (KINDS, "data.dataset=digits"),
        (IN_CASES, "epochs=1,2"),
    ],
)
def test_the_config_of_a_sweep_means_the_same_cells_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, text: str
) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "a.yaml").write_text(content)
    grid = read_grid(Path("a.yaml"), [(text, "")])
    (tmp_path / "b.yaml").write_text(dump(grid.config))
    monkeypatch.chdir("digits")
    again = read_grid(tmp_path / "b.yaml")
    assert [cell.name for cell in again.cells] == [cell.name for cell in grid.cells]
    assert again.axes == grid.axes
    assert str(tmp_path / "digits") in {cell.config["data.dataset"] for cell in grid.cells}


def test_keys_that_another_kind_lacks_are_left_out_and_a_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("optimizer: {name: sgd, momentum: 0.5}\n")
    grid = read_grid(tmp_path / "a.yaml", [("optimizer.name=sgd,adam", "")])
    assert grid.cells[0].config["optimizer.momentum"] == 0.5
    assert "optimizer.momentum" not in grid.cells[1].config
    [note] = grid.notes
    assert note.startswith("optimizer.name=sgd,adam: adam has no momentum")


def test_a_cell_has_one_thread_unless_it_is_said_otherwise() -> None:
    assert settings(typed("epochs=1,2"), "threads") == [(1,), (1,)]
    assert settings(typed("epochs=1,2", "threads=2"), "threads") == [(2,), (2,)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "nothing varies; write several values, as in optimizer.lr=0.05,0.1, or --seeds 0-9"),
        ("epochs=3", "nothing varies"),
        ("epochs=3 epochs=1,2", "epochs=1,2: epochs varies, and epochs=3 sets it; leave one out"),
        (
            "--set 'optimizer={lr: 1}' optimizer.lr=1,2",
            "optimizer.lr varies, and --set optimizer={lr: 1} sets it",
        ),
        ("replicates=5 --seeds 0-3", "--seeds 0-3: replicates 5 are seeds, too"),
        ("replicates=1,5 --seeds 0-3", "--seeds 0-3: replicates 5 are seeds, too"),
        ("--seeds 0-99999", "100,000 cells are more than 1,000; --yes says that they are meant"),
        ("--seeds 0-9 seed=3", "--seeds 0-9: seed varies, and seed=3 sets it"),
        ("seed=0,1", "seed=0,1: the seed is what figures are averaged over; write --seeds"),
        ("--seeds 9-0", "--seeds 9-0: seeds: '9-0' is not valid; write seeds such as 0-9"),
        ("--seeds 3,3", "--seeds 3,3: seeds: '3,3' is not valid"),
        (
            "--command compare --seeds 0-1",
            "--command compare: command: 'compare' is not valid; write one of train,",
        ),
        ("--command runs --seeds 0-1", "--command runs: command: 'runs' is not valid"),
        ("--command normalize-check --seeds 0-1", "--seeds 0-1: unknown key 'seed'"),
        ("lr=0.1,0.2", "lr=0.1,0.2: unknown key 'lr'; did you mean 'optimizer.lr'?"),
        (
            "optimizer.lr=0.1,fast",
            "optimizer.lr=0.1,fast: optimizer.lr: 'fast' is not valid; write a number above 0",
        ),
        ("optimizer.lr=0.1,,0.2", "optimizer.lr=0.1,,0.2: optimizer.lr: '0.1,,0.2' is not valid"),
        ("optimizer.lr=0.1,1e-1", "lr 0.1 is there twice, as cells 1 and 2; write each value once"),
        ("nothing.yaml", "nothing.yaml: there is no such file"),
        ("a.yaml b.yaml", "b.yaml: a second CONFIG; give one, and KEY=VALUE behind it"),
        ("no-such-run", "no-such-run: no such run"),
        ("--seeds 0-1 --on-error ignore", "--on-error ignore: write continue or stop"),
        (
            "--seeds 0-1 --jobs 2 --dask tcp://a:1",
            "--jobs 2: the cluster has workers of its own; leave --jobs or",
        ),
        ("--resume no-such-run", "no-such-run: no such run"),
        ("--resume latest epochs=3", "epochs=3: a resumed sweep has its own; leave it out"),
        ("--resume latest --seeds 0-3", "--seeds 0-3: a resumed sweep has its own; leave it out"),
    ],
)
def test_what_is_typed_wrong_is_one_line(line: str, said: str) -> None:
    refused_at_once(mlfound("sweep", *shlex.split(line)), said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("vary: {epochs: []}", "a.yaml:1: vary.epochs: no values; write the values in brackets"),
        ("\nvary: {epochs: 3}", "a.yaml:2: vary.epochs: 3 is no list; write the values in brackets"),
        (
            "vary: 3",
            "a.yaml:1: vary: 3 is not valid; write keys as in the config, each with a list of values",
        ),
        ("cases: {a: 3}", 'a.yaml:1: cases: {"a": 3} is not valid; write a name for each case'),
        (
            "epochs: 3\nvary: {epochs: [1, 2]}",
            "a.yaml:2: epochs varies, and a.yaml:1 sets it; leave one out",
        ),
        ("cases: {a: {epochs: 1}}\nvary: {epochs: [1, 2]}", "a.yaml:2: epochs varies, and a.yaml:1 sets it"),
        ("vary: {epochs: [1, 0]}", "a.yaml:1: epochs: 0 is not valid; write a whole number from 1"),
        ("seed: 3\nseeds: 0-9", "a.yaml:2: seed varies, and a.yaml:1 sets it; leave one out"),
        ("command: report\nseeds: 0-9", "a.yaml:1: command: 'report' is not valid"),
        ("seeds: x", "a.yaml:1: seeds: 'x' is not valid; write seeds such as 0-9 or 0,2,5"),
        ("cases: {a: {epochs: 1}, b: {epochs: 1}}", "cells 1 and 2 are the same, a and b; leave one out"),
    ],
)
def test_a_mistake_in_a_file_is_one_line(content: str, said: str) -> None:
    Path("a.yaml").write_text(content)
    refused_at_once(mlfound("sweep", "a.yaml"), said)


def test_a_case_is_not_fixed_on_the_command_line() -> None:
    Path("a.yaml").write_text("cases: {a: {epochs: 1}, b: {}}")
    refused_at_once(
        mlfound("sweep", "a.yaml", "epochs=3"), "epochs=3: epochs varies with the cases (a.yaml:1)"
    )


def test_the_number_of_cells_is_said_and_they_are_listed() -> None:
    outcome = mlfound("sweep", "optimizer.lr=0.1,0.2", "--seeds", "0-4", "--dry-run")
    assert outcome.code == 0
    assert outcome.err == "mlfound sweep: 10 cells of train, 2 settings with 5 seeds each\n"
    lines = outcome.out.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (10, " 1  lr 0.1, seed 0", "10  lr 0.2, seed 4")
    assert not Path("runs").exists()


def test_many_cells_can_be_meant() -> None:
    with pytest.raises(UserError, match="--yes"):
        typed(seeds="0-1000")
    assert len(typed(seeds="0-1000", yes=True).cells) == 1001
