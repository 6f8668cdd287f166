"""notebook call: a function as a command line, from its signature, annotations and docstring."""

import sys
from pathlib import Path

import pytest

MODULE = '''
import enum
import math
from pathlib import Path
from typing import Any, Literal, Optional

import torch
from torch import Tensor

from exp.nb_00 import *


class Color(enum.Enum):
    red = "red"


def area(radius: float, times: int = 1, exact: bool = True, name: str = "circle") -> str:
    """The area of a circle.

    Times as often as wanted.
    """
    return f"{name} {times * math.pi * radius ** 2 if exact else 3 * times:.3f}"


def matmul(a, b):
    """Whatever has a matrix product."""
    return a @ b


def double(x, times=2, scale=1.0, loud=False, unit="m", shape=(2, 3), extra=None):
    return (x, times, scale, loud, unit, shape, extra)


def annotated(path: Path, mode: Literal["fast", "slow"], color: Color = Color.red, most: Optional[int] = None):
    return (path, mode, color, most)

def several(items: list[int], pair: tuple[int, float] = (1, 2.0)): return (items, pair)
def anything(x: Any, y: Any = 3): return (x, y)
def nothing(): "Says nothing."
def falsy(): return 0
def positional(a: int, /, b: int = 2, *, c: int = 3): return (a, b, c)
def says(name: "str" = "x"): print(f"hello {name}")
def uses(): return FROM_00
def fails(x: int):
    raise ValueError("more than \\x1b[31mone\\nline")
def takes_tensors(n: int, a: Tensor, b: "Tensor | None" = None, *rest, out: torch.dtype = None, **options): ...
def takes_union(x: int | str): ...
def takes_unknown(x: "NoSuchName"): ...
def defaults_to_tensor(x=torch.ones(2)): ...
'''


@pytest.fixture
def call(mlfound, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in sys.modules if name == "exp" or name.startswith("exp.")]:
        monkeypatch.delitem(sys.modules, name)
    Path("exp").mkdir()
    Path("exp/nb_00.py").write_text("FROM_00 = 'from the module beside it'\ndef shared(x: int): return x\n")
    Path("exp/nb_01.py").write_text(MODULE, encoding="utf-8")
    yield lambda *arguments: mlfound("notebook", "call", "exp/nb_01.py", *arguments)
    for name in [name for name in sys.modules if name == "exp" or name.startswith("exp.")]:
        del sys.modules[name]


def test_help_is_the_functions(call):
    outcome = call("area", "--help")
    assert outcome.code == 0
    words = " ".join(outcome.out.split())
    assert words.startswith("Usage: mlfound notebook call exp/nb_01.py area")
    for part in (
        "The area of a circle.",
        "Times as often",
        "radius",
        "--times",
        "--exact",
        "--no-exact",
        "circle",
    ):
        assert part in words
    assert "exp/nb_01.py runs like any Python code of yours." in words


def test_help_of_call_says_whose_code_runs(mlfound):
    outcome = mlfound("notebook", "call", "--help")
    assert "runs like any Python code of yours" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (["area", "2"], "circle 12.566\n"),
        (["area", "2", "--times", "2", "--no-exact", "--name", "disk"], "disk 6.000\n"),
        (["area", "-2.5"], "circle 19.635\n"),
        (["area", "--times", "-1", "2"], "circle -12.566\n"),
        (["double", "3"], "(3, 2, 1.0, False, 'm', (2, 3), None)\n"),
        (
            [
                "double",
                "[1, 2]",
                "--times",
                "4",
                "--scale",
                "1",
                "--loud",
                "--unit",
                "5",
                "--shape",
                "7",
                "--extra",
                "x",
            ],
            "([1, 2], 4, 1.0, True, '5', 7, 'x')\n",
        ),
        (
            ["double", "None", "--shape", "None", "--extra", "{'a': 1}"],
            "(None, 2, 1.0, False, 'm', None, {'a': 1})\n",
        ),
        (["double", "__import__('os')"], "(\"__import__('os')\", 2, 1.0, False, 'm', (2, 3), None)\n"),
        (["annotated", "a/b", "fast"], "(PosixPath('a/b'), 'fast', <Color.red: 'red'>, None)\n"),
        (["annotated", "a", "slow", "--most", "3"], "(PosixPath('a'), 'slow', <Color.red: 'red'>, 3)\n"),
        (["several", "1", "2", "--pair", "3", "4"], "([1, 2], (3, 4.0))\n"),
        (["anything", "(1, 'a')"], "((1, 'a'), 3)\n"),
        (["nothing"], ""),
        (["falsy"], "0\n"),
        (["positional", "1", "--c", "5"], "(1, 2, 5)\n"),
        (["says"], "hello x\n"),
        (["uses"], "from the module beside it\n"),
        (["shared", "3"], "3\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_given_and_what_comes_out(call, arguments, out):
    outcome = call(*arguments)
    assert (outcome.code, outcome.out, outcome.err) == (0, out, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["takes_tensors", "1"],
            ["takes_tensors", "a: torch.Tensor", "b: 'Tensor | None'", "*rest", "out:", "**options"],
        ),
        (["takes_tensors", "--help"], ["command line cannot give", "a: torch.Tensor", "int, float"]),
        (["takes_union", "1"], ["x: int | str"]),
        (["takes_unknown", "1"], ["NoSuchName"]),
        (["defaults_to_tensor"], ["defaults_to_tensor", "x="]),
        (["are"], ["no function 'are'", "did you mean 'area'"]),
        (["zzzzzz"], ["no function 'zzzzzz'", "there is: area, matmul"]),
        (["Color"], ["no function 'Color'"]),
        (["math"], ["no function 'math'"]),
        (["__builtins__"], ["no function '__builtins__'"]),
        (["a\x1b[31m"], ["no function"]),
    ],
    ids=lambda value: ascii(" ".join(value)) if isinstance(value, list) else "",
)
def test_what_no_command_line_can_give(call, arguments, words):
    outcome = call(*arguments)
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert outcome.err[:-1].isprintable()
    for word in ["exp/nb_01.py", *words]:
        assert word in outcome.err
    if words[0] == "takes_tensors":
        assert "n: int" not in outcome.err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["area"], "radius"),
        (["area", "round"], "radius"),
        (["area", "1", "--tims", "2"], "--tims"),
        (["annotated", "a", "fastest"], "fastest"),
        ([], "FUNCTION"),
    ],
)
def test_usage_errors_are_short(call, arguments, word):
    outcome = call(*arguments)
    assert outcome.code == 2
    assert word in outcome.err
    assert "Traceback" not in outcome.err
    assert len(outcome.err.splitlines()) <= 5


def test_a_function_that_raises_is_told_in_one_line(call):
    outcome = call("fails", "1")
    assert outcome.code == 1
    line = next(number for number, text in enumerate(MODULE.split("\n"), 1) if text.startswith("    raise"))
    assert outcome.err == f"exp/nb_01.py: fails: line {line}: ValueError: more than \\x1b[31mone\n"
    assert call("matmul", "1", "2").err.startswith("exp/nb_01.py: matmul: line ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("x = 1\nimport no_such_module", ["cannot be imported", "line 2", "no_such_module"]),
        ("x = 1\nx = (", ["cannot be imported", "line 2", "never closed"]),
        ("x = 1 / 0", ["cannot be imported", "line 1", "ZeroDivisionError"]),
        ("x = 1\0", ["cannot be imported", "null bytes"]),
    ],
)
def test_modules_that_do_not_load(mlfound, call, content, words):
    Path("exp/nb_02.py").write_text(content)
    outcome = mlfound("notebook", "call", "exp/nb_02.py", "f")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    for word in ["exp/nb_02.py", *words]:
        assert word in outcome.err


def test_what_is_no_module(mlfound):
    Path("folder.py").mkdir()
    for path, word in [
        ("none.py", "exp/nb_01.py"),
        ("01_a.ipynb", "export it first"),
        ("folder.py", "not a module"),
    ]:
        outcome = mlfound("notebook", "call", path, "f", "--help")
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert word in outcome.err
