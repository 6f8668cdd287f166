"""The lesson's way of working, from the first cell to the last: write, export, test, call, go on in the next one."""

import json
import os
import re
import shlex
from pathlib import Path

import pytest

from tests.support.pages import code, text, write

KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
MAGICS = code(["%load_ext autoreload\n", "%autoreload 2\n", "\n", "%matplotlib inline"])


def lesson(folder):
    """Its first notebooks in little: as they are made up, and how each begins with the module of the one before."""
    write(
        folder / "00_exports.ipynb",
        code(["#export\n", "TEST = 'test'"]),
        text("## Export"),
        code(["import json\n", "d = json.load(open('00_exports.ipynb'))['cells']"]),
        "d[0]",
        code([]),
        metadata=KERNEL,
        nbformat_minor=2,
    )
    write(
        folder / "01_matmul.ipynb",
        text("## Matrix multiplication"),
        MAGICS,
        code([
            "#export\n", "from exp.nb_00 import *\n", "import operator\n", "\n", "def test(a,b,cmp,cname=None):\n",
            "    if cname is None: cname=cmp.__name__\n", "    assert cmp(a,b),f\"{cname}:\\n{a}\\n{b}\"\n", "\n",
            "def test_eq(a,b): test(a,b,operator.eq,'==')",
        ]),
        "test_eq(TEST,'test')",
        "#export\nimport torch\nfrom torch import tensor\n"
        "from mlfound.foundations.checks import test_near, test_near_zero",
        "m1, m2 = torch.randn(5, 784), torch.randn(784, 10)",
        "def matmul(a,b):\n    return torch.einsum('ik,kj->ij', a, b)",
        "%time t1=matmul(m1, m2)",
        "test_near(t1, m1 @ m2)",
        "torch.nn.Linear.forward??",
        code("a = tensor([10., 6, -4]); a", outputs=[
            {"output_type": "execute_result", "data": {"text/plain": "x"}, "metadata": {}, "execution_count": None}
        ]),
        metadata=KERNEL,
    )  # fmt: skip
    write(
        folder / "02_fully_connected.ipynb",
        MAGICS,
        "#export\nfrom exp.nb_01 import *\n\ndef normalize(x, m, s): return (x-m)/s",
        "x = torch.randn(100, 784)",
        "# normalise with its own numbers\nx = normalize(x, x.mean(), x.std())",
        "test_near_zero(x.mean())\ntest_near_zero(1-x.std())",
        "#export\ndef mse(output, targ): return (output.squeeze(-1) - targ).pow(2).mean()",
        "test_eq(mse(torch.ones(3, 1), torch.zeros(3)), 1)",
        "!echo done",
        metadata=KERNEL,
    )
    write(folder / "notes.ipynb", text("Nothing to run"))


@pytest.mark.slow
def test_the_lessons_notebooks_go_through(mlfound):
    folder = Path("nbs")
    lesson(folder)
    exported = mlfound("notebook", "export", "nbs")
    assert exported.code == 0, exported
    assert sorted(os.listdir("nbs/exp")) == ["nb_00.py", "nb_01.py", "nb_02.py"]
    names = {}
    exec(Path("nbs/exp/nb_00.py").read_text(), names)
    assert names["TEST"] == "test"
    tested = mlfound("notebook", "test", "nbs")
    assert tested.code == 0, tested
    assert [row["passed"] for row in tested.rows("notebooks")] == ["true"] * 4


def test_new_is_ready_to_run(mlfound):
    name = "03_mine (first).ipynb"
    outcome = mlfound("notebook", "new", name)
    assert (outcome.code, outcome.out) == (0, f"{name}\n")
    content = Path(name).read_bytes()
    title = "".join(json.loads(content)["cells"][0]["source"])
    commands = re.findall(r"^    mlfound (.*)$", title, re.MULTILINE)
    assert [command.split()[1] for command in commands] == ["export", "test", "call"]
    for command in commands:
        assert mlfound(*shlex.split(command)).code == 0, command
    assert Path(name).read_bytes() == content
    again = mlfound("notebook", "new", name)
    assert again.code == 2
    assert "already exists" in again.err
    assert Path(name).read_bytes() == content


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("none/03_mine.ipynb", "no folder none"),
        ("file/03_mine.ipynb", "no folder file"),
        ("03_mine", ".ipynb"),
        ("03_mine.py", ".ipynb"),
        ("_.ipynb", "rename"),
        ("a\x1b[31m.ipynb", "rename"),
        ("dangling.ipynb", "already exists"),
    ],
    ids=ascii,
)
def test_new_refuses(mlfound, name, word):
    Path("file").touch()
    Path("dangling.ipynb").symlink_to("elsewhere")
    outcome = mlfound("notebook", "new", name)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert word in outcome.err
    assert sorted(os.listdir()) == ["dangling.ipynb", "file"]
