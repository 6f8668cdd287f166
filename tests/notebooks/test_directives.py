"""Directives: which cells they export, to which module, which cells they keep from running; what is refused."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.notebooks.test_export import module
from tests.notebooks.test_export_refusals import refused
from tests.support.commands import refused as refusal
from tests.support.pages import code, text, write

NOTHING = "no cell is marked #export; nothing written\n"


@pytest.mark.parametrize(
    "above",
    [
        "#| export",
        "#| hide\n#| export",
        "#| export\n#| hide",
        "#exports",
        "# exporti",
        "#| exports",
        "#|exporti",
        "#| export: true",
        "#| EXPORT : True",
        "#| export # for later",
        "#| code-fold: true\n#| export",
        "#| label: fig-x\n#| fig-cap:\n#|   - Reports\n#|   - of what is next\n#|\n#|export",
        "#| layout: [[1,\n#|            1]]\n#| export",
        "#|--------------\n#| export",
        "\n \n#| export",
        "#export\n#| export",
        "#| eval: false\n#| filter_stream FutureWarning x\n\n#| exec_doc\n#| export",
    ],
    ids=ascii,
)
def test_all_leading_directives_are_read_and_none_is_exported(mlfound, above):
    write(Path("01_a.ipynb"), f"{above}\nx = 1")
    outcome = mlfound("notebook", "export", "01_a.ipynb")
    assert outcome.out == "01_a.ipynb -> exp/nb_01.py (written)\n"
    assert module() == "x = 1\n"
    assert mlfound("notebook", "export", "01_a.ipynb", "--check").code == 0


def test_other_comments_above_the_code_are_kept(mlfound):
    write(
        Path("01_a.ipynb"), "# The area.\n\n#| export\n#| echo: false\n\n# Of a circle.\n# hide\narea = 3.14"
    )
    mlfound("notebook", "export", "01_a.ipynb")
    assert module() == "# The area.\n\n# Of a circle.\n# hide\narea = 3.14\n"


@pytest.mark.parametrize(
    ("comment", "gives"),
    [
        ("# export the results to a file", None),
        ("# Export results", None),  # nbdev 1, which knew a module behind it, knew it in lower case only
        ("# export: the results", None),
        ("# export results.", None),
        ("## export", None),
        ("#!export", None),
        ("# default_exp of it", None),
        ("# exported", None),
        ("# exprot", None),
        ("# eval: false", None),
        ("# EXPORT", "nb_01"),
        ("# export results", "results"),
        ("#export core", "core"),
        ("#exporti\tcore ", "core"),
    ],
)
def test_a_comment_is_taken_for_a_directive_by_its_form(mlfound, comment, gives):
    write(Path("01_a.ipynb"), f"{comment}\nx = 1")
    outcome = mlfound("notebook", "export", "01_a.ipynb")
    wanted = f"01_a.ipynb -> exp/{gives}.py (written)\n" if gives else f"01_a.ipynb: {NOTHING}"
    assert (outcome.code, outcome.out) == (0, wanted)


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["#| default_exp training", "#| export\nx = 1"], {"training": "x = 1\n"}),
        (["#| export\nx = 1", "# default_exp training\ny = 1"], {"training": "x = 1\n"}),
        (["#| default_exp: training\n#| export\nx = 1"], {"training": "x = 1\n"}),
        (["#| default_exp training\n#| default_exp training", "#export\nx = 1"], {"training": "x = 1\n"}),
        (["#export core\nx = 1", "#| export core\ny = 1"], {"core": "x = 1\n\ny = 1\n"}),
        (["#export\nx = 1", "#| exporti: core\ny = 1"], {"nb_01": "x = 1\n", "core": "y = 1\n"}),
        (["#| default_exp core", "#export core\nx = 1", "#export\ny = 1"], {"core": "x = 1\n\ny = 1\n"}),
        (["#| default_exp core.sub", "#| export\nx = 1"], {"core/sub": "x = 1\n"}),
        (["#| default_exp ﬁt", "#| export\nx = 1"], {"fit": "x = 1\n"}),
        (["#| default_exp training"], {}),
    ],
)
@pytest.mark.parametrize("to", [None, "mypkg/exp"])
def test_modules_by_their_names(mlfound, cells, wanted, to):
    write(Path("nbs/01_a.ipynb"), *cells)
    outcome = mlfound("notebook", "export", "nbs", *(["--to", to] if to else []))
    assert outcome.code == 0, outcome
    folder = Path(to or "nbs/exp")
    made = {str(path.relative_to(folder).with_suffix("")): module(path) for path in folder.rglob("*.py")}
    assert made == wanted
    for name in wanted:
        dotted = f"exp.{name.replace('/', '.')}"
        subprocess.run([sys.executable, "-c", f"import {dotted}"], check=True, cwd=folder.parent)


def test_directives_in_the_metadata(mlfound):
    """As nbdev 3 has them."""
    exported = code("x = 1", metadata={"nbdev": {"export": "true", "hide": "true"}})
    core = code("y = 1", metadata={"nbdev": {"exporti": "core"}})
    kept = code("raise SystemExit", metadata={"nbdev": {"eval": "false"}})
    metadata = {"nbdev": {"default_exp": "training", "title": "Training"}}
    write(Path("01_a.ipynb"), kept, exported, core, metadata=metadata)
    assert mlfound("notebook", "export", "01_a.ipynb").code == 0
    assert (module("exp/training.py"), module("exp/core.py")) == ("x = 1\n", "y = 1\n")
    assert mlfound("notebook", "test", "01_a.ipynb").code == 0
    for wrong in ({"exprot": "true"}, {"export": ["core"]}, {"eval": {}}, {"export": "x\n" * 9}):
        write(Path("01_a.ipynb"), "x = 1", code("x = 1", metadata={"nbdev": wrong}))
        refusal(mlfound("notebook", "export", "01_a.ipynb"), "cell 2, metadata", *wrong)


@pytest.mark.parametrize("given", [["nbs"], ["nbs/02_b.ipynb", "nbs/03_c.ipynb", "nbs/01_a.ipynb"]])
def test_several_notebooks_add_to_one_module(mlfound, given):
    """First the cells of the one whose own it is, then the others by name, in whatever order they are given."""
    write(Path("nbs/01_a.ipynb"), "#| export core\na = 1", "#export\nown = 1")
    write(Path("nbs/02_b.ipynb"), "#| export core\nb = 1")
    write(Path("nbs/03_c.ipynb"), "#| default_exp core", "#| export\nc = 1", "#| export core\nd = 1")
    outcome = mlfound("notebook", "export", *given)
    sources = "nbs/03_c.ipynb, nbs/01_a.ipynb, nbs/02_b.ipynb"
    assert sorted(outcome.out.splitlines()) == [
        "nbs/01_a.ipynb -> nbs/exp/nb_01.py (written)",
        f"{sources} -> nbs/exp/core.py (written)",
    ]
    lines = Path("nbs/exp/core.py").read_text(encoding="utf-8").splitlines()
    assert lines[2:5] == [f"# Notebook: {name}.ipynb" for name in ("03_c", "01_a", "02_b")]
    assert [line for line in lines[5:] if line] == ["c = 1", "d = 1", "a = 1", "b = 1"]
    assert mlfound("notebook", "export", "nbs", "--check").code == 0
    write(Path("nbs/02_b.ipynb"), "#| export core\nb = 2")
    stale = mlfound("notebook", "export", "nbs", "--check")
    assert stale.out == f"nbs/exp/core.py: stale; export {sources.replace(',', '')}\n"


def test_no_notebook_loses_its_cells_to_another(mlfound):
    """One notebook alone does not replace a module that another adds to; one that is gone does not hold it."""
    write(Path("01_a.ipynb"), "#| export core\na = 1")
    write(Path("02_b.ipynb"), "#| export core\nb = 1")
    assert mlfound("notebook", "export", "01_a.ipynb").code == 0
    for check in ([], ["--check"]):
        refusal(mlfound("notebook", "export", "02_b.ipynb", *check), "exp/core.py", "01_a.ipynb", "together")
    assert module("exp/core.py") == "a = 1\n"
    os.rename("01_a.ipynb", "01_z.ipynb")
    assert mlfound("notebook", "export", "01_z.ipynb").code == 0
    assert mlfound("notebook", "export", ".").code == 0
    write(Path("01_z.ipynb"), "a = 1")
    refusal(mlfound("notebook", "export", "02_b.ipynb"), "01_z.ipynb")
    assert mlfound("notebook", "export", ".").code == 0
    assert Path("exp/core.py").read_text().endswith("# Notebook: 02_b.ipynb\n\nb = 1\n")


UNKNOWN = {
    "#| exprot": ["cell 2, line 1", "'exprot'", "'export'"],
    "#| hide\n# x\n#| exports_": ["cell 2, line 3", "'exports_'", "'exports'"],
    "#| Expotri core": ["'expotri'", "'exporti'"],
    "#|export-core": ["'export-core'", "unknown"],
    "#| exportd": ["'exportd'", "unknown"],
    "#| default-exp core": ["'default-exp'", "'default_exp'"],
    "#| evl: false": ["'evl'", "'eval'"],
    "#| label: x\n#|   exprot": ["line 2", "'exprot'", "'export'"],
    "#| eval: true\n#|   exports of it": ["line 2", "module"],
    "#| eval: true\n#|   cuda": ["line 2", "'cuda'"],
    "#| code-fodl: true": ["'code-fodl'", "'code-fold'"],
    "#| cuda": ["'cuda'", "'# cuda'", "comment"],
    "%%time\n\n#| exprot": ["line 3", "'exprot'"],
    "#| eval: flase": ["eval", "'flase'", "neither true nor false"],
    "#| default_exp": ["default_exp", "''", "module"],
    "#| default_exp true": ["'true'", "module"],
    "#| export: false": ["export", "'false'", "module"],
    "#| export one two": ["'one two'", "module"],
    "#| export ../x": ["'../x'", "module"],
    "#export ../x": ["'../x'", "module"],
    "#| export /tmp/x": ["'/tmp/x'", "module"],
    "#| export ..": ["'..'", "module"],
    "#| export .core": ["'.core'", "module"],
    "#| default_exp core.": ["'core.'", "module"],
    "#| default_exp a\\b": ["module"],
    "#| default_exp my-module": ["'my-module'", "module"],
    "# default_exp my-module": ["'my-module'", "module"],
    "#| default_exp core.py/..": ["module"],
    "#| default_exp class": ["'class'", "module"],
    "#| default_exp 1st": ["'1st'", "module"],
    "#| default_exp a\x00b": ["module"],
    "#| default_exp a\x1b[31m": ["a\\x1b[31m", "module"],
    f"#| default_exp {'a' * 65}": ["module"],
    "#| export core\n#| export": ["line 2", "'export'", "'export core'"],
    "#| default_exp a\n#| default_exp b": ["line 2", "'default_exp b'", "'default_exp a'"],
    "y = 1\n#| export": ["line 2", "'export'", "below code", "to the top"],
    "import sys\n\n  #| eval: false": ["line 3", "'eval'"],
    "%matplotlib inline\n#| export": ["line 2", "'export'"],
}


@pytest.mark.parametrize("above", UNKNOWN, ids=ascii)
def test_what_is_not_understood_is_an_error(mlfound, above):
    """In any cell, and in `notebook test` too: it may have said that the cell is not to be run."""
    canary = "open('canary', 'w')"
    write(Path("01_a.ipynb"), f"#export\n{canary}", f"{above}\nx = 1")
    refused(mlfound("notebook", "export", "01_a.ipynb"), "01_a.ipynb", *UNKNOWN[above])
    refused(mlfound("notebook", "export", "01_a.ipynb", "--check"), *UNKNOWN[above])
    assert not Path("exp").exists()
    if "contradicts" not in mlfound("notebook", "export", "01_a.ipynb").err:
        refused(mlfound("notebook", "test", "01_a.ipynb"), *UNKNOWN[above])
    assert not Path("runs").exists()


def test_what_only_looks_like_a_directive(mlfound):
    write(
        Path("01_a.ipynb"),
        text("#| exprot"),
        "#export\ntext = '''\n#| export\n#| exprot\n'''\nx = 1  #| hide_line\n#| own",
        metadata={"language_info": {"name": "python"}},
    )
    assert mlfound("notebook", "export", "01_a.ipynb").code == 0
    write(Path("00_a.ipynb"), "%%time\ntext = '''\n#| export\n'''", "#| fig-cap: |\n#|   Accuracy\nx = 1")
    assert mlfound("notebook", "export", "00_a.ipynb").out == f"00_a.ipynb: {NOTHING}"
    assert module() == "text = '''\n#| export\n#| exprot\n'''\nx = 1  #| hide_line\n#| own\n"
    write(Path("02_r.ipynb"), "#| fig.width: 3\nx <- 1", metadata={"kernelspec": {"language": "R"}})
    assert mlfound("notebook", "export", "02_r.ipynb").out == f"02_r.ipynb: {NOTHING}"


def test_names_that_would_hide_each_other(mlfound):
    write(Path("01_a.ipynb"), "#| export core\nx = 1", "#| export core.sub\nx = 1")
    refused(mlfound("notebook", "export", "01_a.ipynb"), "exp/core.py", "exp/core", "rename")
    write(Path("01_a.ipynb"), "#| export core\nx = 1", "#| export Core\nx = 1")
    refused(mlfound("notebook", "export", "01_a.ipynb"), "cell 2", "exp/Core.py", "exp/core.py", "alike")
    write(Path("01_a.ipynb"), "#| default_exp core", "#| export\nx = 1")
    write(Path("02_b.ipynb"), "#| default_exp core", "#| export\nx = 1")
    refused(mlfound("notebook", "export", "."), "01_a.ipynb", "02_b.ipynb", "'#| export core'")
    assert not Path("exp").exists()
    Path("exp/core").mkdir(parents=True)
    refused(mlfound("notebook", "export", "01_a.ipynb"), "exp/core.py", "rename")
    write(Path("01_a.ipynb"), "#| default_exp core.sub", "#| export\nx = 1")
    Path("exp/core").rmdir()
    Path("exp/core").symlink_to("..")
    refusal(mlfound("notebook", "export", "01_a.ipynb"), "exp/core", "a link")
    assert not Path("sub.py").exists()


def test_a_name_cannot_write_into_the_header(mlfound):
    """No name is derived from it, yet it stands in the module."""
    write(Path("a\nimport os\n.ipynb"), "#| default_exp core", "#| export\nx = 1")
    refusal(mlfound("notebook", "export", "."), "unprintable characters")
    assert not Path("exp").exists()


NEWER = "; the notebook was written with Python 99.1"


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("99.1.2", NEWER + ": run mlfound with that"),
        ("3.1", ""),
        (None, ""),
        (99, ""),
        ("x", ""),
        ("9" * 9, ""),
    ],
)
def test_a_newer_python_is_named(mlfound, written, says):
    metadata = {"language_info": {"name": "python", "version": written}}
    write(Path("01_a.ipynb"), "#| export\ntypo X = int", metadata=metadata)
    outcome = mlfound("notebook", "export", "01_a.ipynb")
    line = refusal(outcome, "cell 1, line 2", "not Python {}.{}: ".format(*sys.version_info[:2]))
    assert line.endswith(says)
    assert ("written with" in outcome.err) == bool(says)


@pytest.mark.parametrize(
    ("written", "source", "error"),
    [
        ("99.1.2", "typo X = int", f"SyntaxError: invalid syntax.*line 1\\){NEWER}"),
        ("3.1", "typo X = int", r"SyntaxError: invalid syntax.*line 1\)"),
        ("99.1.2", "1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_newer_python_is_named_where_a_test_fails(mlfound, written, source, error):
    write(Path("01_a.ipynb"), source, metadata={"language_info": {"version": written}})
    outcome = mlfound("notebook", "test", "01_a.ipynb")
    [finding] = outcome.json("summary.json")["findings"]
    assert re.fullmatch(f"01_a.ipynb: cell 1: {error}", finding), finding


def test_cells_that_are_not_to_be_run(mlfound):
    old = [{"output_type": "stream", "name": "stdout", "text": ["of a larger machine\n"]}]
    fails = "raise SystemExit('not to be run')"
    marks = ["#| eval: false", "#|eval:false", "#| hide\n\n#| eval False # slow", "%%time\n#| eval: false"]
    cells = [code(f"{mark}\n{fails}", outputs=old, execution_count=7) for mark in [*marks, "#| notest"]]
    tagged = code(fails, outputs=old, execution_count=7, metadata={"tags": ["skip-execution", "x", "x"]})
    runs = ["#| eval: true\nprint(1)", "# eval: false\nprint(2)", "#| notest: false\nprint(3)"]
    path = write(Path("01_a.ipynb"), *cells, tagged, *runs)
    outcome = mlfound("notebook", "test", "01_a.ipynb", "--save")
    assert outcome.code == 0, outcome
    assert "01_a.ipynb: passed, 3 of 9 cells in " in outcome.err
    assert ", 6 skipped\n" in outcome.err
    [row] = outcome.rows("notebooks")
    assert (row["cells"], row["cells_run"], row["cells_skipped"]) == ("9", "3", "6")
    assert outcome.json("summary.json")["checks"] == [
        {"name": "cells run in 01_a.ipynb", "passed": True, "value": 3, "bound": 3}
    ]
    saved = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert [cell["outputs"] for cell in saved[:6]] == [old] * 6, "what did not run keeps its output"
    assert [cell["outputs"][0]["text"] for cell in saved[6:]] == [["1\n"], ["2\n"], ["3\n"]]
