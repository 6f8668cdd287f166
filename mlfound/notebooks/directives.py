"""The directives of a cell: comments above its code that say how it is used, in the forms of nbdev and Quarto.

With a bar, `#| export`, a comment is always a directive. One that is not known is an error, though nbdev and Quarto
ignore it: it may be a misspelled export, and the cell would be missing in the module.
"""

import ast
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from keyword import iskeyword

from mlfound.errors import UserError
from mlfound.notebooks.documents import Cell, Notebook

# nbdev: exports is shown with its source in the docs, exporti is left out of __all__; all are code of the module
EXPORTS = ("export", "exports", "exporti")
EFFECTIVE = (*EXPORTS, "default_exp", "eval", "notest")
# What is known and has no effect here: first nbdev's, then the cell options of Quarto
SHOWN = """
hide hide_line hide_input hide_output collapse collapse_hide collapse_input collapse_output collapse_show
default_cls_lvl exec_doc filter_stream

cache cap-location classes code-annotations code-copy code-fold code-line-fragment-indices code-line-numbers
code-overflow code-summary color column content context echo error expandable fig-align fig-alt fig-asp fig-cap
fig-cap-location fig-column fig-dpi fig-env fig-format fig-height fig-link fig-pos fig-scap fig-subcap fig-width
filename height html-table-processing id include label layout layout-align layout-ncol layout-nrow layout-valign
lightbox lst-cap lst-label message out-height out-width output output-location padding panel renderings results tags
tbl-cap tbl-cap-location tbl-colwidths tbl-column tbl-subcap title warning width
"""
KNOWN = {*EFFECTIVE, *SHOWN.split()}
MAX_MODULE_NAME = 64  # characters


@dataclass(frozen=True)
class Directive:
    """One line of a cell; `value` is empty for a mere `true`. A line that only continues an option has no name."""

    name: str
    value: str
    line: int  # counts from 1; 0 for the cell's metadata


def directives(notebook: Notebook, cell: Cell) -> list[Directive]:
    """The directives of a cell in order; a UserError with cell and line for an invalid one."""
    found = []
    option = (
        None  # the indentation of an option of Quarto: its value goes on in lines that are indented deeper
    )
    options = [(0, f"#| {name}: {value}") for name, value in cell.options.items()]
    for number, line in [*options, *leading(cell.source)]:
        text = behind_bar(line)
        if text is None:
            option = None
            if words := without_bar(line):
                found.append(understood(notebook, cell, Directive(*words, number)))
            continue
        indent = len(text) - len(text.lstrip())
        name, colon, value = parsed(text)
        continues = option is not None and indent > option
        if name in KNOWN:
            option = indent if colon and name not in EFFECTIVE else None
            found.append(understood(notebook, cell, Directive(name, value, number)))
        elif name == "" or not notebook.is_python or (continues and (value or not near(name, EFFECTIVE))):
            found.append(Directive("", "", number))
        else:
            known = near(name, KNOWN)
            advice = f"did you mean {known!r}?" if known else f"write '# {name}' if it is a comment"
            raise UserError(f"{place(notebook, cell, number)}: unknown directive {name!r}; {advice}")
    check_code(notebook, cell)
    return found


def leading(source: str) -> Iterator[tuple[int, str]]:
    """The lines above the code, with their numbers: blank ones, comments and cell magics (`%%time`)."""
    for number, line in enumerate(source.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith(("#", "%%")):
            return
        yield number, line


def behind_bar(line: str) -> str | None:
    """` export` of `#| export`; None for any other line."""
    comment, bar, text = line.partition("|")
    return text if bar and comment.strip() == "#" else None


def parsed(text: str) -> tuple[str, bool, str]:
    """`fig-cap`, whether there is a colon, and the value: of `fig-cap: A caption` and of `fig-cap A caption`."""
    [name, rest] = re.fullmatch(r"([^\s:]*)(.*)", text.strip(), re.DOTALL).groups()  # type: ignore[union-attr]
    value = rest.strip()
    name = name.lower() if re.search(r"\w", name) else ""  # `#|   - one of a list`, or `#|------`
    return name, value.startswith(":"), value.removeprefix(":").strip()


def without_bar(line: str) -> tuple[str, str] | None:
    """Name and value of a directive without a bar: the lesson's `# Export`, in any case, or nbdev's `#export core`.

    What has more words, or begins a sentence (`# Export results`), is a comment.
    """
    match line.strip().removeprefix("#").split():
        case [word] if word.lower() in EXPORTS:
            return word.lower(), ""
        case [word, module] if word in (*EXPORTS, "default_exp") and re.search(r"\w\Z", module):
            return word, module
    return None


def understood(notebook: Notebook, cell: Cell, directive: Directive) -> Directive:
    """The directive with its value normalised; a UserError if the value is not valid."""
    name, value = directive.name, directive.value
    if name in EFFECTIVE:
        value = re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()  # what YAML takes for a comment
        value = value.lower() if value.lower() in ("true", "false") else value
        value = "" if value == "true" and name != "default_exp" else value
    where = f"{place(notebook, cell, directive.line)}: {name}: {value!r}"
    if name in ("eval", "notest") and value not in ("", "false"):
        raise UserError(f"{where} is neither true nor false")
    if name == "default_exp" or (name in EXPORTS and value):
        module = unicodedata.normalize("NFKC", value)  # as Python reads the names in its imports
        right = all(part.isidentifier() and not iskeyword(part) for part in module.split("."))
        if not right or len(module) > MAX_MODULE_NAME or value in ("true", "false"):
            raise UserError(f"{where} is not the name of a module; write one such as core or core.sub")
        value = module
    return Directive(name, value, directive.line)


def check_code(notebook: Notebook, cell: Cell) -> None:
    """Refuse a directive below the first line of code: nbdev ignores it there, and the cell would be missing."""
    above = sum(1 for _ in leading(cell.source))
    lines = cell.source.split("\n")[above:]
    texts = ((number, behind_bar(line)) for number, line in enumerate(lines, above + 1))
    names = {number: parsed(text)[0] for number, text in texts if text is not None}
    misplaced = [number for number, name in names.items() if name in EFFECTIVE]
    try:  # without `%%time`, which is no Python
        inside = broken_in_string("\n" * above + "\n".join(lines)) if misplaced else set()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        inside = set()
    for number in misplaced:
        if number - 1 not in inside:
            where = place(notebook, cell, number)
            raise UserError(f"{where}: {names[number]!r} has no effect below code; move it to the top")


def broken_in_string(source: str) -> set[int]:
    """The lines that end inside a string: blanks at their end are content, and the next line begins inside it."""
    return {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno is not None
        for line in range(node.lineno, node.end_lineno)
    }


def near(name: str, names: set[str] | tuple[str, ...]) -> str | None:
    return next(iter(get_close_matches(name, sorted(names), n=1, cutoff=0.7)), None)


def place(notebook: Notebook, cell: Cell, line: int) -> str:
    """The place for a message; line 0 is the cell's metadata."""
    return f"{notebook.name}: cell {cell.number}, {f'line {line}' if line else 'metadata'}"
