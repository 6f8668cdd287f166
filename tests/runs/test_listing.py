"""The list of all runs: whatever lies in the folder, it is listed, marked, and changed by nothing."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from mlfound.errors import UserError
from mlfound.runs import reader
from mlfound.runs.find import find_run
from mlfound.runs.listing import list_runs
from mlfound.runs.status import is_held
from tests.support.run_folders import make_run, write_json


def snapshot(folder):
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


def only(folder):
    [entry] = list_runs(folder)
    return entry


def test_newest_first_whatever_the_names_say(tmp_path):
    make_run(tmp_path, "b", start="2026-11-23T04:00:00.001+00:00")
    make_run(tmp_path, "a", start="2026-11-23T04:00:00.002+00:00")
    make_run(tmp_path, "c", start="2026-11-22T04:00:00.000+00:00")
    make_run(tmp_path, "d", start="2026-11-23T06:00:00.000+05:00")
    (tmp_path / "latest").symlink_to("a")
    assert [entry.id for entry in list_runs(tmp_path)] == ["a", "b", "d", "c"]


def test_what_an_entry_says(tmp_path):
    entry = only(make_run(tmp_path).parent)
    assert (entry.id, entry.command, entry.status) == ("20261123-043146-train", "train", "completed")
    assert entry.seconds == 125.5
    assert entry.metrics["test_accuracy"] == 0.975
    assert [entry.as_json()[f"checks_{verdict}"] for verdict in ("passed", "failed")] == [1, 0]
    assert entry.problem is None
    assert json.loads(json.dumps(entry.as_json()))["path"] == str(entry.path)


def test_no_folder_no_runs(tmp_path):
    assert list_runs(tmp_path / "gone") == []
    (tmp_path / "file").write_text("")
    assert list_runs(tmp_path / "file") == []
    assert list_runs(tmp_path) == [], "a file is no run"


def nested(path):
    (path / "run.json").write_text('{"a": ' * 500 + "1" + "}" * 500)


SPOILERS = {
    "no run.json": (lambda path: (path / "run.json").unlink(), "no run", "run.json: there is no such file"),
    "empty": (lambda path: (path / "run.json").write_text(""), "damaged", "run.json: damaged"),
    "torn": (
        lambda path: (path / "run.json").write_text('{"schema": 1, "id'),
        "damaged",
        "run.json: damaged",
    ),
    "binary": (
        lambda path: (path / "run.json").write_bytes(b"\xff\0\x1b[31m"),
        "damaged",
        "run.json: damaged",
    ),
    "a list": (lambda path: (path / "run.json").write_text("[1]"), "damaged", "run.json: damaged"),
    "deep": (nested, "damaged", "run.json: damaged"),
    "deeper": (lambda path: (path / "run.json").write_text("[" * 100_000), "damaged", "run.json: damaged"),
    "a pipe": (
        lambda path: ((path / "run.json").unlink(), os.mkfifo(path / "run.json")),
        "damaged",
        "no plain",
    ),
    "a folder": (
        lambda path: ((path / "run.json").unlink(), (path / "run.json").mkdir()),
        "damaged",
        "run.json",
    ),
    "a link": (
        lambda path: (path / "run.json").symlink_to(
            (path / "run.json").rename(path / "elsewhere.json").resolve()
        ),
        "damaged",
        "run.json",
    ),
    "huge": (lambda path: os.truncate(path / "run.json", 10**9), "damaged", "larger than"),
    "a long number": (lambda path: (path / "run.json").write_text("1" * 10_000), "damaged", "run.json"),
    "no summary": (
        lambda path: (path / "summary.json").unlink(),
        "completed",
        "summary.json: there is no such file",
    ),
    "torn summary": (
        lambda path: (path / "summary.json").write_text('{"metrics": {'),
        "completed",
        "summary.json: damaged",
    ),
}


@pytest.mark.parametrize("spoil", SPOILERS)
def test_a_spoiled_folder_is_marked_among_good_ones(tmp_path, spoil):
    make_run(tmp_path, "1-good")
    bad = make_run(tmp_path, "2-bad")
    make_run(tmp_path, "3-good")
    spoiler, status, problem = SPOILERS[spoil]
    spoiler(bad)
    before = snapshot(tmp_path)
    entries = {entry.id: entry for entry in list_runs(tmp_path)}
    assert snapshot(tmp_path) == before
    assert len(entries) == 3
    assert entries["1-good"].problem is entries["3-good"].problem is None
    assert entries["2-bad"].status == status
    assert problem in entries["2-bad"].problem
    assert entries["2-bad"].problem.isprintable()


STRANGE = [None, "", 5, -1, 1e400, True, [], {}, "\x1b[31m", ["x"], "9999-99-99", "0001-01-01T00:00:00"]


@pytest.mark.parametrize(
    "key", ["schema", "id", "command", "status", "start", "end", "dataset", "environment"]
)
def test_strange_values_harm_nobody(tmp_path, key):
    for number, value in enumerate(STRANGE):
        path = make_run(tmp_path, f"{number}")
        facts = {**json.loads((path / "run.json").read_text()), key: value}
        write_json(path / "run.json", facts)
    entries = list_runs(tmp_path)
    assert len(entries) == len(STRANGE)
    assert {entry.id for entry in entries} == {path.name for path in tmp_path.iterdir()}
    assert json.dumps([entry.as_json() for entry in entries])


@pytest.mark.parametrize(
    "summary",
    [
        {},
        {"metrics": []},
        {"metrics": {"a": "b", "c": None, "d": [1]}},
        {"checks": {}},
        {"checks": [1, {}]},
    ],
)
def test_strange_summaries(tmp_path, summary):
    path = make_run(tmp_path)
    write_json(path / "summary.json", summary)
    entry = only(tmp_path)
    assert entry.metrics == {}
    assert [entry.as_json()[f"checks_{verdict}"] for verdict in ("passed", "failed")] == [0, 0]


def test_a_verdict_among_the_figures_stays_true_or_false(tmp_path):
    write_json(make_run(tmp_path) / "summary.json", {"metrics": {"overfitting": False, "epochs": 1}})
    metrics = only(tmp_path).as_json()["metrics"]
    assert metrics == {"overfitting": False, "epochs": 1}
    assert metrics["overfitting"] is False


def test_a_newer_schema_is_said(tmp_path):
    make_run(tmp_path, schema=7)
    assert "schema 7: written by a newer mlfound" in only(tmp_path).problem


def test_a_running_run_is_one_whose_lock_is_held(tmp_path):
    """By another process, as it will be; killed, it has crashed."""
    path = make_run(tmp_path, status="running", end=None)
    (path / "summary.json").unlink()
    code = (
        "import sys, filelock\nlock = filelock.FileLock(sys.argv[1])\nlock.acquire()\n"
        "print('held', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, path / ".lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        running = only(tmp_path)
        assert (running.status, running.problem) == ("running", None)
        assert running.seconds > 0, "until now"
        holder.kill()
    before = snapshot(tmp_path)
    crashed = only(tmp_path)
    assert (crashed.status, crashed.seconds) == ("crashed", None)
    assert snapshot(tmp_path) == before


def test_without_a_lock_file_it_has_crashed_and_none_is_made(tmp_path):
    path = make_run(tmp_path, status="running")
    (path / ".lock").unlink()
    assert only(tmp_path).status == "crashed"
    assert not (path / ".lock").exists()


def test_looking_at_a_lock_takes_it_from_nobody(tmp_path):
    path = tmp_path / ".lock"
    path.touch()
    assert not is_held(path)
    with FileLock(path).acquire(timeout=0):
        assert is_held(path)
    assert not is_held(path)


def test_a_run_that_ends_between_two_looks_has_not_crashed(tmp_path, monkeypatch):
    path = make_run(tmp_path, status="running")

    def ends(lock):
        write_json(path / "run.json", {"schema": 1, "status": "completed"})
        return False

    monkeypatch.setattr("mlfound.runs.status.is_held", ends)
    assert only(tmp_path).status == "completed"


def test_a_folder_deleted_while_we_read_is_left_out(tmp_path, monkeypatch):
    make_run(tmp_path, "stays")
    gone = make_run(tmp_path, "gone")
    read = reader.read_facts

    def deleting(path):
        if path == gone:
            subprocess.run(["rm", "-r", gone], check=True)
        return read(path)

    monkeypatch.setattr(reader, "read_facts", deleting)
    assert [entry.id for entry in list_runs(tmp_path)] == ["stays"]


def test_folders_that_come_and_go_all_the_while(tmp_path):
    make_run(tmp_path, "stays")
    stop = threading.Event()

    def come_and_go():
        while not stop.is_set():
            path = make_run(tmp_path, "flickers", status="running")
            for file in [*path.rglob("*.*"), path / ".lock"]:
                file.unlink(missing_ok=True)
            for folder in (path / "tables", path / "plots", path):
                folder.rmdir()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(300):
            assert "stays" in {entry.id for entry in list_runs(tmp_path)}
    finally:
        stop.set()
        thread.join()


def test_a_link_to_itself_hides_no_other_run(tmp_path):
    make_run(tmp_path, "1-good")
    (tmp_path / "self").symlink_to("self")
    assert [entry.id for entry in list_runs(tmp_path)] == ["1-good"]
    assert find_run("1", tmp_path) == tmp_path / "1-good"


def test_a_runs_folder_that_cannot_be_read():
    with pytest.raises(UserError, match="cannot be read"):
        list_runs(Path("x" * 5000))
