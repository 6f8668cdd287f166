"""A run folder read for its page: what is there, what is torn, and what somebody has put there."""

import json
import os

import pytest

from mlfound.errors import UserError
from mlfound.runs import contents
from mlfound.runs.contents import read_contents
from mlfound.runs.pages import write_page
from tests.support.run_folders import SUMMARY, make_run, png, write_json


def test_a_whole_run(tmp_path):
    read = read_contents(make_run(tmp_path))
    assert read.problems == []
    assert read.facts["id"] == "20261123-043146-train"
    assert read.seconds == 125.5
    assert read.summary == SUMMARY
    assert read.config.startswith("epochs: 10")
    assert read.log == "mnist: 50,000 train\n"
    [sheet] = read.sheets
    assert (sheet.name, sheet.total, sheet.header[0]) == ("epochs", 3, "epoch")
    assert sheet.rows[0] == ["1", "0.25", "0.93", "0.5", "b10"]
    [plot] = read.plots
    assert (plot.name, plot.width, plot.height) == ("loss", 90, 60)


def test_the_order_is_that_of_the_summary_then_of_the_alphabet(tmp_path):
    summary = {**SUMMARY, "pictures": ["loss", "gone", "../run", 5, ["accuracy"]]}
    path = make_run(tmp_path, plots=("accuracy", "loss", "weights"), summary=summary)
    assert [plot.name for plot in read_contents(path).plots] == ["loss", "accuracy", "weights"]


def test_no_run(tmp_path):
    with pytest.raises(UserError, match=r"run\.json: there is no such file"):
        read_contents(tmp_path)
    with pytest.raises(UserError, match=r"run\.json: there is no such file"):
        write_page(tmp_path)
    assert list(tmp_path.iterdir()) == []


def replaced(name, make):
    """A spoiler that puts something else in the place of a file."""

    def spoil(path):
        (path / name).unlink()
        make(path / name)

    return spoil


def linked(name):
    """A spoiler that moves a file out of the folder, and leaves a link to it."""

    def spoil(path):
        outside = (path / name).rename(path.parent / "outside")
        (path / name).symlink_to(outside)

    return spoil


SPOILERS = {
    "csv torn": (
        lambda path: (path / "tables/epochs.csv").write_text("a,b\n1\n"),
        "tables/epochs.csv: damaged",
    ),
    "csv quotes": (
        lambda path: (path / "tables/epochs.csv").write_text('a\n"b'),
        "tables/epochs.csv: damaged",
    ),
    "csv cell": (
        lambda path: (path / "tables/epochs.csv").write_text("a\n" + "x" * 200_000),
        "tables/epochs.csv: damaged",
    ),
    "csv huge": (lambda path: os.truncate(path / "tables/epochs.csv", 10**9), "tables/epochs.csv: larger"),
    "csv pipe": (replaced("tables/epochs.csv", os.mkfifo), "tables/epochs.csv: a pipe, not a file"),
    "csv link": (linked("tables/epochs.csv"), "tables/epochs.csv: a link, not a file"),
    "png torn": (lambda path: os.truncate(path / "plots/loss.png", 20), "plots/loss.png: damaged"),
    "png other": (lambda path: (path / "plots/loss.png").write_text("<svg>" * 10), "plots/loss.png: damaged"),
    "png huge": (lambda path: os.truncate(path / "plots/loss.png", 10**8), "plots/loss.png: larger"),
    "png link": (linked("plots/loss.png"), "plots/loss.png"),
    "no config": (lambda path: (path / "config.yaml").unlink(), "config.yaml: there is no such file"),
    "no summary": (lambda path: (path / "summary.json").unlink(), "summary.json: there is no such file"),
    "summary": (lambda path: (path / "summary.json").write_text("{"), "summary.json: damaged"),
    "log": (replaced("log.txt", os.mkfifo), "log.txt: a pipe, not a file"),
}


@pytest.mark.parametrize("spoil", SPOILERS)
def test_what_is_spoiled_is_named_and_the_rest_is_read(tmp_path, spoil):
    path = make_run(tmp_path)
    spoiler, problem = SPOILERS[spoil]
    spoiler(path)
    read = read_contents(path)
    assert [said for said in read.problems if said.startswith(problem)] == read.problems != []
    assert read.facts["id"]
    assert problem in write_page(path).read_text()


def test_a_whole_number_that_no_float_can_hold_is_shown(tmp_path):
    path = make_run(tmp_path)
    (path / "tables/epochs.csv").write_text(f"epoch,note\n1,{'9' * 5_000}\n")
    assert "inf" in write_page(path).read_text()


def test_folders_that_are_links_are_not_followed(tmp_path):
    path = make_run(tmp_path, tables=(), plots=())
    for kind in ("tables", "plots"):
        (path / kind).rmdir()
        (path / kind).symlink_to("/etc")
    assert read_contents(path).problems == ["tables: a link, not a folder", "plots: a link, not a folder"]


def test_of_a_long_table_the_first_rows_are_kept(tmp_path):
    path = make_run(tmp_path)
    (path / "tables/long.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(5000)))
    sheet = read_contents(path).sheets[1]
    assert (len(sheet.rows), sheet.total) == (contents.MAX_ROWS, 5000)


def test_of_very_many_files_some_are_read(tmp_path):
    path = make_run(tmp_path)
    for number in range(150):
        (path / f"plots/{number:03}.png").write_bytes(png(1, 1))
    read = read_contents(path)
    assert len(read.plots) == contents.MAX_FILES
    assert read.problems == ["plots: only 100 of 151 files are shown"]


@pytest.mark.parametrize("status", ["running", "interrupted"])
def test_a_run_without_an_end_shows_how_far_it_came(tmp_path, status):
    path = make_run(tmp_path, tables=(), plots=(), status=status)
    (path / "summary.json").unlink()
    lines = ['{"epoch": 1, "loss": 0.5}', "[]", '{"epoch": 2, "extra": null}', '{"epoch": 3, "lo']
    (path / "metrics.jsonl").write_text("\n".join(lines))
    read = read_contents(path)
    assert read.problems == []
    [sheet] = read.sheets
    assert sheet.header == ["epoch", "loss", "extra"]
    assert sheet.rows == [["1", "0.5", ""], ["2", "", ""]]
    assert read.facts["status"] == ("crashed" if status == "running" else status)


def test_the_log_is_shown_from_its_end(tmp_path):
    path = make_run(tmp_path)
    (path / "log.txt").write_bytes(b"".join(b"line %d \xff\n" % number for number in range(1000)))
    lines = read_contents(path).log.splitlines()
    assert len(lines) == contents.MAX_LOG_LINES
    assert lines[-1].startswith("line 999")


@pytest.mark.parametrize("key", ["metrics", "checks", "findings", "tables", "pictures"])
@pytest.mark.parametrize(
    "value",
    [None, 5, "text", [], {}, [None], [[1]], {"a": None}, {"a": {"b": [1]}}, [{"name": [1], "value": "x"}]],
)
def test_strange_summaries_make_a_page_all_the_same(tmp_path, key, value):
    path = make_run(tmp_path, summary={**SUMMARY, key: value})
    assert "</html>" in write_page(path).read_text()


@pytest.mark.parametrize(
    "key", ["id", "command", "status", "start", "end", "dataset", "environment", "seeds", "x"]
)
@pytest.mark.parametrize(
    "value", [None, 5, 10**400, "\ud800", "\x1b[31m", [], [[1]], {}, {"a": {"b": {"c": 1}}}]
)
def test_strange_facts_make_a_page_all_the_same(tmp_path, key, value):
    path = make_run(tmp_path)
    facts = {**json.loads((path / "run.json").read_text()), key: value}
    write_json(path / "run.json", facts)
    assert "</html>" in write_page(path).read_text()


def test_writing_the_page_replaces_a_link_and_not_what_it_leads_to(tmp_path):
    path, victim = make_run(tmp_path), tmp_path / "victim"
    victim.write_text("mine")
    (path / "report.html").symlink_to(victim)
    page = write_page(path)
    assert victim.read_text() == "mine"
    assert not page.is_symlink()
    assert not list(path.glob(".report*")), "no debris"
