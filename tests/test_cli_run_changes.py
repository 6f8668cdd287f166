"""`mlfound runs tag`, `note`, `diff` and `delete`: what they change, and what they never touch."""

import fcntl
import json
import os
import shutil
import stat
from errno import ENOLCK
from pathlib import Path

import pytest
from filelock import FileLock

from mlfound.runs import deleting
from mlfound.runs.folder import point_latest
from tests.support.commands import refused
from tests.support.run_folders import SUMMARY, make_run

RUNS = Path("runs")
FIRST, SECOND, THIRD = "20261122-080000-train", "20261123-090000-train", "20261124-090000-compare"


@pytest.fixture(autouse=True)
def three_runs():
    for day, name in enumerate((FIRST, SECOND, THIRD), start=22):
        make_run(RUNS, name, plots=(), start=f"2026-11-{day}T08:00:00+00:00", end=None)
    point_latest(RUNS / THIRD)


def left():
    return sorted(path.name for path in RUNS.iterdir() if path.name != "latest")


def test_tags_and_a_note_are_kept_shown_and_found(mlfound):
    assert mlfound("runs", "tag", "20261122", "baseline", "lr=0.1").out == f"{FIRST}: baseline, lr=0.1\n"
    assert mlfound("runs", "tag", FIRST, "baseline", "größer").out == f"{FIRST}: baseline, lr=0.1, größer\n"
    assert mlfound("runs", "note", FIRST, " with the [old] cache ").out == f"{FIRST}: with the [old] cache\n"
    [found] = json.loads(mlfound("runs", "--where", "tags=baseline", "--json").out)
    assert (found["id"], found["tags"]) == (FIRST, ["baseline", "lr=0.1", "größer"])
    assert found["note"] == "with the [old] cache"
    shown = mlfound("runs", "show", FIRST).out.splitlines()
    assert {"tags: baseline, lr=0.1, größer", "note: with the [old] cache"} <= set(shown)
    assert "baseline lr=0.1 größer" in mlfound("runs").out
    assert mlfound("runs", "tag", FIRST, "--remove", "lr=0.1", "größer").out == f"{FIRST}: baseline\n"
    assert mlfound("runs", "note", FIRST, "").out == f"{FIRST}: no note\n"
    assert mlfound("runs", "tag", FIRST, "--remove", "baseline").out == f"{FIRST}: no tags\n"
    assert not (RUNS / FIRST / "notes.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tag", FIRST, "a\x1b[31m"), ("tag 'a\\x1b[31m'", "letters and digits")),
        (("tag", FIRST, "two words"), ("tag 'two words'",)),
        (("tag", FIRST, "a,b"), ("tag 'a,b'",)),
        (("tag", FIRST, ""), ("tag ''",)),
        (("tag", FIRST, "x" * 33), ("1 to 32 letters",)),
        (("tag", FIRST, "\u202egnp"), ("tag '\\u202egnp'",)),
        (("tag", FIRST, "good", "\n"), ("tag '\\n'",)),
        (("tag", FIRST, "--remove", "basline"), ("'basline'", "no such tag", "'baseline'")),
        (("tag", FIRST, "--remove", "zzz"), ("it has baseline",)),
        (("tag", "2025", "good"), ("2025: no such run",)),
        (("tag", ".", "good"), ("run.json: there is no such file",)),
        (("note", FIRST, "a\nb"), ("note 'a\\nb'", "one line")),
        (("note", FIRST, "x" * 1001), ("at most 1,000 characters",)),
        (("diff", FIRST, "2025"), ("2025: no such run",)),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_and_changes_nothing(mlfound, arguments, words):
    mlfound("runs", "tag", FIRST, "baseline")
    before = (RUNS / FIRST / "notes.json").read_bytes()
    refused(mlfound("runs", *arguments), *words)
    assert (RUNS / FIRST / "notes.json").read_bytes() == before


@pytest.mark.parametrize("content", ["{", "[]", '{"tags": 7, "note": []}', '{"tags": ["\\u001b[31m", 3]}'])
def test_notes_that_another_wrote_harm_no_list(mlfound, content):
    (RUNS / FIRST / "notes.json").write_text(content)
    outcome = mlfound("runs")
    assert outcome.code == 0
    assert len(outcome.out.splitlines()) == 4
    assert "\x1b" not in outcome.out
    assert mlfound("runs", "show", FIRST).code == 0


def test_a_link_in_the_place_of_the_notes_is_replaced_and_never_followed(mlfound):
    Path("elsewhere.json").write_text('{"tags": ["theirs"]}')
    (RUNS / FIRST / "notes.json").symlink_to(Path("elsewhere.json").resolve())
    refused(mlfound("runs", "tag", FIRST, "mine"), "notes.json", "link")
    assert "theirs" not in mlfound("runs", "--columns", "tags").out
    assert Path("elsewhere.json").read_text() == '{"tags": ["theirs"]}'


def test_diff_says_what_differs_and_nothing_else(mlfound):
    summary = {**SUMMARY, "metrics": {**SUMMARY["metrics"], "test_accuracy": 0.98, "test_loss": 0.1}}
    path = make_run(RUNS, "other", summary=summary, device="cuda", start="2026-11-25T08:00:00+00:00")
    (path / "config.yaml").write_text("epochs: 10\noptimizer:\n  lr: 0.05\n  momentum: 0.9\n")
    out = mlfound("runs", "diff", FIRST, "other").out
    assert [line.split() for line in out.splitlines()] == [
        [FIRST, "other"],
        ["config"], ["optimizer.lr", "0.1", "0.05"], ["optimizer.momentum", "0.9"],
        ["run.json"], ["device", "cpu", "cuda"],
        ["figures"], ["test_accuracy", "97.50%", "98.00%"], ["test_loss", "0.1"],
    ]  # fmt: skip
    document = json.loads(mlfound("runs", "diff", FIRST, "other", "--json").out)
    assert document["runs"] == [FIRST, "other"]
    assert document["run.json"] == [["device", "cpu", "cuda"]]
    assert document["config"][1] == ["optimizer.momentum", "", "0.9"]


def test_diff_of_a_run_with_itself(mlfound):
    assert mlfound("runs", "diff", FIRST, FIRST).out.splitlines()[1:] == [
        f"{title}: no difference" for title in ("config", "run.json", "figures")
    ]


def test_delete_asks_and_latest_moves_on(mlfound):
    for answer in ("n\n", "\n", "yesterday\n"):
        outcome = mlfound("runs", "delete", "latest", typed=answer)
        assert (outcome.code, outcome.out.splitlines()[-1]) == (0, "Nothing was deleted.")
        assert "Delete this run, 0.00 MB? [y/N]" in outcome.err
    assert left() == [FIRST, SECOND, THIRD]
    outcome = mlfound("runs", "delete", "latest", THIRD, typed="y\n")
    assert outcome.code == 0
    assert outcome.out.splitlines()[0].startswith(f"runs/{THIRD}  0.00 MB")
    assert outcome.out.splitlines()[-1] == "Deleted: 1."
    assert left() == [FIRST, SECOND]
    assert os.readlink(RUNS / "latest") == SECOND
    assert mlfound("runs", "delete", FIRST, "--yes").code == 0
    assert os.readlink(RUNS / "latest") == SECOND, "it points to a run that is still there"
    assert mlfound("runs", "delete", f"runs/{SECOND}/", "--yes").code == 0
    assert list(RUNS.iterdir()) == [], "no run is left, and no pointer"


def test_latest_as_a_text_file_moves_on_too(mlfound):
    (RUNS / "latest").unlink()
    (RUNS / "latest").write_text(f"{THIRD}\n")
    assert mlfound("runs", "delete", "runs/latest", "--yes").code == 0
    assert left() == [FIRST, SECOND]
    assert mlfound("runs", "show", "latest").path == RUNS / SECOND


def test_where_nobody_answers_nothing_is_deleted(mlfound):
    outcome = mlfound("runs", "delete", FIRST)
    assert outcome.code == 2
    assert "--yes" in outcome.err.splitlines()[-1]
    assert left() == [FIRST, SECOND, THIRD]


def make_thesis():
    (RUNS / "thesis").mkdir()
    (RUNS / "thesis/text.txt").write_text("years")
    return "thesis"


def make_other_program():
    (RUNS / "20261122-080001-train").mkdir()
    (RUNS / "20261122-080001-train/run.json").write_text('{"colour": "red"}')
    (RUNS / "20261122-080001-train/thesis.txt").write_text("years")
    return "20261122-080001-train"


def make_outside():
    return str(make_run(Path("else"), "20261122-080000-else"))


def make_link():
    (RUNS / "20261122-link").symlink_to(Path(make_outside()).resolve())
    return "20261122-link"


def make_inner_link():
    (RUNS / "20261122-link").symlink_to(FIRST)
    return "20261122-link"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (make_thesis, "this is no run"),
        (make_other_program, "this is no run"),
        (make_outside, "not in runs"),
        (make_link, "a link"),
        (make_inner_link, "a link"),
        (lambda: ".", "not in runs"),
        (lambda: "runs", "not in runs"),
        (lambda: f"runs/{FIRST}/tables", "not in runs"),
        (lambda: f"runs/{FIRST}/..", "not in runs"),
        (lambda: "2026", "several runs begin so"),
        (lambda: "2025", "no such run"),
        (lambda: "", "no such run"),
        (lambda: "\x1b[31m", "\\x1b[31m: no such run"),
    ],
)
def test_what_is_no_run_of_the_folder_stays_and_so_does_all_else(mlfound, make, said):
    name = make()
    before = sorted(Path().rglob("*"))
    refused(mlfound("runs", "delete", FIRST, name, "--yes"), said)
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("where", ["before", "after the question"])
def test_a_running_run_is_never_deleted(mlfound, where, monkeypatch):
    path = make_run(RUNS, "20261125-080000-train", status="running")
    lock = FileLock(path / ".lock")
    if where == "before":
        lock.acquire()
    else:  # it is taken up again meanwhile
        monkeypatch.setattr("mlfound.cli.run_changes.agreed", lambda question: bool(lock.acquire()))
    outcome = mlfound("runs", "delete", path.name)
    assert outcome.code == 2
    assert "this run is running" in outcome.err
    assert (path / "run.json").exists()
    lock.release()
    assert mlfound("runs", "delete", path.name, "--yes").code == 0, "it has crashed"
    assert not path.exists()


def test_a_completed_run_that_is_taken_up_again_is_not_deleted_nor_are_those_beside_it(mlfound):
    with FileLock(RUNS / SECOND / ".lock").acquire(timeout=0):
        outcome = mlfound("runs", "delete", FIRST, SECOND, "--yes")
    assert (outcome.code, "another process is running this run" in outcome.err) == (2, True)
    assert left() == [FIRST, SECOND, THIRD]


def test_on_a_disk_without_locks_what_has_ended_can_be_deleted(mlfound, monkeypatch):
    def lacking(descriptor, operation):
        raise OSError(ENOLCK, "No locks available")

    make_run(RUNS, "20261125-080000-train", status="running")
    monkeypatch.setattr(fcntl, "flock", lacking)
    assert mlfound("runs", "delete", FIRST, "--yes").code == 0
    refused(mlfound("runs", "delete", "20261125", "--yes"), "this run is running")
    assert left() == [SECOND, THIRD, "20261125-080000-train"]


@pytest.mark.parametrize("name", ["run.json", "summary.json", "tables", "plots"])
def test_links_in_a_run_are_removed_and_what_they_point_to_stays(mlfound, name):
    Path("precious").mkdir()
    Path("precious/run.json").write_text((RUNS / FIRST / "run.json").read_text())
    shutil.rmtree(RUNS / FIRST / "plots")
    target = (
        Path("precious").resolve() if name in ("tables", "plots") else Path("precious/run.json").resolve()
    )
    if (RUNS / FIRST / name).is_dir():
        shutil.rmtree(RUNS / FIRST / name)
    else:
        (RUNS / FIRST / name).unlink(missing_ok=True)
    (RUNS / FIRST / name).symlink_to(target)
    assert mlfound("runs", "delete", FIRST, "--yes").code == 0
    assert FIRST not in left()
    assert list(Path("precious").iterdir()) == [Path("precious/run.json")]


@pytest.mark.parametrize("spoil", ["torn", "missing"])
def test_a_run_folder_without_a_run_json_to_read_can_be_deleted(mlfound, spoil):
    if spoil == "torn":
        (RUNS / FIRST / "run.json").write_text('{"schema": 1, "id')
    else:
        (RUNS / FIRST / "run.json").unlink()
    (RUNS / FIRST / ".run.json-0123abcd").touch()
    assert mlfound("runs", "delete", FIRST, "--yes").code == 0
    assert left() == [SECOND, THIRD]


def test_a_run_half_deleted_is_never_listed(mlfound, monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(deleting, "remove", interrupted)
    assert mlfound("runs", "delete", FIRST, "--yes").code == 130
    monkeypatch.setattr(deleting, "remove", shutil.rmtree)
    assert [run["id"] for run in json.loads(mlfound("runs", "--json").out)] == [THIRD, SECOND]
    assert mlfound("runs", "delete", SECOND, "--yes").code == 0
    assert left() == [THIRD], "what the first left behind is gone, too"


def test_a_runs_folder_behind_a_link(mlfound):
    RUNS.rename("real")
    RUNS.symlink_to("real")
    assert mlfound("runs", "delete", FIRST, f"real/{SECOND}", "--yes").code == 0
    assert left() == [THIRD]
    assert stat.S_ISLNK(RUNS.lstat().st_mode)


def spent(name, *gone, **facts):
    """A run that ended long ago, without these files."""
    path = make_run(RUNS, name, plots=(), **facts)
    for each in gone:
        (path / each).unlink()
    os.utime(path, (0, 0))
    return path


def test_gc_takes_what_has_no_results_and_no_checkpoint_and_nothing_else(mlfound):
    spent("20261101-080000-train", "summary.json", status="failed")
    spent("20261102-080000-train", "summary.json", "run.json", "config.yaml", "log.txt")
    spent("20261103-080000-train", status="failed")
    (spent("20261104-080000-train", "summary.json", status="interrupted") / "checkpoints").mkdir()
    (RUNS / "20261104-080000-train/checkpoints/step-1.safetensors").touch()
    mlfound("runs", "tag", spent("20261105-080000-train", "summary.json", status="failed").name, "mine")
    (make_run(RUNS, "20261106-080000-train", status="failed") / "summary.json").unlink()  # just now
    make_thesis()
    for path in RUNS.iterdir():
        if path.name != "20261106-080000-train":
            os.utime(path, (0, 0))
    before = left()
    outcome = mlfound("runs", "gc", typed="n\n")
    assert [line.split()[0] for line in outcome.out.splitlines()] == [
        "runs/20261101-080000-train", "runs/20261102-080000-train", "Nothing"
    ]  # fmt: skip
    assert left() == before
    assert mlfound("runs", "gc", "--yes").code == 0
    assert left() == sorted(set(before) - {"20261101-080000-train", "20261102-080000-train"})
    assert mlfound("runs", "gc").out == "Every run in runs has results, can be resumed, or is tagged.\n"
