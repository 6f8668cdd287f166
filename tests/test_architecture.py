"""The house, as a table that is held: which room imports which, and what each may import from outside."""

import ast
import sys
from pathlib import Path

import pytest
import torch

import mlfound

PACKAGE = Path(__file__).parent.parent / "mlfound"

# room: the rooms that its files import from, all of them
IMPORTS = {
    "errors": set(),
    "results": set(),
    "ladders": set(),
    "files": {"errors"},
    "hardware": {"errors"},
    "stats": set(),
    "native": set(),
    "foundations": {"native"},
    "reference": {"foundations"},
    "engines": {"foundations", "native", "errors"},
    "config": {"errors", "files", "ladders"},
    "data": {"errors", "files"},
    "notebooks": {"errors", "files"},
    "training": {"foundations", "engines", "native", "data", "reference", "config", "results", "hardware"}
    | {"errors"},
    "experiments": {"foundations", "native", "engines", "data", "notebooks", "training", "hardware"}
    | {"stats", "reference", "results", "config", "errors"},
    "report": {"errors", "results"},
    "runs": {"results", "report", "config", "errors", "files"},
    "sweeps": {"runs", "config", "data", "experiments", "stats", "hardware", "report", "results", "errors"}
    | {"__init__", "files"},
    "cli": {
        "config",
        "data",
        "engines",
        "errors",
        "experiments",
        "files",
        "ladders",
        "notebooks",
        "report",
        "results",
    }
    | {"__init__", "runs", "sweeps"},
    "__init__": {"data", "errors", "files", "foundations", "runs"},
    "__main__": {"cli"},
}

# What a room must not import from elsewhere, by the beginning of the dotted name
FORBIDDEN = {
    "foundations": ("numpy", "scipy", "torch.nn", "torch.optim", "torch.autograd"),
    "engines": ("numpy", "scipy", "torch.nn", "torch.optim", "torch.autograd"),
    "results": ("torch", "numpy"),
    "errors": ("torch",),
    "config": ("torch", "numpy"),
    "notebooks": ("torch", "numpy"),
    "data": ("numpy", "pickle", "torch.nn"),
    "training": ("matplotlib", "rich", "torch.nn", "torch.optim", "torch.autograd"),
    "experiments": ("matplotlib", "rich", "torch.nn", "torch.optim", "torch.autograd"),
    "report": ("torch",),
    "cli": ("numpy",),
}
SLOW = (
    "torch",
    "matplotlib",
    "pydantic",
    "yaml",
    "scipy",
    "numpy",
    "requests",
    "rich",
    "jinja2",
)  # not at the top of cli
# attributes of torch's tensors; their `backward` is caught as it is called, since a layer of ours has one too
ONLY_IN_REFERENCE = {"requires_grad", "requires_grad_", "autograd", "enable_grad"}
COMMANDS = {
    "train": {"epochs": 1, "model.hidden": [8], "model.dropout": 0.1},
    "init-stats": {"draws": 3, "width": 16, "depth": 3},
    "backprop-bench": {"check_only": True},
    "matmul-bench": {"impl": ["broadcast", "einsum", "matmul"], "shape": ["3x4x5"], "budget": 0.01},
    "conv-bench": {"impl": ["unfold", "library"], "shape": ["2x5x4-3x3x2"], "budget": 0.01},
    "normalize-check": {},
    "lr-find": {},
}


def sources():
    return sorted(PACKAGE.rglob("*.py"))


def room(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imports(tree, top_level_only=False):
    """Every imported name, dotted: `from a.b import c` counts as a.b.c, so that a submodule is seen too."""
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the room"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def belongs_to(name, packages):
    """Whether the dotted `name` is one of `packages` or inside one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def entered(tree):
    """The rooms of ours that a file imports from."""
    for name in imports(tree):
        first, *rest = name.split(".")
        if first == "mlfound":
            yield "__init__" if rest[0].startswith("__") else rest[0]


@pytest.mark.parametrize("here", IMPORTS)
def test_a_room_enters_those_of_the_table_and_no_other(here):
    files = [path for path in sources() if room(path) == here]
    assert files, "no such room"
    trees = {path.name: ast.parse(path.read_text(encoding="utf-8")) for path in files}
    assert {other for tree in trees.values() for other in entered(tree)} - {here} == IMPORTS[here]
    for name, tree in trees.items():
        assert not [each for each in imports(tree) if belongs_to(each, FORBIDDEN.get(here, ()))], name


def test_every_room_has_a_line_in_the_table():
    assert {room(path) for path in sources()} == set(IMPORTS)


def test_only_the_ranks_talk_to_other_processes():
    """By sums that are written out: no DistributedDataParallel."""
    for path in sources():
        found = [
            name for name in imports(ast.parse(path.read_text(encoding="utf-8"))) if "distributed" in name
        ]
        found = [name for name in found if belongs_to(name, ("torch",))]
        assert bool(found) == (path == PACKAGE / "engines" / "ranks.py"), path


def test_only_the_reference_names_torchs_gradients():
    for path in sources():
        if room(path) != "reference":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            assert not names & ONLY_IN_REFERENCE, path


@pytest.fixture
def tape(monkeypatch):
    """The files that call torch's gradients, as far as they are ours."""
    callers = []

    def noting(function):
        def noted(*args, **kwargs):
            callers.append(Path(sys._getframe(1).f_code.co_filename))
            return function(*args, **kwargs)

        return noted

    for place, name in ((torch.Tensor, "backward"), (torch.autograd, "backward"), (torch.autograd, "grad")):
        monkeypatch.setattr(place, name, noting(getattr(place, name)))
    return lambda: {room(path) for path in callers if path.is_relative_to(PACKAGE)}


@pytest.mark.parametrize("command", COMMANDS)
def test_only_the_reference_calls_torchs_gradients(command, tape, own_folder):
    section = "dataset" if command.endswith("-bench") else "data.dataset"
    run = mlfound.run(command, {section: "mnist-sample", **COMMANDS[command]})
    assert run.passed
    assert tape() == ({"reference"} if command in ("train", "conv-bench", "backprop-bench") else set())


def test_a_call_of_torchs_gradients_is_seen(tape):
    code = compile("x.sum().backward()", PACKAGE / "engines" / "made_up.py", "exec")
    exec(code, {"x": torch.ones(2, requires_grad=True)})
    assert tape() == {"engines"}


def test_the_command_line_imports_nothing_slow_at_its_top():
    for path in (PACKAGE / "cli").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not [name for name in imports(tree, top_level_only=True) if belongs_to(name, SLOW)]


def test_the_walk_sees_a_forbidden_door(tmp_path):
    """The check bites: a foundation that imports a report or torch.nn is caught."""
    tree = ast.parse("def f():\n    from mlfound.report import tables\n    import torch.nn.functional as F")
    assert set(entered(tree)) == {"report"}
    assert any(belongs_to(name, FORBIDDEN["foundations"]) for name in imports(tree))
