"""`mlfound runs`, `runs show` and `report` as their user meets them."""

import json
import subprocess
import sys
import webbrowser
from pathlib import Path

import pytest

from mlfound.runs.folder import point_latest
from tests.support.commands import refused
from tests.support.run_folders import SUMMARY, make_run

RUNS = Path("runs")
FIRST, SECOND = "20261122-080000-train", "20261123-090000-init-stats"


@pytest.fixture
def two_runs():
    make_run(RUNS, FIRST, start="2026-11-22T08:00:00+00:00", end="2026-11-22T08:00:07.500+00:00")
    make_run(RUNS, SECOND, command="init-stats", status="failed", start="2026-11-23T09:00:00+00:00")
    point_latest(RUNS / FIRST)


def test_the_list(mlfound, two_runs):
    outcome = mlfound("runs")
    assert outcome.code == 0
    head, newest, oldest = outcome.out.splitlines()
    assert head.split() == [
        "run",
        "command",
        "status",
        "data",
        "seeds",
        *["test", "accuracy", "95%", "interval", "took"],
    ]
    assert newest.split()[:3] == [SECOND, "init-stats", "failed"]
    assert oldest.split()[:5] == [FIRST, "train", "completed", "mnist", "0"]
    assert oldest.endswith("97.50%  97.00% to 98.00%  7.50 s")


def test_the_list_for_programs(mlfound, two_runs):
    newest, oldest = json.loads(mlfound("runs", "--json").out)
    assert (newest["id"], newest["status"]) == (SECOND, "failed")
    assert oldest["metrics"]["test_accuracy"] == 0.975
    assert (oldest["seconds"], oldest["path"], oldest["problem"]) == (7.5, f"runs/{FIRST}", None)
    assert oldest["config"] == {"epochs": 10, "optimizer": {"lr": 0.1}}
    assert (oldest["seeds"], oldest["dataset"], oldest["tags"], oldest["note"]) == ([0], "mnist", [], "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--command", "trian"), ("--command trian", "'train'")),
        (("--where", "optimizer.lrr=1"), ("optimizer.lrr: no run", "'optimizer.lr'")),
        (("--where", "epochs"), ("--where epochs", "KEY=VALUE")),
        (("--sort", "test_acuracy"), ("--sort test_acuracy", "'test_accuracy'")),
        (("--columns", "run,test_acuracy"), ("--columns test_acuracy", "'test_accuracy'")),
        (("--columns", "\x1b[31m"), ("--columns \\x1b[31m",)),
    ],
)
def test_a_typo_is_one_line(mlfound, two_runs, arguments, words):
    refused(mlfound("runs", *arguments), *words)


def test_the_list_as_the_user_wants_it(mlfound, two_runs):
    outcome = mlfound("runs", "--where", "epochs=10", "--sort", "run", "--columns", "optimizer.lr,test_wrong")
    assert [line.split() for line in outcome.out.splitlines()] == [
        ["run", "optimizer.lr", "test_wrong"], [FIRST, "0.1", "250"], [SECOND, "0.1", "250"]
    ]  # fmt: skip
    assert mlfound("runs", "--where", "epochs=11").out == "No runs with epochs=11 in runs.\n"


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (("--command", "train"), [FIRST]),
        (("--limit", "1"), [SECOND]),
        (("--command", "train", "--limit", "5"), [FIRST]),
        (("--command", "compare"), []),
    ],
)
def test_a_part_of_the_list(mlfound, two_runs, arguments, ids):
    assert [run["id"] for run in json.loads(mlfound("runs", "--json", *arguments).out)] == ids


def test_no_runs_is_no_error(mlfound):
    assert mlfound("runs").out == "No runs in runs yet.\n"
    assert (
        mlfound("runs", "--command", "train", "--runs-dir", "else").out == "No runs of train in else yet.\n"
    )
    assert mlfound("runs", "--json").out == "[]\n"
    assert mlfound("runs").code == 0
    assert not RUNS.exists()


@pytest.mark.parametrize(
    "arguments",
    [("--limit", "0"), ("--limit", "-1"), ("--limit", "x"), ("bogus",), ("show",), ("show", "a", "b")],
)
def test_what_the_list_does_not_take(mlfound, arguments):
    assert mlfound("runs", *arguments).code == 2


def test_show(mlfound, two_runs):
    outcome = mlfound("runs", "show", "latest")
    assert outcome.code == 0
    for text in (
        FIRST, "completed", "took 7.50 s", "epochs: 10", "lr: 0.1", "test accuracy", "97.50%", "gradients agree",
        "Test accuracy 97.50%.", "epochs (3)", "plots: loss", f"mlfound train runs/{FIRST}/config.yaml",
    ):  # fmt: skip
        assert text in outcome.out, text
    assert outcome.path == RUNS / FIRST


def test_show_for_programs(mlfound, two_runs):
    document = json.loads(mlfound("runs", "show", "20261123", "--json").out)
    assert (document["id"], document["status"], document["path"]) == (SECOND, "failed", f"runs/{SECOND}")
    assert document["metrics"] == SUMMARY["metrics"]
    assert document["checks"] == SUMMARY["checks"]
    assert document["run"]["environment"]["cpu"] == "a processor"
    assert document["config"].startswith("epochs: 10")
    assert document["tables"] == ["tables/epochs.csv"]
    assert document["plots"] == ["plots/loss.png"]
    assert document["problems"] == []


def test_show_says_what_is_damaged(mlfound, two_runs):
    (RUNS / FIRST / "summary.json").write_text("{")
    outcome = mlfound("runs", "show", FIRST)
    assert outcome.code == 0
    assert "summary.json: damaged" in outcome.out
    assert "epochs: 10" in outcome.out


@pytest.mark.parametrize(
    ("facts", "why", "resumes", "quotes"),
    [
        ({"status": "interrupted", "error": "KeyboardInterrupt()"}, "Interrupted by Ctrl-C.", True, False),
        ({"status": "interrupted", "error": "Terminated()"}, "Interrupted by SIGTERM.", True, False),
        ({"status": "running", "end": None}, "Crashed: its process is gone", True, True),
        (
            {"status": "failed", "error": "OSError(28, 'No\x1b[31m space')"},
            "Failed: OSError(28, 'No",
            True,
            True,
        ),
        ({"status": "running", "command": "init-stats"}, "Crashed: its process is gone", False, True),
        ({"status": "failed"}, None, False, False),
        ({"status": "diverged"}, None, False, False),
    ],
)
def test_show_says_why_a_run_ended_and_how_to_go_on(mlfound, facts, why, resumes, quotes):
    path = make_run(RUNS, FIRST, **facts)
    (path / "log.txt").write_text("".join(f"line {number}\n" for number in range(30)) + "the \x1b[31mlast\n")
    out = mlfound("runs", "show", FIRST).out
    assert "\x1b" not in out
    assert (why is None) or any(line.startswith(why) for line in out.splitlines())
    assert ("Crashed" in out or "Interrupted" in out or "Failed:" in out) == (why is not None)
    assert (f"Go on with: mlfound train --resume runs/{FIRST}\n" in out) == resumes
    assert ("  line 29\n  the \\x1b[31mlast\n" in out) == quotes
    assert "line 20\n" not in out, "the end of it"


@pytest.mark.parametrize("command", [("runs", "show"), ("report",)])
def test_the_runs_folder_may_be_named(mlfound, two_runs, command):
    RUNS.rename("elsewhere")
    assert mlfound(*command, FIRST, "--runs-dir", "elsewhere").code == 0
    if command[0] == "runs":
        assert mlfound("runs", "--runs-dir", "elsewhere", "show", FIRST).code == 0
        assert (
            json.loads(mlfound("runs", "--json", "--runs-dir", "elsewhere", "show", FIRST).out)["id"] == FIRST
        )


@pytest.mark.parametrize("command", [("runs", "show"), ("report",)])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("2025", "no such run"),
        ("2026", f"several runs begin so ({SECOND}, {FIRST})"),
        ("../..", "run.json: there is no such file"),
        ("\x1b[31m", "\\x1b[31m: no such run"),
        ("", "no such run"),
        (".", "run.json: there is no such file"),
    ],
)
def test_a_run_that_is_not_there(mlfound, two_runs, command, name, said):
    outcome = mlfound(*command, name)
    assert outcome.code == 2
    [line] = outcome.err.splitlines()
    assert said in line
    assert outcome.out == ""


def test_report(mlfound, two_runs):
    outcome = mlfound("report", "latest")
    assert outcome.code == 0
    assert outcome.out == f"runs/{FIRST}/report.html\n"
    assert outcome.path.read_text().startswith("<!doctype html>")
    assert outcome.path.stat().st_mode & 0o777 == 0o644


def test_report_opens_the_browser(mlfound, two_runs, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    path = mlfound("report", FIRST, "--open").path
    assert opened == [path.resolve().as_uri()]


def test_help_shows_an_example(mlfound):
    assert "Example: mlfound runs --where optimizer.lr=0.1" in " ".join(mlfound("runs", "--help").out.split())
    assert "Example: mlfound runs show latest" in " ".join(mlfound("runs", "show", "--help").out.split())
    assert "Example: mlfound report latest" in " ".join(mlfound("report", "--help").out.split())


def test_the_list_is_light(two_runs):
    """Nothing slow is imported to list: seconds would be a habit of the machine's, modules are a fact."""
    code = (
        "import sys\nfrom mlfound.cli import app\ntry:\n    app(['runs'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'matplotlib', 'numpy', 'scipy', 'jinja2', 'filelock'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert len(done.stdout.splitlines()) == 4


def test_the_page_of_all_runs(mlfound, two_runs):
    assert mlfound("runs", "--html").out == "runs/index.html\n"
    assert FIRST in (RUNS / "index.html").read_text()
    assert mlfound("runs", "--html", "--command", "train", "--limit", "1").code == 0
    assert SECOND not in (RUNS / "index.html").read_text()
    assert [run["id"] for run in json.loads(mlfound("runs", "--json").out)] == [SECOND, FIRST], "it is no run"


def test_every_run_has_a_page(mlfound):
    outcome = mlfound("normalize-check", "--set", "data.dataset=mnist-sample")
    assert "completed" in (outcome.path / "report.html").read_text()


def test_a_failed_run_has_a_page(mlfound):
    outcome = mlfound("normalize-check", "--set", "data.dataset=mnist-sample", "--tolerance", "1e-30")
    assert outcome.code == 1
    assert outcome.json("run.json")["status"] == "failed"
    assert "failed" in (outcome.path / "report.html").read_text()


def test_a_page_that_cannot_be_written_is_said_and_spoils_nothing(mlfound, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device", str(path / "report.html"))

    monkeypatch.setattr("mlfound.runs.recorder.write_page", full)
    outcome = mlfound("normalize-check", "--set", "data.dataset=mnist-sample", "--quiet")
    assert outcome.code == 0
    assert "report.html could not be written" in outcome.err
    assert "No space left" in outcome.err
    assert outcome.json("run.json")["status"] == "completed"


def test_ctrl_c_while_the_page_is_made_leaves_the_run_completed(mlfound, monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("mlfound.runs.recorder.write_page", interrupted)
    assert mlfound("normalize-check", "--set", "data.dataset=mnist-sample", "--quiet").code == 130
    [path] = RUNS.glob("*-normalize-check")
    assert json.loads((path / "run.json").read_text())["status"] == "completed"
