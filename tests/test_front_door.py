"""mlfound.run and mlfound.find_runs: a command as a call, from anywhere, and its run folder as an object."""

import csv
import json
import math
import multiprocessing
import shlex
import subprocess
import sys
import threading

import pytest
import yaml

import mlfound
from mlfound.errors import UserError
from tests.support.run_folders import SUMMARY, make_run

SAMPLE = {"data": {"dataset": "mnist-sample"}, "model": {"hidden": [8]}, "threads": 1}


def train(plots=False, **settings):
    return mlfound.run("train", SAMPLE, plots=plots, **{"epochs": 1, **settings})


def test_the_package_loads_nothing_slow():
    slow = ("torch", "numpy", "pydantic", "matplotlib", "yaml", "rich", "scipy", "typer")
    code = f"import sys, mlfound; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_training(capfd, own_folder):
    run = train(**{"optimizer.lr": 0.05, "name": "small", "data.train_rows": 640}, plots=True)
    assert capfd.readouterr() == ("", "")
    assert run.path.parent == own_folder / "runs" or run.path.parent.resolve() == own_folder / "runs"
    assert run.id == run.path.name
    assert run.id.endswith("-train-small")
    assert (run.status, run.passed, run.command, run.problems) == ("completed", True, "train", [])
    assert (run.config["epochs"], run.config["optimizer"]["lr"]) == (1, 0.05)
    assert run.config["data"]["train_rows"] == 640
    summary = json.loads((run.path / "summary.json").read_text())
    assert run.metrics == summary["metrics"]
    assert run.checks == summary["checks"]
    [row] = run.table("epochs")
    assert row["epoch"] == 1
    assert isinstance(row["epoch"], int)
    assert isinstance(row["valid_loss"], float)
    assert run.rows[0]["epoch"] == 1
    assert run.plot("loss").read_bytes().startswith(b"\x89PNG")
    for wrong, look in (("table 'no'", run.table), ("picture 'no'", run.plot)):
        with pytest.raises(UserError, match=wrong):
            look("no")
    again = mlfound.run("train", run, plots=False)
    assert again.metrics["test_loss"] == run.metrics["test_loss"]
    assert (again.path / "model.safetensors").read_bytes() == (run.path / "model.safetensors").read_bytes()


def test_what_run_json_says_can_be_typed(mlfound):
    path = train(**{"optimizer.lr": 0.05}).path
    line = json.loads((path / "run.json").read_text())["command_line"]
    assert line.startswith("mlfound train 'data.dataset=")
    outcome = mlfound(*shlex.split(line)[1:])
    assert outcome.code == 0
    assert (outcome.path / "config.yaml").read_text() == (path / "config.yaml").read_text()


def test_the_figures_are_those_of_the_command_line(mlfound):
    flags = ("--set=data.dataset=mnist-sample", "--set=model.hidden=[8]", "--threads=1", "--set=epochs=1")
    outcome, run = mlfound("train", *flags), train()
    assert outcome.json("summary.json")["metrics"]["test_loss"] == run.metrics["test_loss"]
    assert outcome.rows("seeds") == list(
        csv.DictReader((run.path / "tables/seeds.csv").read_text().splitlines())
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trian",), "trian: no such command"),
        (("train", "gone.yaml"), "gone.yaml: there is no such file"),
        (("train", {"optimizer.lrr": 1}), r"optimizer\.lrr=1: unknown key.*did you mean 'optimizer\.lr'"),
        (("train", {"optimizer": 3}), "optimizer=3: optimizer: 3 is not valid"),
        (("train", {"epochs": "many"}), "epochs='many': .*whole number"),
        (("train", {"data": {"dataset": "mnist-sample", "train_rows": 10**6}}), r"data\.train_rows=1000000"),
        (("compare", {"runs": ["gone", "too"]}), "gone: no such run"),
    ],
)
def test_what_the_user_must_change(arguments, message, own_folder):
    with pytest.raises(UserError, match=message):
        mlfound.run(*arguments)
    assert not (own_folder / "runs").exists()


def test_a_failed_check_is_a_status(own_folder):
    run = mlfound.run("normalize-check", tolerance=1e-12, **{"data.dataset": "mnist-sample"})
    assert (run.status, run.passed) == ("failed", False)
    assert not all(check["passed"] for check in run.checks)


def test_from_a_thread(capfd):
    runs = []
    threads = [threading.Thread(target=lambda: runs.append(train(plots=True))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert capfd.readouterr() == ("", "")
    first, second = runs
    assert first.path != second.path
    assert first.metrics["test_loss"] == second.metrics["test_loss"]


def train_two(queue):
    run = train(replicates=2, threads="auto", runs_dir="daemonic")
    queue.put((run.facts["processes"], run.metrics["test_loss"]))


@pytest.mark.slow
def test_in_a_process_that_may_have_no_children():
    spawn = multiprocessing.get_context("spawn")
    queue = spawn.Queue()
    process = spawn.Process(target=train_two, args=(queue,), daemon=True)
    process.start()
    processes, loss = queue.get(timeout=120)
    process.join()
    assert processes == 1
    assert loss == train(replicates=2, threads="auto").metrics["test_loss"]


def test_finding_runs(own_folder, monkeypatch):
    assert mlfound.find_runs() == []
    runs = own_folder / "runs"
    for number, (lr, status) in enumerate([(0.1, "completed"), (0.05, "completed"), (0.1, "interrupted")]):
        path = make_run(runs, f"run-{number}", start=f"2026-11-23T04:31:4{number}+00:00", status=status)
        (path / "config.yaml").write_text(yaml.dump({"optimizer": {"lr": lr}, "model": {"hidden": [number]}}))
    make_run(runs, "other", command="compare", start="2026-11-22T04:31:46+00:00")
    (runs / "no-run").mkdir()

    def found(**where):
        where = {key.replace("__", "."): value for key, value in where.items()}
        return [run.id for run in mlfound.find_runs(where)]

    assert found() == ["run-2", "run-1", "run-0", "other"]
    assert found(command="train", optimizer__lr=0.1) == ["run-2", "run-0"]
    assert found(status="completed", model__hidden=(1,)) == ["run-1"]
    assert found(dataset__name="mnist", optimizer__lr=7) == []
    with pytest.raises(UserError, match=r"optimizer\.lrr: no run"):
        found(optimizer__lrr=1)
    monkeypatch.setenv("MLFOUND_RUNS_DIR", str(own_folder / "elsewhere"))
    assert found() == []


def test_what_is_torn_is_empty_in_a_list_and_an_error_in_a_run(tmp_path):
    path = make_run(tmp_path)
    (path / "summary.json").write_text("{")
    [run] = mlfound.find_runs(runs_dir=tmp_path)
    assert run.metrics == {}
    assert run.problem.startswith("summary.json: damaged")
    run.forgiving = False
    (path / "tables/epochs.csv").write_text("a,b\n1\n")
    with pytest.raises(UserError, match=r"epochs\.csv: damaged"):
        run.table("epochs")


def test_a_column_is_numbers_or_text(tmp_path):
    path = make_run(tmp_path)
    lines = ["n,share,empty,word,digest,odd", "1,0.5,,b,12e4,1_0", "2,nan,3,1,ab,2", "-3,1e-05,,2,1,3"]
    (path / "tables/mixed.csv").write_text("\n".join(lines) + "\n")
    [run] = mlfound.find_runs(runs_dir=tmp_path)
    rows = run.table("mixed")
    assert [row["n"] for row in rows] == [1, 2, -3]
    assert rows[0]["share"] == 0.5
    assert math.isnan(rows[1]["share"])
    assert [row["empty"] for row in rows] == [None, 3, None]
    for name in ("word", "digest", "odd"):
        assert all(isinstance(row[name], str) for row in rows)


def test_a_notebook_shows_the_headline_and_the_first_picture(tmp_path):
    summary = {**SUMMARY, "pictures": ["second", "loss"]}
    make_run(tmp_path, plots=("loss", "second"), summary=summary, id="<script>alert(1)</script>")
    [run] = mlfound.find_runs(runs_dir=tmp_path)
    html = run._repr_html_()
    assert "97.50%" in html
    assert html.count("data:image/png;base64,") == 1
    assert 'alt="Second"' in html
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
