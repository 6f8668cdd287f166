"""Damaged, hostile and odd notebooks: one line, exit code 2, nothing written; and nothing that is read is run."""

import json
import os
from pathlib import Path

import pytest

from mlfound.notebooks import documents
from tests.support.commands import refused as refusal
from tests.support.pages import code, notebook, old_notebook, text, write

CANARY = "open('canary', 'w')"


def refused(outcome, *words):
    """In one line, and no module anywhere."""
    refusal(outcome, *words)
    assert not [path for path in Path.cwd().rglob("nb_*") if path.is_file()]
    assert not Path("canary").exists()


GOOD = "#export\nx = 1"
DOCUMENTS = {
    # not JSON
    "empty": (b"", ["not JSON"]),
    "blanks": (b" \n ", ["not JSON"]),
    "half": (json.dumps(notebook(GOOD))[:60].encode(), ["not JSON"]),
    "python": (b"#export\nx = 1\n", ["01_a.ipynb:1:", "not JSON"]),
    "merge conflict": (b'{\n "cells": [\n<<<<<<< HEAD\n', ["01_a.ipynb:3:", "not JSON"]),
    "two documents": (json.dumps(notebook(GOOD)).encode() * 2, ["not JSON"]),
    "binary": (bytes(range(256)), ["not UTF-8"]),
    "utf-16": (json.dumps(notebook(GOOD)).encode("utf-16"), ["not UTF-8"]),
    "latin-1": ('{"cells": "é"}'.encode("latin-1"), ["not UTF-8"]),
    "control character": (b'{"cells": "\x1b[31m"}', ["not JSON"]),
    "pickle": (b"\x80\x04\x95cposix\nsystem\n.", ["not UTF-8"]),
    # JSON, but no notebook
    "a list": ([notebook(GOOD)], ["not an object"]),
    "a number": (4, ["not an object", "4"]),
    "null": (None, ["not an object", "null"]),
    "no cells": ({"nbformat": 4}, ["no 'cells'"]),
    "no format": ({"cells": []}, ["no 'nbformat'"]),
    "format 2": (notebook(GOOD, nbformat=2), ["nbformat 2"]),
    "format 5": (notebook(GOOD, nbformat=5), ["nbformat 5"]),
    "format as text": (notebook(GOOD, nbformat="4"), ["'nbformat'", "whole number"]),
    "format as truth": (notebook(GOOD, nbformat=True), ["'nbformat'", "whole number", "true"]),
    "format as a long number": (b'{"nbformat": 4' + b"0" * 5000 + b"}", ["not a notebook"]),
    "cells as an object": (notebook(cells={}), ["'cells'", "a list"]),
    "cells as null": (notebook(cells=None), ["'cells'", "null"]),
    "a cell as text": (notebook(text("a"), cells=[GOOD]), ["cell 1", "not an object"]),
    "a cell as a list": (notebook(cells=[code(GOOD), []]), ["cell 2", "not an object"]),
    "a cell without a kind": (notebook({"source": GOOD}), ["cell 1", "'cell_type'"]),
    "a kind as a number": (notebook({"cell_type": 1, "source": GOOD}), ["'cell_type' of cell 1"]),
    "a cell without source": (notebook({"cell_type": "code"}), ["cell 1", "'source'"]),
    "source as null": (notebook(code(None)), ["'source' of cell 1", "null"]),
    "source as a number": (notebook(code(1)), ["'source' of cell 1", "1"]),
    "source as an object": (notebook(code({"0": GOOD})), ["'source' of cell 1", "an object"]),
    "source as lists": (notebook(code([["#export\n"], ["x = 1"]])), ["'source' of cell 1", "lines"]),
    "source with a null": (notebook(code(["#export\n", None])), ["'source' of cell 1", "lines"]),
    "half of a character": (notebook("#export\nx = '\ud800'"), ["cell 1", "half of a surrogate pair"]),
    "metadata as a list": (notebook(GOOD, metadata=[]), ["'metadata'"]),
    "old: no sheets": ({"nbformat": 3, "cells": [code(GOOD)]}, ["'worksheets'"]),
    "old: a sheet as text": ({"nbformat": 3, "worksheets": ["a"]}, ["a worksheet"]),
    "old: a sheet without cells": ({"nbformat": 3, "worksheets": [{}]}, ["a worksheet", "'cells'"]),
    "old: source": ({**old_notebook(), "worksheets": [{"cells": [code(GOOD)]}]}, ["cell 1", "'input'"]),
    # very much of it
    "nested lists": (b"[" * 100_000, ["not a notebook"]),
    "nested objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, ["not a notebook"]),
    "nested outputs": (
        json.dumps(notebook(code(GOOD)))
        .replace('"outputs": []', '"outputs": ' + "[" * 9999 + "]" * 9999)
        .encode(),
        ["not a notebook"],
    ),
    # no Python
    "half a function": (
        notebook("a = 1", text("T"), "#export\ndef f(:\n    x"),
        ["cell 3, line 2", "not Python"],
    ),
    "an open string": (notebook("#export\nx = 1\ny = '''\n"), ["cell 1, line 3", "not Python"]),
    "a list over two cells": (notebook("#export\nx = [", "#export\n]"), ["cell 1, line 2", "not Python"]),
    "a class over two cells": (
        notebook("#export\nclass A:\n    x = 1", "#export\n    y = 2"),
        ["cell 2, line 2", "not Python", "indent"],
    ),
    "a return": (notebook("#export\nx = 1\nreturn x"), ["cell 1, line 3", "return"]),
    "an await": (notebook("#export\nawait f()"), ["cell 1, line 2", "await"]),
    "a late future": (
        notebook("#export\nx = 1\n\n", "y = 1", "#export\nz = 1\n\nfrom __future__ import annotations"),
        ["cell 3, line 4", "__future__"],
    ),
    "a late global": (notebook("#export\nx = 1", "#export\nglobal x"), ["cell 2, line 2", "global"]),
    "a NUL": (notebook("#export\nx = '\0'"), ["cell 1", "null byte"]),
    "deep nesting": (notebook("#export\nx = " + "(" * 1000 + ")" * 1000), ["cell 1, line 2", "not Python"]),
    "deeper nesting": (notebook("#export\nx = " + "-" * 200_000 + "1"), ["cell 1", "not Python"]),
    "a long chain": (notebook("#export\nx = a" + ".b" * 200_000), ["cell 1", "not Python"]),
    "another language": (
        notebook(GOOD, metadata={"kernelspec": {"language": "R", "name": "ir"}}),
        ["written in R", "only Python"],
    ),
    # for IPython
    "a magic": (
        notebook("#export\n%matplotlib inline"),
        ["cell 1, line 2", "'%matplotlib inline'", "IPython"],
    ),
    "a cell magic": (notebook("#export\n%%time\nx = 1"), ["'%%time'", "IPython", "move it"]),
    "a cell magic above": (notebook("%%time\n#export\nx = 1"), ["cell 1, line 1", "'%%time'", "IPython"]),
    "a command": (
        notebook("#export\nx = 1\n!pip install x"),
        ["cell 1, line 3", "'!pip install x'", "IPython"],
    ),
    "a command's output": (notebook("#export\nfiles = !ls"), ["cell 1, line 2", "IPython"]),
    "a question": (notebook("#export\ntorch.nn.Linear??"), ["cell 1, line 2", "IPython"]),
    "a timed line": (notebook("#export\n%time t1=matmul(m1, m2)"), ["cell 1, line 2", "IPython"]),
}


@pytest.mark.parametrize(("content", "words"), DOCUMENTS.values(), ids=DOCUMENTS)
@pytest.mark.parametrize("check", [(), ("--check",)], ids=["export", "check"])
def test_documents(mlfound, content, words, check):
    """Beside a good notebook that comes first: it is not exported either."""
    write(Path("00_good.ipynb"), f"#export\n{CANARY}")
    Path("01_a.ipynb").write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    refused(mlfound("notebook", "export", ".", *check), "01_a.ipynb", *words)


NAMES = [
    "_a.ipynb",
    "__init__.ipynb",
    "-.ipynb",
    "....ipynb",
    "..ipynb",
    "..\\..\\x.ipynb",
    "01\\x.ipynb",
    "a\nimport os\n.ipynb",
    "01_a\nopen('canary', 'w')\n#.ipynb",
    "a\x1b[31m.ipynb",
    "a\u202eb.ipynb",
    "a\x7f.ipynb",
    "\udcff.ipynb",
    f"{'a' * 100}.ipynb",
    "✓.ipynb",
    "01_a.IPYNB",
    "01_a.ipynb.py",
    "01_a",
]


@pytest.mark.skipif(os.name != "posix", reason="names as POSIX has them")
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names(mlfound, name):
    write(Path(name), f"#export\n{CANARY}")
    refused(mlfound("notebook", "export", f"./{name}"))


def test_a_name_cannot_choose_the_modules_encoding(mlfound):
    """Python believes `coding: ...` in a file's first two lines."""
    write(Path("01_coding: rot13.ipynb"), "#export\nx = 1")
    assert mlfound("notebook", "export", "01_coding: rot13.ipynb").code == 0
    exec(compile(Path("exp/nb_01.py").read_bytes(), "nb_01.py", "exec"), names := {})
    assert names["x"] == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("01_a", "01_b"),
        ("01_matmul", "01_matmul-Copy1"),
        ("a-b", "a b"),
        ("a", "A"),
        ("a", "a_b"),
        ("ﬁ", "fi"),
    ],
)
def test_two_that_would_give_one_module(mlfound, first, second):
    """Found before anything is written; what exports nothing is in nobody's way."""
    write(Path("00.ipynb"), GOOD)
    write(Path(f"{first}.ipynb"), GOOD)
    write(Path(f"{second}.ipynb"), GOOD)
    refused(mlfound("notebook", "export", "."), f"{first}.ipynb", f"{second}.ipynb", "rename")
    write(Path(f"{second}.ipynb"), "x = 1")
    assert mlfound("notebook", "export", ".").code == 0


def test_two_folders_that_would_give_one_module(mlfound):
    write(Path("a/01_x.ipynb"), GOOD)
    write(Path("b/01_y.ipynb"), GOOD)
    refused(mlfound("notebook", "export", "a", "b", "--to", "exp"), "b/01_y.ipynb", "a/01_x.ipynb")
    assert mlfound("notebook", "export", "a", "b").code == 0


def test_what_is_no_file(mlfound, tmp_path):
    refused(mlfound("notebook", "export", "none.ipynb"), "none.ipynb", "there is no such file")
    Path("empty").mkdir()
    refused(mlfound("notebook", "export", "empty"), "empty", "no notebook in this folder")
    Path("loop.ipynb").symlink_to("loop.ipynb")
    refused(mlfound("notebook", "export", "loop.ipynb"), "loop.ipynb", "cannot be read")
    os.mkfifo("pipe.ipynb")
    refused(mlfound("notebook", "export", "pipe.ipynb"), "pipe.ipynb", "this is no plain file")
    refused(mlfound("notebook", "export", "/dev/zero"), "/dev/zero", "this is no plain file")


def test_a_huge_notebook(mlfound, monkeypatch):
    monkeypatch.setattr(documents, "MAX_NOTEBOOK_BYTES", 1 << 20)
    write(Path("01_a.ipynb"), GOOD, "x" * (1 << 20))
    refused(mlfound("notebook", "export", "01_a.ipynb"), "larger than 1 MiB", "clear its outputs")


def test_the_largest_is_bounded():
    with Path("01_a.ipynb").open("wb") as file:
        file.truncate(documents.MAX_NOTEBOOK_BYTES + 1)
    with pytest.raises(Exception, match="larger than 32 MiB"):
        documents.read(Path("01_a.ipynb"))


@pytest.mark.parametrize("check", [(), ("--check",)], ids=["export", "check"])
def test_places_where_no_module_can_go(mlfound, check):
    write(Path("01_a.ipynb"), GOOD)

    def export(*arguments):
        return mlfound("notebook", "export", "01_a.ipynb", *arguments, *check)

    Path("file").write_text("mine")
    refused(export("--to", "file"), "file", "--to")
    refused(export("--to", "file/exp"), "file", "--to")
    Path("exp").symlink_to("elsewhere")
    Path("elsewhere").mkdir()
    refused(export(), "exp", "a link", "--to")
    Path("exp").unlink()
    Path("exp/nb_01.py").mkdir(parents=True)
    refused(export(), "exp/nb_01.py", "not a plain file")
    Path("exp/nb_01.py").rmdir()
    Path("mine.py").write_text("generated = 'elsewhere'\n")
    Path("exp/nb_01.py").symlink_to("../mine.py")
    refusal(export(), "not a plain file")
    assert Path("exp/nb_01.py").is_symlink()
    assert Path("mine.py").read_text() == "generated = 'elsewhere'\n"
    Path("exp/nb_01.py").unlink()
    Path("exp/nb_01.py").write_text("mine = 1\n")
    refusal(export(), "not a generated file")
    assert Path("exp/nb_01.py").read_text() == "mine = 1\n"
