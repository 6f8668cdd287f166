"""A run goes on in its own folder: where its checkpoint was, one process at a time, or a line says why not."""

import io
import json
import subprocess
import sys
from contextlib import suppress

import pytest
import torch
from rich.console import Console

from mlfound.config.training import TrainConfig
from mlfound.errors import UserError
from mlfound.files import write_whole
from mlfound.results import Checkpoint, Result
from mlfound.runs.recorder import RunRecorder
from mlfound.runs.resume import ResumedRecorder
from mlfound.runs.status import read_facts

MACHINE = {"packages": {}}


def console():
    return Console(file=io.StringIO())


def resumed(path):
    return ResumedRecorder(path, ["train", "--resume", str(path)], MACHINE, console(), quiet=True)


def row(epoch):
    return {"epoch": epoch, "seed": 0, "train_loss": 1 / epoch}


def new(tmp_path):
    return RunRecorder("train", ["train"], tmp_path / "runs", None, MACHINE, console(), quiet=True)


def run_to(tmp_path, epochs, checkpoints=True):
    """The folder of a run that was interrupted after so many epochs, and one whose row no checkpoint counted."""
    with suppress(KeyboardInterrupt), new(tmp_path) as recorder:
        recorder.begin(TrainConfig(), seeds=[0])
        for epoch in range(1, epochs + 1):
            recorder.metrics([row(epoch)], "an epoch")
            if checkpoints:
                recorder.checkpoint(
                    Checkpoint({"w": torch.full((3,), float(epoch))}, {"epoch": epoch}), keep=2
                )
        recorder.metrics([row(epochs + 1)], "an epoch")
        raise KeyboardInterrupt
    return recorder.path


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
    assert metrics(path) == [row(1), row(2)]
    assert "000003.json: damaged; this checkpoint is passed over" in (path / "log.txt").read_text()


def test_nothing_changes_before_it_begins(tmp_path):
    path = run_to(tmp_path, 2)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(UserError), resumed(path):
        raise UserError("another version of torch")
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    with resumed(path):
        pass  # the lock is free again


def test_debris_of_killed_writes_goes(tmp_path):
    path = run_to(tmp_path, 1)
    (path / "tables").mkdir()
    debris = [".run.json-abcd1234", "checkpoints/.000002.safetensors-a_cd1234", "tables/.epochs.csv-abcd1234"]
    for name in debris:
        (path / name).write_text("half")
    with resumed(path) as recorder:
        recorder.begin(TrainConfig())
        assert not [name for name in debris if (path / name).exists()]
        assert (path / ".lock").exists()


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
        recorder.begin(TrainConfig())
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
    ],
)
def test_runs_that_cannot_go_on(tmp_path, change, message):
    path = run_to(tmp_path, 1)
    write_whole(path / "run.json", json.dumps(facts(path) | change).encode())
    for _ in range(2):  # and no lock is left behind
        with pytest.raises(UserError, match=message):
            resumed(path)


def test_a_folder_that_is_no_run_gets_no_lock(tmp_path):
    with pytest.raises(UserError, match=r"run\.json: missing"):
        resumed(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b'{"epoch": 1, "seed": 0, "train_loss": 1.1}\n', None])
def test_metrics_that_its_checkpoint_did_not_count(tmp_path, content):
    path = run_to(tmp_path, 1)
    if content is None:
        (path / "metrics.jsonl").unlink()
    else:
        (path / "metrics.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=r"metrics\.jsonl: (not what its checkpoint noted|missing)"):
        resumed(path)


def test_a_full_disk_is_still_what_the_run_ended_of(tmp_path, monkeypatch):
    """Marking the run as failed fails too: the first error is the one to show."""
    recorder = new(tmp_path)

    def fail(*_):
        raise OSError(28, "No space left on device")

    def train():
        with recorder:
            recorder.begin(TrainConfig())
            monkeypatch.setattr("os.fsync", fail)
            recorder.checkpoint(Checkpoint({}, {}), keep=1)

    with pytest.raises(OSError, match="No space") as caught:
        train()
    assert caught.value.filename == str(recorder.path / "metrics.jsonl")
    with resumed(recorder.path):
        pass
