"""notebook test: real kernels; what passes, what fails and how it is shown, what is written."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlfound.notebooks import documents
from mlfound.notebooks import running as notebooks
from tests.support.commands import refused_at_once
from tests.support.pages import code, notebook, old_notebook, text, write


def finished(pid):
    """Whether the process is gone, or a zombie that nobody has collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    """One call with a notebook for every way to end; the kernels are slow to start."""
    folder = tmp_path_factory.mktemp("tested")
    write(
        folder / "nbs/01_passes.ipynb",
        text("# Passes"),
        code(["import os\n", "assert os.path.exists('01_passes.ipynb')"]),
        code("%matplotlib inline\n!echo hello\nopen('written', 'w').write('flushed')"),
        code("1 / 0", metadata={"tags": ["raises-exception"]}),
        code("raise SystemExit('not run')", metadata={"tags": ["skip-execution"]}),
        code(""),
        code("kept = open('kept', 'w'); kept.write('flushed at the end')"),
        code("import subprocess; subprocess.run('echo raw; echo err >&2', shell=True)"),
    )
    (folder / "nbs/02_old.ipynb").write_text(json.dumps(old_notebook("x = 1", ["assert x\n", "x"])))
    write(
        folder / "nbs/03_fails.ipynb",
        text("# Fails"),
        "def reciprocal(x):\n    return 1 / x",
        "reciprocal(0)",
        "open('never', 'w')",
    )
    write(folder / "nbs/04_hangs.ipynb", "x = 1", "import time\nwhile True:\n    time.sleep(1)")
    write(folder / "nbs/05_dies.ipynb", "import os\nos._exit(3)")
    write(folder / "nbs/06_asks.ipynb", "input('your name? ')")
    write(folder / "nbs/07_shouts.ipynb", "raise ValueError('\\x1b[31mred\\x1b[0m\\a\\nand more')")
    write(folder / "nbs/.ipynb_checkpoints/01_passes-checkpoint.ipynb", "assert False")
    before = {path.name: path.read_bytes() for path in folder.glob("nbs/*.ipynb")}
    arguments = ("notebook", "test", "nbs", "nbs/01_passes.ipynb", "--timeout", "3", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "mlfound", *arguments], cwd=folder, capture_output=True, text=True, timeout=300
    )
    after = {path.name: path.read_bytes() for path in folder.glob("nbs/*.ipynb")}
    assert before == after, "without --save nothing is written back"
    document = json.loads(done.stdout)
    with (folder / document["path"] / "tables" / "notebooks.csv").open(newline="") as file:
        rows = {row["notebook"]: row for row in csv.DictReader(file)}
    return folder, done, document, rows


@pytest.mark.slow
def test_every_notebook_has_its_row(tested):
    _, done, document, rows = tested
    assert done.returncode == 1
    assert document["status"] == "failed"
    columns = ("passed", "cells", "cells_run", "cells_skipped", "failing_cell")
    assert {name: tuple(row[column] for column in columns) for name, row in rows.items()} == {
        "nbs/01_passes.ipynb": ("true", "7", "6", "1", ""),
        "nbs/02_old.ipynb": ("true", "2", "2", "0", ""),
        "nbs/03_fails.ipynb": ("false", "3", "1", "0", "3"),
        "nbs/04_hangs.ipynb": ("false", "2", "1", "0", "2"),
        "nbs/05_dies.ipynb": ("false", "1", "0", "0", "1"),
        "nbs/06_asks.ipynb": ("false", "1", "0", "0", "1"),
        "nbs/07_shouts.ipynb": ("false", "1", "0", "0", "1"),
    }  # fmt: skip
    assert all(float(row["seconds"]) > 0 for row in rows.values())
    assert document["metrics"]["notebooks"] == 7
    assert document["metrics"]["passed"] == 2
    passed = {check["name"]: check["passed"] for check in document["checks"]}
    assert sum(passed.values()) == 2
    assert passed["cells run in nbs/01_passes.ipynb"] is True


@pytest.mark.slow
def test_every_failure_is_a_sentence(tested):
    assert tested[2]["findings"] == [
        "nbs/03_fails.ipynb: cell 3: ZeroDivisionError: division by zero",
        "nbs/04_hangs.ipynb: cell 2: still running after 3 s (--timeout)",
        "nbs/05_dies.ipynb: cell 1: the kernel died",
        "nbs/06_asks.ipynb: cell 1: StdinNotImplementedError: raw_input was called, but this frontend does "
        "not support input requests.",
        "nbs/07_shouts.ipynb: cell 1: ValueError: red\\x07",
    ]


@pytest.mark.slow
def test_the_failing_cell_is_shown_with_its_source_and_error(tested):
    folder, done, document, _ = tested
    log = (folder / document["path"] / "log.txt").read_text()
    assert log == done.stderr
    assert log.replace("\n", "").isprintable(), "no colours, no bell"
    lines = log.splitlines()
    failed = next(
        index for index, line in enumerate(lines) if line.startswith("nbs/03_fails.ipynb: failed, 1 of 3")
    )
    assert lines[failed + 1 : failed + 3] == ["cell 3:", "  | reciprocal(0)"]
    shown = "\n".join(lines[failed : failed + 16])
    assert "----> 2     return 1 / x" in shown, "the way to the error, through the cell that defined it"
    assert "ZeroDivisionError: division by zero" in shown
    assert "  | while True:" in log
    assert "ValueError: red\\x07" in log
    assert any(line.startswith("nbs/01_passes.ipynb: passed, 6 of 7 cells in") for line in lines)


@pytest.mark.slow
def test_cells_run_in_their_folder_and_files_are_whole(tested):
    folder = tested[0]
    assert (folder / "nbs/written").read_text() == "flushed"
    assert (folder / "nbs/kept").read_text() == "flushed at the end"
    assert not (folder / "nbs/never").exists()


@pytest.mark.slow
def test_the_run_folder_says_what_was_run(tested):
    folder, _, document, _ = tested
    assert document["id"].endswith("-notebook-test")
    run = json.loads((folder / document["path"] / "run.json").read_text())
    content = (folder / "nbs/01_passes.ipynb").read_bytes()
    assert run["notebooks"]["nbs/01_passes.ipynb"] == hashlib.sha256(content).hexdigest()
    assert set(run["kernels"].values()) == {"python3"}


def test_the_config_of_a_run_runs_it_again_from_anywhere(mlfound, tmp_path, monkeypatch):
    write(Path("here/01_a.ipynb"), "assert True")
    first = mlfound("notebook", "test", "here", "--name", "first", "--runs-dir", tmp_path / "runs")
    assert first.code == 0, first
    assert first.path.name.endswith("-notebook-test-first")
    Path("there").mkdir()
    monkeypatch.chdir("there")
    again = mlfound("notebook", "test", first.path / "config.yaml", "--quiet")
    assert again.code == 0, again
    assert again.err == ""
    assert (again.path / "config.yaml").read_bytes() == (first.path / "config.yaml").read_bytes()


def test_save_writes_outputs_and_nothing_else(mlfound):
    cell = code(["import sys\n", "print('one')\n", "print('two')\n", "3"], id="a", metadata={"mine": [1]})
    old = [{"output_type": "stream", "name": "stdout", "text": ["of another time\n"]}]
    failing = [code("1 / 0", outputs=old, id="b"), code("4", outputs=old, execution_count=9, id="c")]
    metadata = {"kernelspec": {"name": "python3", "display_name": "P", "language": "python"}, "mine": "ü"}
    path = write(Path("real/01_a.ipynb"), text("# T"), cell, *failing, metadata=metadata)
    Path("01_a.ipynb").symlink_to(path)
    outcome = mlfound("notebook", "test", "01_a.ipynb", "--save", "--quiet")
    assert outcome.code == 1
    saved = json.loads(path.read_text(encoding="utf-8"))
    first, second, third = (each for each in saved["cells"] if each["cell_type"] == "code")
    assert [output["output_type"] for output in first["outputs"]] == ["stream", "execute_result"]
    assert first["outputs"][0]["text"] == ["one\n", "two\n"]
    assert first["execution_count"] == 1
    assert second["outputs"][0]["ename"] == "ZeroDivisionError"
    assert (third["outputs"], third["execution_count"]) == ([], None), "nothing of another time is left"
    for each in saved["cells"][1:]:
        each |= {"outputs": [], "execution_count": None}
    bare = [cell, *({**each, "outputs": [], "execution_count": None} for each in failing)]
    assert saved == notebook(text("# T"), *bare, metadata=metadata)
    assert Path("01_a.ipynb").is_symlink()
    assert path.read_text(encoding="utf-8").startswith('{\n "cells": [\n  {\n   "cell_type"'), (
        "as Jupyter writes it"
    )
    assert os.listdir("real") == ["01_a.ipynb"]


def test_save_does_not_overwrite_what_was_edited_meanwhile(mlfound):
    edit = "import pathlib\nfile = pathlib.Path('01_a.ipynb')\nfile.write_text(file.read_text() + ' ')"
    path = write(Path("01_a.ipynb"), edit)
    edited = path.read_bytes() + b" "
    outcome = mlfound("notebook", "test", "01_a.ipynb", "--save")
    assert outcome.code == 1
    assert "01_a.ipynb: not saved: it was changed while it ran" in outcome.err
    assert path.read_bytes() == edited


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted(number, code, tmp_path):
    """The kernel goes with us, and the next notebook is not begun."""
    write(Path("01_a.ipynb"), "import os, time\nopen('pid', 'w').write(str(os.getpid()))", "time.sleep(600)")
    write(Path("02_b.ipynb"), "open('begun', 'w')")
    running = subprocess.Popen(
        [sys.executable, "-m", "mlfound", "notebook", "test", "."],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a shell's job ignores it
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (Path("pid").exists() and Path("pid").read_text()):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    first = "mlfound notebook-test: looking at the notebooks\n2 notebooks, each in a kernel of its own\n"
    assert (running.returncode, out, err) == (code, "", first)
    assert finished(int(Path("pid").read_text()))
    [path] = tmp_path.glob("runs/*-notebook-test")
    assert json.loads((path / "run.json").read_text())["status"] == "interrupted"
    assert not Path("begun").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="processes as Linux shows them")
def test_interrupted_once_more_while_the_kernel_is_shut_down(monkeypatch):
    async def interrupted(self, **_):
        self.context.destroy()  # sockets are not what this is about
        raise KeyboardInterrupt

    monkeypatch.setattr("jupyter_client.manager.AsyncKernelManager.shutdown_kernel", interrupted)
    path = write(Path("01_a.ipynb"), "import os\nopen('pid', 'w').write(str(os.getpid()))", "1 / 0")
    with pytest.raises(KeyboardInterrupt):
        notebooks.run(documents.read(path), "python3", 60)
    assert finished(int(Path("pid").read_text()))


def refused(outcome, *words):
    """In one line, and no notebook was run."""
    refused_at_once(outcome, *words)
    assert not Path("canary").exists()


GOOD = "open('canary', 'w')"
BAD = [
    ([], ["no notebook", "mlfound notebook test NOTEBOOK"]),
    (["none.ipynb"], ["none.ipynb", "there is no such file"]),
    (["good.ipynb", "none.ipynb"], ["none.ipynb", "there is no such file"]),
    (["empty"], ["empty", "no notebook in this folder"]),
    (["good.ipynb", "broken.ipynb"], ["broken.ipynb:1:", "not JSON"]),
    (["good.ipynb", "--timeout", "0"], ["--timeout 0", "from 1"]),
    (["good.ipynb", "--timeout", "1.5"], ["--timeout 1.5", "whole seconds"]),
    (["good.ipynb", "--timeout", "soon"], ["--timeout soon", "whole seconds"]),
    (["good.ipynb", "--kernel", "fortran"], ["good.ipynb", "'fortran'", "--kernel", "python3"]),
    (["good.ipynb", "--kernel", "../python3"], ["'../python3'", "--kernel"]),
    (["strange.ipynb"], ["strange.ipynb", "'conda-env-fastai-py'", "--kernel", "python3"]),
    (["good.ipynb", "--set", "timeouts=3"], ["unknown key 'timeouts'", "'timeout'"]),
    (["good.ipynb", "--name", "../x"], ["--name"]),
    (["a\nb.ipynb"], ["notebooks", "a\\nb.ipynb"]),
    (["good.ipynb", "old.ipynb", "--save"], ["old.ipynb", "nbformat 3", "--save"]),
    (["none.yaml"], ["none.yaml", "no such file"]),
]


@pytest.mark.parametrize(
    ("arguments", "words"), BAD, ids=lambda case: " ".join(case) if isinstance(case, list) else None
)
def test_bad_input_is_told_before_anything_runs(mlfound, arguments, words):
    write(Path("good.ipynb"), GOOD)
    write(Path("strange.ipynb"), GOOD, metadata={"kernelspec": {"name": "conda-env-fastai-py"}})
    Path("old.ipynb").write_text(json.dumps(old_notebook(GOOD)))
    Path("broken.ipynb").write_text("[")
    Path("empty").mkdir()
    refused(mlfound("notebook", "test", *arguments), *words)


def test_a_kernel_that_does_not_start(mlfound, tmp_path, monkeypatch):
    """One line and exit code 1: it is installed, and broken."""
    spec = tmp_path / "jupyter/kernels/broken/kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/no/such/program"], "display_name": "B", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    write(Path("01_a.ipynb"), "1")
    outcome = mlfound("notebook", "test", "01_a.ipynb", "--kernel", "broken")
    assert outcome.code == 1
    assert "01_a.ipynb: before its first cell: the kernel did not start" in outcome.out
    assert outcome.rows("notebooks")[0]["failing_cell"] == ""
    spec.write_text("{")
    outcome = mlfound("notebook", "test", "01_a.ipynb", "--kernel", "broken")
    assert outcome.code == 2
    assert "damaged" in outcome.err


def test_without_the_extra_one_line_names_it(mlfound, monkeypatch):
    monkeypatch.setitem(sys.modules, "nbclient", None)
    write(Path("01_a.ipynb"), GOOD)
    refused(mlfound("notebook", "test", "01_a.ipynb"), "nbclient", "pip install 'mlfound[notebook]'")
