"""The house, as a table that is held: which room may import which, and what each may import from outside."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mlfound"

# room: the rooms it may enter
MAY_IMPORT = {
    "errors": set(),
    "files": {"errors"},
    "results": set(),
    "hardware": {"errors"},
    "stats": {"results"},
    "foundations": {"errors"},
    "engines": {"foundations", "errors"},
    "reference": set(),
    "data": {"errors", "files", "foundations"},
    "config": {"errors", "files"},
    "notebooks": {"errors", "files"},
    "training": {"foundations", "engines", "data", "reference", "config", "results", "hardware", "errors"},
    "experiments": {"foundations", "engines", "data", "notebooks", "training", "hardware"}
    | {"stats", "reference", "results", "config", "errors"},
    "report": {"errors", "results"},
    "runs": {"results", "report", "config", "errors", "files"},
    "cli": {"config", "data", "errors", "experiments", "files", "notebooks", "report", "results", "runs"},
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
ONLY_IN_REFERENCE = {
    "requires_grad",
    "requires_grad_",
    "backward",
    "autograd",
}  # attributes of torch's tensors


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


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_enters_only_the_rooms_it_may(path):
    here = room(path)
    assert here in MAY_IMPORT, f"{path.name}: a new room needs a line in the table"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    strangers = set(entered(tree)) - MAY_IMPORT[here] - {here}
    if here == "cli":
        strangers -= {"__init__"}  # the version
    assert not strangers
    assert not [name for name in imports(tree) if belongs_to(name, FORBIDDEN.get(here, ()))]


def test_only_the_reference_uses_torchs_gradients():
    for path in sources():
        if room(path) in ("foundations", "engines", "training", "experiments", "data"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            allowed = {"backward"} if room(path) != "data" else set()  # Module.backward is ours
            assert not (names & ONLY_IN_REFERENCE) - allowed, path


def test_the_command_line_imports_nothing_slow_at_its_top():
    for path in (PACKAGE / "cli").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not [name for name in imports(tree, top_level_only=True) if belongs_to(name, SLOW)]


def test_every_room_of_the_table_exists():
    assert {room(path) for path in sources()} == set(MAY_IMPORT)


def test_the_walk_sees_a_forbidden_door(tmp_path):
    """The check bites: a foundation that imports a report or torch.nn is caught."""
    tree = ast.parse("def f():\n    from mlfound.report import tables\n    import torch.nn.functional as F")
    assert set(entered(tree)) == {"report"}
    assert any(belongs_to(name, FORBIDDEN["foundations"]) for name in imports(tree))
