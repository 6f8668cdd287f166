"""Notebooks with odd stacks of directives: what is exported is what a second reading of nbdev's rules says it is."""

import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from mlfound.notebooks.documents import read
from mlfound.notebooks.running import skipped
from tests.faults import nbdev_rules
from tests.faults.nbdev_rules import Reading
from tests.faults.report import Report
from tests.support.commands import mlfound, refused
from tests.support.pages import code, notebook, text

MODULES = ("", "", "", "core", "core", "util", "deep.sub", "true")
COMMENTS = (
    "# a note", "# export the results to a file", "# Export results", "## export", "# exported", "#hide", "#!x", "#",
    "# export: it", "# see |x|", "#-- | export", "# exports of goods", "# default_exp is training",
)  # fmt: skip
OPTIONS = (
    "hide", "exec_doc", "filter_stream Future Multi", "hide_line", "echo: false", "output:asis", "include : false",
    "label: fig-x", "code-fold: true", "code-summary: export", "warning: false", "eval: true", "eval: false",
    "eval", "eval false", "eval: False # slow", "notest", "layout-ncol: 2", "----------", "",
    "fig-cap: |\n#|     Exported, or not.", "fig-subcap:\n#|   - one line\n#|   - export",
    "tbl-colwidths: [1,\n#|      2]",
)  # fmt: skip
WRONG = (
    "exprot", "Exports_", "hidden", "default-exp core", "evl: false", "eval: flase", "export my-module", "cuda",
    "export ../x", "export a b", "export: false", "default_exp", "exportd", "code-fodl: true", "export class.1x",
)  # fmt: skip
BODIES = (
    "x{n} = {n}", "def f{n}(a):\n    b = a  #| hide_line\n\n    return b", "s{n} = '''\n#| export\n#| exprot\n'''",
    "x{n} = {n}\n#export\n# export core\n#| own", "x{n} = [\n  {n},  \n]\t", "", "   ",
)  # fmt: skip
NOT_PYTHON = (
    "%time x = {n}",
    "!echo {n}",
    "x{n} = (",
    "%matplotlib inline\n#| export\nx = {n}",
    "x = 1\n#| export",
)


def trial(count: int, seed: int, folder: Path) -> Report:
    """Each case is a folder of one to three notebooks."""
    started = time.perf_counter()
    home, failures, made = Path.cwd(), [], []
    try:
        for number in range(count):
            own = folder / str(number)
            own.mkdir()
            os.chdir(own)
            notebooks, refused, failure = case(seed, number)
            made.append((notebooks, refused))
            failures += failure
    finally:
        os.chdir(home)
    note = f"{sum(each for each, _ in made)} notebooks; {sum(refused for _, refused in made)} folders to be refused"
    return Report("odd-directives", count, failures, seed, time.perf_counter() - started, note)


def case(seed: int, number: int) -> tuple[int, bool, list[str]]:
    """How many notebooks, whether they are to be refused, and what went wrong."""
    rng = Random(f"{seed}-{number}")
    daring = rng.random() < 0.4  # else nothing is wrong, unless two of its parts are by chance
    owner = rng.choice(("01_a.ipynb", "02_b.ipynb", "03_c.ipynb"))  # at most one may have core for its own
    sources = {}
    for name in ["01_a.ipynb", "02_b.ipynb", "03_c.ipynb"][: rng.choice((1, 1, 2, 3))]:
        cells = draw_cells(
            rng, rng.choice((None, None, f"own{name[:2]}", "core" if name == owner else None)), daring
        )
        Path(name).write_bytes(json.dumps(notebook(*cells)).encode())
        sources[name] = [
            (place, "".join(cell["source"]), cell["metadata"].get("tags", []))
            for place, cell in enumerate(cells, 1)
            if cell["cell_type"] == "code"
        ]
    reading = nbdev_rules.read(sources)
    try:
        compare(reading)
    except Exception as error:
        return len(sources), bool(reading.faults), [f"{number}: {type(error).__name__}: {error}"]
    return len(sources), bool(reading.faults), []


def draw_cells(rng: Random, default: str | None, daring: bool) -> list[dict[str, Any]]:
    """Cells of all kinds; a `default` stands somewhere among them."""
    count = rng.randint(1, 8)
    place = rng.randrange(count)
    cells = []
    for n in range(count):
        if rng.random() < 0.15:
            cells.append({**text("#| export\nx = 1"), "cell_type": rng.choice(("markdown", "raw"))})
        module = rng.choice(MODULES)
        lines = [draw_line(rng, daring, module) for _ in range(rng.choice((0, 1, 1, 2, 3, 5)))]
        if daring and rng.random() < 0.04:
            lines.append("#| export other")
        if n == place and default is not None:
            lines.insert(rng.randint(0, len(lines)), f"#{rng.choice((' ', '| ', '|'))}default_exp {default}")
        body = rng.choice(NOT_PYTHON if daring and rng.random() < 0.08 else BODIES).format(n=n)
        source = (
            rng.choice(("\n", "\n", "\r\n"))
            .join(("\n".join(lines) + "\n" + body).split("\n"))
            .removeprefix("\n")
        )
        tags = rng.choice(([], [], ["export"], ["skip-execution"], ["raises-exception", "hide"]))
        as_lines = rng.random() < 0.5
        cells.append(
            code(source.splitlines(True) if as_lines else source, metadata={"tags": tags} if tags else {})
        )
    return cells


def draw_line(rng: Random, daring: bool, module: str) -> str:
    """A line above the code of a cell that goes to `module`, if it says so."""
    blank, inner = rng.choice(("", "", " ", "\t")), rng.choice(("", " ", "  "))
    kind = rng.random()
    if daring and kind < 0.05:
        return f"#|{inner}{rng.choice(WRONG)}"
    if daring and kind < 0.07:
        return "%%time"
    if kind < 0.25:
        return rng.choice(("", "  ", *COMMENTS))
    if kind < 0.55:
        return f"{blank}#|{inner if inner != '  ' else ' '}{rng.choice(OPTIONS)}"
    word = rng.choice(("export", "export", "exports", "exporti"))
    if kind < 0.75:
        word = rng.choice((word, word, word.upper(), word.title()))
        return f"{blank}#{rng.choice(('', ' '))}|{inner}{word}{rng.choice((' ', ': ', ':', ' : '))}{module}{blank}"
    if module and module != "true":
        return f"{blank}#{inner}{word} {module}{blank}"
    return f"{blank}#{inner}{rng.choice((word, word.upper()))}{blank}"


def compare(reading: Reading) -> None:
    """An AssertionError if the command and the second reading differ."""
    outcome = mlfound("notebook", "export", ".")
    if reading.faults:
        line = refused(outcome)
        assert not Path("exp").exists(), "something was written"
        place = re.search(r"(\d\d_.\.ipynb): cell (\d+)", line)
        named = (place[1], int(place[2])) if place else None
        assert named in reading.faults if named else None in {cell for _, cell in reading.faults}, line
        return
    assert outcome.code == 0, outcome
    found = {path.relative_to("exp").with_suffix(""): path for path in Path("exp").rglob("*.py")}
    got = {".".join(name.parts): halves(path) for name, path in found.items()}
    assert got == {name: (reading.sources[name], lines) for name, lines in reading.modules.items()}, got
    assert mlfound("notebook", "export", ".", "--check").code == 0, "--check"
    for name, numbers in reading.skipped.items():
        assert skipped(read(Path(name))) == numbers, f"{name} is to run without {numbers}"


def halves(path: Path) -> tuple[Sequence[str], Sequence[str]]:
    """The notebooks that a module names, and its lines that are not blank below its header."""
    header, _, rest = path.read_text(encoding="utf-8").partition("\n\n")
    names = [line.removeprefix("# Notebook: ") for line in header.split("\n")[2:]]
    return names, [line.rstrip() for line in rest.split("\n") if line.strip()]
