"""What becomes of one cell: what a worker checks first, earlier attempts, and a folder that travels as bytes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mlfound.data.fetch import fetch
from mlfound.data.registry import DATASETS, find
from mlfound.runs.folder import write_json
from mlfound.runs.reader import Run
from mlfound.sweeps.grid import read_grid
from mlfound.sweeps.worker import Task, UnfitError, code, digests, unpack, work
from tests.support.commands import without_git

SWEEP = Path("runs/20260101-000000-sweep")


@pytest.fixture(autouse=True)
def no_git():
    with without_git():
        yield


def task(*texts: str, shared: bool = True, dataset: str = "mnist-sample") -> Task:
    """The first of two cells of a sweep whose folder is there, or on another machine's disk."""
    settings = [f"data.dataset={dataset}", "data.train_rows=300", "epochs=2", "checkpoint.seconds=0", *texts]
    grid = read_grid(None, [(text, "") for text in settings], "0-1")
    if shared:
        (SWEEP / "cells").mkdir(parents=True)
        write_json(SWEEP / "run.json", {"id": SWEEP.name})
    data = {dataset: {file.name: file.sha256 for file in DATASETS["mnist-sample"].files}}
    return Task(grid.cells[0], SWEEP.resolve(), Path("data"), data, code())


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (
            {"mlfound": "0.0.9"},
            "it has mlfound .*, and the sweep was begun with 0.0.9; install the same there",
        ),
        ({"torch": "1.0"}, "it has torch .* begun with 1.0"),
        ({"code": "0123456789ab"}, "it has code .* begun with 0123456789ab"),
    ],
)
def test_another_version_or_other_sources_do_no_work(what: dict[str, str], said: str) -> None:
    with pytest.raises(UnfitError, match=said):
        work(replace(task(), code={**code(), **what}))
    assert not list(SWEEP.glob("cells/*"))


def test_other_data_do_no_work() -> None:
    ours = task()
    data = {name: {**files, "t10k-labels-idx1-ubyte": "0" * 64} for name, files in ours.data.items()}
    with pytest.raises(
        UnfitError, match="its files of mnist-sample are not those that the sweep was begun with"
    ):
        work(replace(ours, data=data))


def test_a_cell_that_was_done_is_not_done_again() -> None:
    ours = task()
    first = work(ours)
    assert (first.status, first.error) == ("completed", "")
    [facts] = SWEEP.glob("cells/2*/run.json")
    written = facts.stat().st_mtime_ns
    assert work(ours) == first
    assert facts.stat().st_mtime_ns == written


@pytest.mark.parametrize("status", ["interrupted", "running"])
def test_a_training_that_was_broken_off_goes_on(status: str) -> None:
    """`running` with nobody there is what a kill leaves."""
    ours = task()
    run = SWEEP / "cells" / work(ours).folder
    weights = (run / "model.safetensors").read_bytes()
    for name in ("summary.json", "model.safetensors"):
        (run / name).unlink()
    write_json(
        run / "run.json", {**json.loads((run / "run.json").read_text()), "status": status, "end": None}
    )
    again = work(ours)
    assert (again.status, again.folder) == ("completed", run.name)
    assert len(Run(run).facts["resumed"]) == 1
    assert (run / "model.safetensors").read_bytes() == weights


def test_what_cannot_go_on_is_done_anew() -> None:
    ours = task()
    run = SWEEP / "cells" / work(ours).folder
    (run / "run.json").write_text("{")
    again = work(ours)
    assert again.status == "completed"
    assert [each.name for each in SWEEP.glob("cells/2*")] == [again.folder]


def test_a_mistake_that_only_the_command_sees_is_the_outcome() -> None:
    outcome = work(task("data.train_rows=4000000"))
    assert (outcome.status, outcome.folder) == ("failed", "")
    assert "4,000,000 training rows are not available" in outcome.error


def test_without_a_shared_disk_the_run_folder_comes_as_bytes() -> None:
    outcome = work(task(shared=False))
    assert outcome.status == "completed"
    assert not SWEEP.exists()
    cells = Path("here")
    cells.mkdir()
    unpack(outcome, cells)
    unpack(outcome, cells)
    assert [each.name for each in cells.iterdir()] == [outcome.folder], "nothing else, and once"
    run = Run(cells / outcome.folder)
    assert run.status == "completed"
    assert run.metrics["epochs"] == 2
    assert (run.path / "model.safetensors").exists()


def test_a_worker_is_sent_the_data_that_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    made = replace(DATASETS["mnist-sample"], name="made", folder=None)
    monkeypatch.setitem(DATASETS, "made", made)  # type: ignore[index]
    monkeypatch.setenv("MLFOUND_DATA_DIR", "there")
    ours = task(shared=False, dataset="made")
    with pytest.raises(UnfitError, match="it lacks the data made"):
        work(ours)
    files = {each.file: bytes(each.raw) for each in fetch(find("mnist-sample", ""), Path("data"))}
    assert work(ours, {"made": files}).status == "completed"
    assert digests("made", Path("there")) == ours.data["made"]
