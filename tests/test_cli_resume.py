"""`mlfound train --resume`: goes on in the same folder by the folder's own config, or says why not."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlfound.runs import folder
from tests.support.commands import refused

QUICK = (
    "--set",
    "data.dataset=mnist-sample",
    "--set",
    "epochs=2",
    "--set",
    "checkpoint.seconds=0",
    "--no-plots",
)


def edited(path, **changes):
    """`run.json` with other facts."""
    facts = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(facts | changes))


def weights(path):
    return (path / "model.safetensors").read_bytes()


@pytest.fixture
def broken_off(mlfound):
    """A run of four epochs that says it was broken off; its last checkpoint is that of the end."""
    path = mlfound("train", "--no-plots", *QUICK, "--set", "epochs=4", "--set", "schedule=constant").path
    edited(path, status="interrupted")
    return path


def test_an_interrupted_run_goes_on_to_the_same_bits(mlfound):
    """A real process and a real Ctrl-C, somewhere in the middle of it."""
    options = [*QUICK, "--set", "epochs=40", "--replicates", "2", "--threads", "1"]
    whole = mlfound("train", *options, "--name", "whole").path
    command = [sys.executable, "-m", "mlfound", "train", *options, "--name", "broken"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("epoch   3"):
            process.send_signal(signal.SIGINT)
            break
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    [path] = Path("runs").glob("*-broken")
    assert f"mlfound train --resume {path}" in rest
    assert json.loads((path / "run.json").read_text())["status"] == "interrupted"
    assert not (path / "model.safetensors").exists()

    outcome = mlfound("train", "--no-plots", "--resume", path.name)
    assert outcome.code == 0
    assert outcome.path == path
    assert weights(path) == weights(whole)
    run = outcome.json("run.json")
    assert (run["status"], len(run["resumed"])) == ("completed", 1)
    told = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["seed"]) for row in told] == [(e, s) for e in range(1, 41) for s in (0, 1)]


@pytest.mark.parametrize(
    "model", [["model.hidden=[20]"], ["model.name=cnn", "model.channels=[4, 8]", "model.kernels=[5, 3]"]]
)
def test_weights_that_were_fitted_to_images_repeat_and_go_on(mlfound, model):
    options = [*QUICK, "schedule=constant", "data.train_rows=2000", "threads=1", "model.init=lsuv", *model]
    whole, again = (mlfound("train", *options) for _ in range(2))
    assert whole.code == 0, whole
    assert weights(whole.path) == weights(again.path)
    half = mlfound("train", *options, "epochs=1")
    assert weights(half.path) != weights(whole.path)
    outcome = mlfound("train", "--no-plots", "--resume", half.path, "epochs=2")
    assert outcome.code == 0, outcome
    assert weights(half.path) == weights(whole.path)


def test_its_config_can_be_looked_at(mlfound, broken_off):
    outcome = mlfound("train", "--resume", broken_off, "--print-config")
    assert (outcome.code, outcome.out) == (0, (broken_off / "config.yaml").read_text())


def test_its_config_is_not_read_from_elsewhere(mlfound, broken_off):
    (broken_off / "config.yaml").rename("elsewhere.yaml")
    (broken_off / "config.yaml").symlink_to(Path("elsewhere.yaml").resolve())
    for options in ((), ("--print-config",)):
        refused(
            mlfound("train", "--resume", broken_off, *options),
            "config.yaml: a link, not a file",
        )


def test_a_complete_run_has_nothing_left_to_do(mlfound, monkeypatch):
    path = mlfound("train", *QUICK).path
    before = (path / "run.json").read_bytes()
    outcome = mlfound("train", "--no-plots", "--resume", "latest")
    assert (outcome.code, outcome.path.resolve()) == (0, path.resolve())
    assert "complete" in outcome.err
    monkeypatch.chdir(path)
    summary = json.loads(mlfound("train", "--no-plots", "--resume", ".", "--json").out)
    assert (summary["id"], summary["status"]) == (path.name, "completed")
    assert summary["metrics"] == json.loads(Path("summary.json").read_text())["metrics"]
    assert Path("run.json").read_bytes() == before


@pytest.mark.parametrize("name", [".", "../X", "../../runs/X"])
def test_it_can_be_named_from_within(mlfound, broken_off, monkeypatch, name):
    broken_off = broken_off.resolve()
    monkeypatch.chdir(broken_off)
    summary = json.loads(
        mlfound("train", "--no-plots", "--resume", name.replace("X", broken_off.name), "--json").out
    )
    assert (summary["id"], summary["status"]) == (broken_off.name, "completed")
    assert Path(summary["path"]).resolve() == broken_off
    assert json.loads(mlfound("runs", "show", name.replace("X", broken_off.name), "--json").out)["id"]


def test_a_complete_run_without_its_checkpoints_is_not_trained_again(mlfound):
    path = mlfound("train", *QUICK, "--set", "schedule=constant").path
    shutil.rmtree(path / "checkpoints")
    refused(
        mlfound("train", "--resume", path, "--set", "epochs=5"),
        "checkpoints",
        "2 epochs",
        "config.yaml",
    )


HALF = "{name: constant, from: 0.5, share: 0.5}"


@pytest.mark.parametrize("schedule", ["constant", f"[{HALF}, {HALF}]"])
def test_a_constant_schedule_can_be_trained_further(mlfound, schedule):
    options = [*QUICK, "--set", f"schedule={schedule}"]
    path = mlfound("train", *options, "--name", "short").path
    further = mlfound("train", "--no-plots", "--resume", path, "--set", "epochs=5")
    assert further.code == 0
    assert [row["epoch"] for row in further.rows("epochs")] == list("12345")
    assert weights(path) == weights(mlfound("train", *options, "--set", "epochs=5", "--name", "long").path)


@pytest.mark.slow
def test_no_figure_of_before_stands_beside_the_config_of_a_run_trained_further(mlfound):
    """A real process, killed in the midst of it."""
    path = mlfound("train", *QUICK, "--set", "schedule=constant").path
    further = ("--set", "epochs=3000", "--threads", "1")
    command = [sys.executable, "-m", "mlfound", "train", "--resume", path, *further]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    next(line for line in process.stderr if line.startswith("epoch"))
    process.kill()
    process.communicate()
    [entry] = json.loads(mlfound("runs", "--json").out)
    assert (entry["status"], entry["metrics"], entry["problem"]) == ("crashed", {}, None)
    shown = json.loads(mlfound("runs", "show", path, "--json").out)
    assert (shown["metrics"], shown["plots"], shown["tables"]) == ({}, [], ["tables/metrics.csv"])
    assert "epochs: 3000" in shown["config"]
    assert "3000" not in mlfound("runs", "show", path / ".previous").out


def test_pieces_that_differ_cannot_be_trained_further(mlfound):
    pieces = f"[{HALF}, {HALF.replace('from: 0.5', 'from: 1')}]"
    path = mlfound("train", *QUICK, "--set", f"schedule={pieces}").path
    refused(
        mlfound("train", "--resume", path, "--set", "epochs=5"),
        "epochs=5",
        "only a constant schedule",
    )


def test_a_schedule_that_was_planned_cannot(mlfound):
    path = mlfound("train", *QUICK).path
    outcome = mlfound("train", "--no-plots", "--resume", path, "--set", "epochs=5")
    refused(outcome, "--set epochs=5", "one-cycle", "only a constant schedule")
    refused(
        mlfound("train", "--resume", path, "--set", "schedule=constant", "--set", "epochs=5"),
        "schedule",
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seed", "3"], ["--seed 3", "3 where the checkpoint has 0", "cannot change"]),
        (["--set", "optimizer.lr=0.3"], ["optimizer.lr", "0.3 where the checkpoint has 0.1"]),
        (["--set", "model.hidden=[60]"], ["model.hidden"]),
        (
            ["--set", "engine=modules", "--set", "product=matmul"],
            ["engine=modules", "where the checkpoint has buffers"],
        ),
        (["--replicates", "2"], ["replicates"]),
        (["--set", "epochs=3"], ["epochs=3", "4 epochs", "more"]),
        (["--name", "other"], ["--name other", "leave it out"]),
        (["configs/mlp.yaml"], ["configs/mlp.yaml", "leave it out"]),
    ],
)
def test_what_cannot_change(mlfound, broken_off, options, words):
    before = {file: file.read_bytes() for file in broken_off.rglob("*") if file.is_file()}
    refused(mlfound("train", "--resume", broken_off, *options), *words)
    assert {file: file.read_bytes() for file in broken_off.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("augment={shift: 1}", "augment=null"),
        ("augment=null", "augment={shift: 1}"),
        ("early_stop=null", "early_stop={patience: 3}"),
    ],
)
def test_a_section_can_be_neither_left_out_nor_added(mlfound, then, now):
    path = mlfound("train", "--no-plots", *QUICK, then).path
    edited(path, status="interrupted")
    outcome = mlfound("train", "--no-plots", "--resume", path, now)
    refused(outcome, now.partition("=")[0], "where the checkpoint has", "cannot change it")


def test_a_run_that_was_stopped_early_goes_on_to_its_planned_end(mlfound):
    steep = "optimizer.lr=0.4", "optimizer.momentum=0", "schedule=constant", "epochs=8"
    path = mlfound("train", *QUICK, *steep, "early_stop={patience: 1}").path
    stopped = len((path / "metrics.jsonl").read_text().splitlines())
    further = mlfound("train", "--no-plots", "--resume", path, "early_stop=null")
    assert further.code == 0, further
    assert stopped < 8 == len(further.rows("epochs"))


def test_how_often_to_keep_may_change(mlfound, broken_off):
    assert mlfound("train", "--no-plots", "--resume", broken_off, "--set", "checkpoint.keep=5").code == 0


def test_other_data_and_other_versions_are_refused(mlfound, broken_off):
    facts = json.loads((broken_off / "run.json").read_text())
    edited(broken_off, dataset={**facts["dataset"], "digest": "0" * 64})
    refused(
        mlfound("train", "--resume", broken_off),
        "data.dataset",
        "not what this run was begun with",
    )
    packages = {**facts["environment"]["packages"], "mlfound": "0.0.1"}
    edited(broken_off, dataset=facts["dataset"], environment={**facts["environment"], "packages": packages})
    refused(mlfound("train", "--resume", broken_off), "mlfound is", "begun with 0.0.1")


@pytest.mark.parametrize(
    "name",
    [
        "ATEN_CPU_CAPABILITY",
        pytest.param("ONEDNN_MAX_CPU_ISA", marks=pytest.mark.slow),
        pytest.param("MKL_CBWR", marks=pytest.mark.slow),
    ],
)
def test_what_makes_other_bits_is_refused_and_can_be_allowed(broken_off, name):
    """A real process with the variable set: the first two choose less than this CPU can do."""
    value = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}[name]

    def resume(*options):
        command = [sys.executable, "-m", "mlfound", "train", "--resume", broken_off, "--quiet"]
        return subprocess.run(
            [*command, *options], env={**os.environ, name: value}, capture_output=True, text=True
        )

    ended = resume()
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    said = (
        "instructions is DEFAULT, then"
        if name == "ATEN_CPU_CAPABILITY"
        else f"{name} is {value}, then not set"
    )
    assert said in ended.stderr
    assert "checkpoint.allow_other_bits" in ended.stderr
    if name != "ONEDNN_MAX_CPU_ISA":
        return  # one is enough to show what follows
    assert resume("--set", "checkpoint.allow_other_bits=true").returncode == 0
    run = json.loads((broken_off / "run.json").read_text())
    assert value.lower() in {each.lower() for each in run["bits"].values()}
    assert said in (broken_off / "log.txt").read_text()


def test_another_cpu_or_torch_is_refused(mlfound, broken_off):
    bits = json.loads((broken_off / "run.json").read_text())["bits"]
    for other in ({"cpu": "Zilog Z80"}, {"torch": "1.0"}):
        edited(broken_off, bits={**bits, **other})
        [(name, value)] = other.items()
        refused(mlfound("train", "--resume", broken_off), f"{name} is {bits[name]}, then {value}")
    edited(broken_off, bits=None)
    refused(mlfound("train", "--resume", broken_off), "then not set")


def test_a_run_that_someone_else_holds(mlfound, broken_off):
    lock = folder.lock(broken_off)
    try:
        refused(mlfound("train", "--resume", broken_off), str(broken_off))
    finally:
        lock.release()


def test_no_such_run_and_no_train_run(mlfound):
    refused(mlfound("train", "--resume", "nowhere"), "nowhere", "no such run")
    path = mlfound("normalize-check", "--no-plots", "--set", "data.dataset=mnist-sample").path
    refused(mlfound("train", "--resume", path), "only a train run")


@pytest.mark.parametrize("name", ["run.json", "config.yaml"])
def test_a_folder_that_lacks_something(mlfound, broken_off, name):
    (broken_off / name).unlink()
    refused(mlfound("train", "--resume", broken_off), name)


def test_a_run_killed_before_its_first_checkpoint_begins_again(mlfound, broken_off):
    wanted = weights(broken_off)
    shutil.rmtree(broken_off / "checkpoints")
    (broken_off / "model.safetensors").unlink()
    outcome = mlfound("train", "--no-plots", "--resume", broken_off)
    assert outcome.code == 0
    assert "no checkpoint: the 4 epochs so far are trained again" in outcome.err
    assert weights(broken_off) == wanted
    assert [row["epoch"] for row in outcome.rows("epochs")] == list("1234")


def test_a_diverged_run_says_where_and_does_not_go_on(mlfound):
    options = [*QUICK, "--set", "optimizer.lr=1e25", "--set", "schedule=constant"]
    outcome = mlfound("train", "--no-plots", *options)
    assert outcome.code == 1
    assert "diverged at step 2, in epoch 1: the loss of seed 0" in outcome.out
    assert "diverged at step 2" in mlfound("train", "--no-plots", *options, "--quiet").err, (
        "errors are said all the same"
    )
    assert outcome.json("run.json")["status"] == "diverged"
    assert not (outcome.path / "model.safetensors").exists()
    assert yaml.safe_load((outcome.path / "config.yaml").read_text())["optimizer"]["lr"] == 1e25
    refused(mlfound("train", "--resume", outcome.path), "diverged", "optimizer.lr")
