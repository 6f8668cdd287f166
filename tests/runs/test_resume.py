"""A run goes on in its own folder: where its checkpoint was, one process at a time, or a line says why not."""

import errno
import fcntl
import io
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch
from rich.console import Console

from mlfound.config.training import TrainConfig
from mlfound.errors import UserError
from mlfound.files import write_whole
from mlfound.results import Checkpoint, Column, Result, Table
from mlfound.runs import previous
from mlfound.runs.recorder import RunRecorder
from mlfound.runs.resume import ResumedRecorder
from mlfound.runs.run import Screen
from mlfound.runs.status import read_facts, seconds_taken
from tests.support.run_folders import png, write_json

MACHINE = {"cpu": "a processor", "packages": {"mlfound": "0.1.0", "torch": "2.6"}}
DATASET = {"name": "mnist", "digest": "0" * 64}


def console():
    return Console(file=io.StringIO())


def resumed(path):
    recorder = ResumedRecorder(path, Screen(console(), arguments=["train", "--resume", str(path)]))
    recorder.environment = MACHINE
    return recorder


def row(epoch):
    return {"epoch": epoch, "seed": 0, "train_loss": 1 / epoch}


def new(tmp_path):
    recorder = RunRecorder("train", tmp_path / "runs", None, Screen(console(), arguments=["train"]))
    recorder.environment = MACHINE
    return recorder


def run_to(tmp_path, epochs, checkpoints=True):
    """The folder of a run that was interrupted after so many epochs, and one whose row no checkpoint counted."""
    with suppress(KeyboardInterrupt), new(tmp_path) as recorder:
        recorder.begin(TrainConfig(), seeds=[0], dataset=DATASET)
        for epoch in range(1, epochs + 1):
            recorder.metrics([row(epoch)], "an epoch")
            if checkpoints:
                recorder.checkpoint(
                    Checkpoint({"w": torch.full((3,), float(epoch))}, {"epoch": epoch}), keep=2
                )
        recorder.metrics([row(epochs + 1)], "an epoch")
        raise KeyboardInterrupt
    return recorder.path


def step(recorder):
    """What a training says after its first step."""
    recorder.progress("training", 1, 2)


def metrics(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def facts(path):
    return json.loads((path / "run.json").read_text())


def test_it_goes_on_where_the_checkpoint_was(tmp_path):
    path = run_to(tmp_path, 3)
    assert facts(path)["status"] == "interrupted"
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 5, "tr')  # torn
    with resumed(path) as recorder:
        assert recorder.last.facts["epoch"] == 3
        assert torch.equal(recorder.last.tensors["w"], torch.full((3,), 3.0))
        assert recorder.rows == [row(1), row(2), row(3)]
        recorder.begin(TrainConfig(), seeds=[0])
        assert facts(path)["status"] == "interrupted", "no step was made"
        step(recorder)
        assert facts(path)["status"] == "running"
        assert read_facts(path)["status"] == "running", "the lock is held"
        recorder.metrics([row(4)], "an epoch")
        recorder.checkpoint(Checkpoint({"w": torch.ones(3)}, {"epoch": 4}), keep=2)
        recorder.finish(Result({"test_accuracy": 0.9}))
    assert metrics(path) == [row(1), row(2), row(3), row(4)]
    told = facts(path)
    assert told["status"] == "completed"
    assert len(told["resumed"]) == 1
    assert "error" not in told
    assert told["end"]
    with resumed(path) as recorder:  # more epochs
        assert recorder.facts["status"] == "completed"
        assert recorder.rows == [row(1), row(2), row(3), row(4)]
        recorder.begin(TrainConfig(epochs=30))
        recorder.finish(Result({"test_accuracy": 0.9}))
    assert len(facts(path)["resumed"]) == 2
    assert "epochs: 30" in (path / "config.yaml").read_text()
    assert (tmp_path / "runs" / "latest").resolve() == path


def test_one_that_ended_before_its_first_checkpoint_starts_again_in_place(tmp_path):
    path = run_to(tmp_path, 2, checkpoints=False)
    with resumed(path) as recorder:
        assert recorder.last is None
        assert recorder.rows == []
        recorder.begin(TrainConfig())
        step(recorder)
        assert (path / "metrics.jsonl").read_bytes() == b""
        recorder.metrics([row(1)], "an epoch")
        recorder.checkpoint(Checkpoint({}, {}), keep=1)
        recorder.finish(Result({}))
    assert metrics(path) == [row(1)]


def test_a_damaged_checkpoint_cuts_the_metrics_to_the_one_before(tmp_path):
    path = run_to(tmp_path, 3)
    (path / "checkpoints" / "000003.json").write_text("{}")
    with resumed(path) as recorder:
        assert recorder.rows == [row(1), row(2)]
        recorder.begin(TrainConfig())
        step(recorder)
    assert metrics(path) == [row(1), row(2)]
    assert "000003.json: damaged; this checkpoint is passed over" in (path / "log.txt").read_text()


def test_nothing_changes_before_it_begins(tmp_path):
    path = run_to(tmp_path, 2)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(UserError), resumed(path):
        raise UserError("another version of torch")
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    with resumed(path) as recorder:  # the lock is free again
        recorder.message("all is well")
        recorder.begin(TrainConfig(epochs=30))
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before, (
        "no step was made"
    )


RESULT = Result(
    {"test_accuracy": 0.9},
    tables=[Table("epochs", "", [Column("epoch")], [[1]])],
    tensors={"w1": torch.ones(2)},
)


def content(path):
    """Of all files that tell what a run is and has come to."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file()
        and ".previous" not in file.relative_to(path).parts
        and file.name not in ("log.txt", ".lock")
    }


@pytest.fixture
def finished(tmp_path):
    """The folder of a run that was completed after two epochs."""
    path = run_to(tmp_path, 2)
    with resumed(path) as recorder:
        recorder.begin(TrainConfig(epochs=2))
        recorder.finish(RESULT)
    (path / "plots" / "loss.png").write_bytes(png(3, 2))
    return path


def test_results_are_set_aside_while_a_run_is_trained_further(finished):
    before = content(finished)
    with suppress(KeyboardInterrupt), resumed(finished) as recorder:
        recorder.begin(TrainConfig(epochs=5))
        assert content(finished) == before
        step(recorder)
        assert not [name for name in previous.RESULTS if (finished / name).exists()]
        assert "epochs: 5" in (finished / "config.yaml").read_text()
        raise KeyboardInterrupt
    aside = content(finished / ".previous")
    assert aside == {name: before[name] for name in aside}, "a whole run, to be looked at"
    assert aside.keys() >= {
        "summary.json",
        "run.json",
        "config.yaml",
        "tables/epochs.csv",
        "model.safetensors",
    }

    (finished / "summary.json").write_text("{}")  # it was killed in the midst of writing new results
    with resumed(finished) as recorder:
        recorder.begin(TrainConfig(epochs=5))
        step(recorder)
        assert content(finished / ".previous") == aside
        assert not (finished / "summary.json").exists()
        recorder.finish(RESULT)
    assert not (finished / ".previous").exists()
    assert (finished / "summary.json").exists()


def test_results_of_before_stay_aside_when_training_further_diverges(finished):
    with resumed(finished) as recorder:
        recorder.begin(TrainConfig(epochs=5))
        recorder.finish(Result({}, "diverged"))
    assert json.loads((finished / ".previous" / "summary.json").read_text())["metrics"] == {
        "test_accuracy": 0.9
    }


def test_a_run_killed_before_its_first_new_step_is_as_it_was(finished, monkeypatch):
    """It is killed at one file operation after the other; the next attempt finds all in its place again."""
    before, calls, running = content(finished), 0, False
    while not running:
        left = iter(range(calls))

        def up_to(operation, left=left):
            def limited(*arguments, **options):
                if next(left, None) is None:
                    raise SystemExit  # and nothing is written behind it
                return operation(*arguments, **options)

            return limited

        with monkeypatch.context() as patch, suppress(SystemExit), resumed(finished) as recorder:
            recorder.begin(TrainConfig(epochs=5))
            for name in ("replace", "mkdir", "fsync"):
                patch.setattr(f"os.{name}", up_to(getattr(os, name)))
            step(recorder)
        recorder.lock.release()  # as the end of its process does
        running = facts(finished)["status"] != "completed"
        if not running:
            with resumed(finished):
                assert content(finished) == before, calls
            assert not (finished / ".previous").exists()
        calls += 1
    assert calls > 15


def test_pauses_are_not_counted_as_time_taken(tmp_path, finished):
    told = facts(finished)
    hours_ago = [(datetime.now(UTC) - timedelta(hours=h)).isoformat() for h in (9, 8)]
    write_json(
        finished / "run.json", told | {"start": hours_ago[0], "end": hours_ago[1], "paused_seconds": 60}
    )
    with resumed(finished) as recorder:
        recorder.begin(TrainConfig(epochs=5))
        recorder.finish(RESULT)
    assert seconds_taken(facts(finished)) == pytest.approx(3540, abs=60)

    write_json(finished / "run.json", facts(finished) | {"status": "running", "end": None})  # it was killed
    for file in finished.iterdir():
        os.utime(file, times=(time.time() - 7200,) * 2)
    with resumed(finished) as recorder:
        recorder.begin(TrainConfig(epochs=5))
        recorder.finish(RESULT)
    assert facts(finished)["paused_seconds"] == pytest.approx(60 + 8 * 3600 + 7200, abs=60)


def test_an_unreadable_checkout_is_said_once(tmp_path):
    recorder = new(tmp_path)
    recorder.environment = {"git": {"unreadable": "fatal: not yours"}}
    with recorder:
        recorder.begin(TrainConfig(), dataset=DATASET)
    log = (recorder.path / "log.txt").read_text()
    assert log.count("run.json has no commit: fatal: not yours\n") == 1
    assert facts(recorder.path)["environment"]["git"] == {"unreadable": "fatal: not yours"}


def test_a_killed_run_is_as_it_was_when_its_resumption_fails_before_the_first_step(tmp_path):
    path = run_to(tmp_path, 2)
    write_json(path / "run.json", facts(path) | {"status": "running", "end": None})
    before = content(path)
    with suppress(MemoryError), resumed(path) as recorder:
        recorder.begin(TrainConfig())
        raise MemoryError
    assert content(path) == before


def test_debris_of_killed_writes_goes(tmp_path):
    path = run_to(tmp_path, 1)
    (path / "tables").mkdir()
    debris = [".run.json-abcd1234", "checkpoints/.000002.safetensors-a_cd1234", "tables/.epochs.csv-abcd1234"]
    for name in debris:
        (path / name).write_text("half")
    with resumed(path) as recorder:
        recorder.begin(TrainConfig())
        step(recorder)
        assert not [name for name in debris if (path / name).exists()]
        assert (path / ".lock").exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_without_locks_it_runs_is_never_called_crashed_and_says_so_in_the_log(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for begin in (lambda: new(tmp_path), lambda: resumed(recorder.path)):
        monkeypatch.setattr("mlfound.files._shortfalls", {})
        with begin() as recorder:
            recorder.begin(TrainConfig(), dataset=DATASET)
            step(recorder)
            assert read_facts(recorder.path)["status"] == "running"
            recorder.checkpoint(Checkpoint({}, {}), keep=1)
            recorder.finish(Result({}))
        assert read_facts(recorder.path)["status"] == "completed"
    [first, second] = (recorder.path / "log.txt").read_text().splitlines()
    assert first == second
    assert first.startswith(f"{recorder.path / '.lock'}: this file system does not support flock (")


def test_a_second_process_is_refused(tmp_path):
    path = run_to(tmp_path, 1)

    def other_process():
        program = (
            "import sys; from pathlib import Path; from mlfound.runs.folder import lock\n"
            "try: lock(Path(sys.argv[1]))\n"
            "except Exception as error: print(error)"
        )
        found = subprocess.run(
            [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
        )
        return found.stdout

    with resumed(path) as recorder:
        assert "another process is running this run" in other_process()
        with pytest.raises(UserError, match="another process is running this run"):
            resumed(path)
        recorder.begin(TrainConfig())
        assert "another process is running this run" in other_process()
    assert other_process() == ""


def test_a_new_run_is_locked_until_it_ends(tmp_path):
    with new(tmp_path) as recorder:
        recorder.begin(TrainConfig(), dataset=DATASET)
        with pytest.raises(UserError, match="another process"):
            resumed(recorder.path)
        recorder.finish(Result({}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "diverged"}, "it diverged"),
        ({"command": "init-stats"}, "only a train run"),
        ({"schema": 99}, "newer"),
        ({"schema": "x"}, "no schema"),
        ({"id": None}, "damaged"),
        ({"resumed": 5}, "damaged"),
        ({"id": "another-run"}, "no checkpoint in it is whole"),
        ({"seeds": 5}, r"damaged \(seeds missing or wrong"),
        ({"bits": "x"}, r"damaged \(bits missing or wrong"),
        ({"bits": ["torch"]}, r"damaged \(bits missing or wrong"),
        ({"status": None}, r"damaged \(status missing"),
        ({"dataset": None}, r"damaged \(dataset\.digest missing"),
        ({"dataset": {"digest": 5}}, r"damaged \(dataset\.digest missing"),
        ({"dataset": [1], "dataset.digest": "0"}, r"damaged \(dataset\.digest missing"),
        ({"environment": "a machine"}, r"damaged \(environment\.cpu, environment\.packages\.mlfound"),
        ({"environment": MACHINE | {"packages": ["torch"]}}, r"damaged \(environment\.packages\.mlfound"),
        (
            {"environment": MACHINE | {"packages": {"mlfound": "0.1.0"}}},
            r"\(environment\.packages\.torch missing",
        ),
        ({"environment": MACHINE | {"cpu": None}}, r"damaged \(environment\.cpu missing"),
    ],
)
def test_runs_that_cannot_go_on(tmp_path, change, message):
    path = run_to(tmp_path, 1)
    write_whole(path / "run.json", json.dumps(facts(path) | change).encode())
    for _ in range(2):  # and no lock is left behind
        with pytest.raises(UserError, match=message):
            resumed(path)


def test_a_folder_that_is_no_run_gets_no_lock(tmp_path):
    with pytest.raises(UserError, match=r"run\.json: there is no such file"):
        resumed(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b'{"epoch": 1, "seed": 0, "train_loss": 1.1}\n', None])
def test_metrics_that_its_checkpoint_did_not_count(tmp_path, content):
    path = run_to(tmp_path, 1)
    if content is None:
        (path / "metrics.jsonl").unlink()
    else:
        (path / "metrics.jsonl").write_bytes(content)
    with pytest.raises(
        UserError, match=r"metrics\.jsonl: (not what its checkpoint noted|there is no such file)"
    ):
        resumed(path)


def test_a_full_disk_is_still_what_the_run_ended_of(tmp_path, monkeypatch):
    """Marking the run as failed fails too: the first error is the one to show."""
    recorder = new(tmp_path)

    def fail(*_):
        raise OSError(28, "No space left on device")

    def train():
        with recorder:
            recorder.begin(TrainConfig(), dataset=DATASET)
            monkeypatch.setattr("os.fsync", fail)
            recorder.checkpoint(Checkpoint({}, {}), keep=1)

    with pytest.raises(OSError, match="No space") as caught:
        train()
    assert caught.value.filename == str(recorder.path / "metrics.jsonl")
    with resumed(recorder.path):
        pass


def link(path):
    path.symlink_to(path.parent.parent / "elsewhere")


OWN = ("run.json", "config.yaml", "metrics.jsonl", "log.txt", "summary.json", "model.safetensors", ".lock")


@pytest.mark.parametrize("make", [link, os.mkfifo, os.mkdir])
@pytest.mark.parametrize("name", [*OWN, "report.html", "checkpoints/000001.json", ".previous/report.html"])
def test_a_folder_that_leads_elsewhere_is_refused(tmp_path, name, make):
    path = run_to(tmp_path, 1)
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).unlink(missing_ok=True)
    make(path / name)
    with pytest.raises(UserError, match=rf"{name}: a (link|pipe|folder), not a file"):
        resumed(path)
    assert not (path.parent / "elsewhere").exists()


@pytest.mark.parametrize("make", [link, os.mkfifo, Path.touch])
@pytest.mark.parametrize("name", ["checkpoints", "tables", "plots", ".previous", ".previous/tables"])
def test_subfolders_that_lead_elsewhere_are_refused(tmp_path, name, make):
    path = run_to(tmp_path, 1, checkpoints=False)
    (path / name).parent.mkdir(exist_ok=True)
    make(path / name)
    with pytest.raises(UserError, match=rf"{name}: a (link|pipe|file), not a folder"):
        resumed(path)


def test_what_else_lies_there_is_no_reason_to_refuse(tmp_path):
    path = run_to(tmp_path, 1)
    (path / "notes").symlink_to(tmp_path)
    (path / "plots" / "of mine").mkdir(parents=True)
    with resumed(path) as recorder:
        assert recorder.rows == [row(1)]
