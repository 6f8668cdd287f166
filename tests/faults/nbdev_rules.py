"""A second reading of nbdev's rules, from its documents and its source and not from ours.

Where its versions differ, and where nbdev passes over in silence what we refuse, a comment says so.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

EXPORT = {"export", "exports", "exporti"}
ACTS = EXPORT | {"default_exp", "eval", "notest"}
# of nbdev's cheat sheet and Quarto's reference, what the generated cells may have
SILENT = {
    "hide",
    "exec_doc",
    "filter_stream",
    "hide_line",
    "echo",
    "output",
    "include",
    "label",
    "tbl-colwidths",
}
SILENT |= {"code-fold", "code-summary", "fig-cap", "fig-subcap", "layout-ncol", "warning", "lst-label"}
MISSPELLED = {"exprot", "exports_", "exportd"}  # of what the generated cells may have

WITH_BAR = re.compile(r"^\s*#\s*\|(?P<indent>\s*)(?P<text>.*?)\s*$")
NAME_AND_VALUE = re.compile(r"^(?P<name>[^\s:]+)\s*(?P<colon>:?)\s*(?P<value>.*)$")
LESSON = re.compile(
    r"^\s*#\s*(export[si]?)\s*$", re.IGNORECASE
)  # course-v3's notebook2script and its successors
NBDEV_1 = re.compile(r"^\s*#\s*(export[si]?|default_exp)[ \t]+(\S*\w)\s*$")
MODULE = re.compile(r"^[a-z_]\w*(\.[a-z_]\w*)*$", re.IGNORECASE)


@dataclass
class Cell:
    """A code cell as it was read: where it goes ("" to its notebook's own module), and what is left of it."""

    number: int
    goes_to: str | None = None
    default: str | None = None
    runs: bool = True
    lines: list[str] = field(default_factory=list)


@dataclass
class Reading:
    """Of a folder: the lines of each module and the notebooks they are from; or the places of what is wrong."""

    modules: dict[str, list[str]] = field(default_factory=dict)
    sources: dict[str, list[str]] = field(default_factory=dict)
    faults: set[tuple[str, int | None]] = field(default_factory=set)
    skipped: dict[str, list[int]] = field(default_factory=dict)


def read_cell(number: int, source: str, tags: Sequence[str]) -> Cell:
    """A ValueError for what is not understood, or is no Python and exported."""
    lines = source.replace("\r\n", "\n").split("\n")
    # nbdev 2 ends at a comment without a bar; nbdev 1 reads the whole cell
    top = list(takewhile(lambda line: re.match(r"\s*(#|%%|$)", line), lines))
    cell = Cell(number)
    targets, defaults, kept, outer = set(), set(), [], None
    stops = {"tag": "skip-execution" in tags}
    for line in top:
        name, value = None, ""
        if match := WITH_BAR.match(line):
            name, value, outer = bar(match, outer)
        else:
            outer = None
            if match := LESSON.match(line):
                name = match[1].lower()
            elif match := NBDEV_1.match(line):
                name, value = match[1], match[2]
            else:
                kept.append(line)
        if name in EXPORT | {"default_exp"}:
            value = "" if value.lower() == "true" and name in EXPORT else value
            if not (value == "" and name in EXPORT) and not (MODULE.match(value) and value != "false"):
                raise ValueError(f"no module: {value!r}")
            (defaults if name == "default_exp" else targets).add(value)
        elif name == "eval" or name == "notest":
            if value.lower() not in ("", "true", "false"):
                raise ValueError(f"{name}: {value!r}")  # nbdev would run it
            stops[name] = (value.lower() == "false") == (name == "eval")  # the last one counts
    check_below(lines, len(top))
    if len(targets) > 1 or len(defaults) > 1:
        raise ValueError("goes to two modules")  # nbdev: to both
    cell.runs = not any(stops.values())
    [cell.default] = defaults or [None]
    cell.lines = [line.rstrip() for line in kept + lines[len(top) :] if line.strip()]
    if targets and cell.lines:
        [cell.goes_to] = targets
        ast.parse("\n".join(lines))
    return cell


def bar(match: re.Match[str], outer: int | None) -> tuple[str | None, str, int | None]:
    """Name, value, and how far an option that may go on is indented: of a comment with a bar."""
    if not re.search(r"\w", match["text"]):
        return None, "", outer
    parts = NAME_AND_VALUE.match(match["text"])
    assert parts
    name, value, indent = parts["name"].lower(), parts["value"], len(match["indent"])
    if name in ACTS | SILENT:
        value = re.sub(r"(^|\s)#.*", "", value).strip() if name in ACTS else value
        return name, value, indent if parts["colon"] and name in SILENT else None
    # YAML: it belongs to the option above
    if outer is not None and indent > outer and (value or name not in MISSPELLED):
        return None, "", outer
    raise ValueError(f"unknown: {name!r}")  # nbdev passes over it


def check_below(lines: Sequence[str], top: int) -> None:
    """A ValueError for a directive under code, which nbdev passes over."""
    for number, line in enumerate(lines[top:], top):
        match = WITH_BAR.match(line)
        name = match and re.match(r"[^\s:]*", match["text"])
        quoted = "\n".join(lines[:number]).count("'''") % 2
        if name and name[0].lower() in ACTS and not quoted:
            raise ValueError(f"under code: {line!r}")


def read(notebooks: Mapping[str, Sequence[tuple[int, str, Sequence[str]]]]) -> Reading:
    """Of the code cells of a folder's notebooks, which are named as 01_a.ipynb and stand in the order of names."""
    reading = Reading()
    all_cells: dict[str, list[Cell]] = {}
    for notebook, sources in notebooks.items():
        all_cells[notebook] = cells = []
        for number, source, tags in sources:
            try:
                cells.append(read_cell(number, source, tags))
            except (ValueError, SyntaxError):
                reading.faults.add((notebook, number))
        reading.skipped[notebook] = [cell.number for cell in cells if not cell.runs]
    owners: dict[str, str] = {}
    adds: list[tuple[str, str, list[str]]] = []
    for notebook, cells in all_cells.items():
        defaults = [cell for cell in cells if cell.default]
        reading.faults |= {
            (notebook, cell.number) for cell in defaults if cell.default != defaults[0].default
        }
        own = defaults[0].default if defaults else f"nb_{notebook[:2]}"
        for cell in cells:
            if cell.goes_to is not None:
                module = cell.goes_to or own
                assert module
                if module == own and owners.setdefault(module, notebook) != notebook:
                    reading.faults.add((notebook, None))  # nbdev 2: the last one wins
                adds.append((module, notebook, cell.lines))
    # nbdev 1 and 2: what is its own makes a module, what has its name is added, notebook by notebook
    for module, notebook, lines in sorted(adds, key=lambda each: (owners.get(each[0]) != each[1], each[1])):
        reading.modules.setdefault(module, []).extend(lines)
        reading.sources.setdefault(module, [])
        if notebook not in reading.sources[module]:
            reading.sources[module].append(notebook)
    names = set(reading.modules)
    if any(name.rpartition(".")[0] in names for name in names) or len(names) > len({*map(str.lower, names)}):
        reading.faults |= {(notebook, None) for notebook in notebooks}
        reading.faults |= {(notebook, cell.number) for notebook, cells in all_cells.items() for cell in cells}
    return reading
