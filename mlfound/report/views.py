"""The data of a run's page: texts and numbers in its order, cut to what fits on it."""

import base64
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlfound.errors import printable
from mlfound.report.contents import Contents, Plot
from mlfound.report.figures import elapsed, figure, headlines, words
from mlfound.report.grids import cut, grids

MAX_CARDS = 8
MAX_ITEMS = 300  # findings, checks, figures, facts
MAX_TEXT_CHARACTERS = 1_000
MAX_SETTING_CHARACTERS = 80
MAX_PLOT_BYTES = 1_600_000  # of all pictures together; base64 makes a third more of it


def view(contents: Contents) -> dict[str, Any]:
    """The variables of the template by name."""
    facts, summary = contents.facts, contents.summary
    command, path = _text(facts.get("command")), _text(contents.path)
    metrics = _mapping(summary.get("metrics"))
    figures, left_out = _figures(contents.plots)
    return {
        "id": _text(facts.get("id")),
        "title": _text(contents.title),
        "command": command,
        "status": facts["status"],
        "tone": TONES.get(facts["status"], "bad"),
        "facts_in_short": list(_in_short(contents)),
        "labels": [_text(label) for label in (*contents.tags, contents.note) if label],
        "changed": contents.changed
        and [tuple(cut(text, MAX_SETTING_CHARACTERS) for text in row) for row in contents.changed],
        "reason": _text(reason(contents)),
        "problems": [_text(problem) for problem in contents.problems],
        "findings": [_text(finding) for finding in _list(summary.get("findings"))],
        "cards": headlines(metrics, MAX_CARDS),
        "checks": list(_checks(summary)),
        "figures": figures,
        "left_out": left_out,
        "tables": grids(contents.sheets, _mapping(summary.get("tables"))),
        "metrics": [(words(name), _text(figure(name, value))) for name, value in metrics.items()],
        "groups": groups(facts),
        "config": _lines(contents.config),
        "log": _lines(contents.log),
        "path": path,
        "repeat": shlex.join(["mlfound", *TWO_WORDS.get(command, (command,)), f"{path}/config.yaml"]),
    }


TWO_WORDS = {"notebook-test": ("notebook", "test")}
TONES = {"completed": "good", "running": "waiting", "interrupted": "waiting"}
# what run.json keeps of a signal
SIGNALS = {"KeyboardInterrupt()": "Ctrl-C", "Terminated()": "SIGTERM"}


def reason(contents: Contents) -> str:
    """Why a run ended before its time; empty of one that came to its end, or has not yet."""
    status, error = contents.facts["status"], contents.facts.get("error")
    if status == "interrupted":
        return f"Interrupted by {SIGNALS.get(str(error), 'a signal')}."
    if status == "crashed":
        return (
            "Crashed: its process is gone and left no word (killed, out of memory, or the machine went down)."
        )
    return f"Failed: {error}" if status == "failed" and error else ""


def _in_short(contents: Contents) -> Iterator[str]:
    """Start, duration, data and device: the line below the title."""
    facts = contents.facts
    yield f"started {_text(facts.get('start'))[:19].replace('T', ' ')} UTC"
    if contents.seconds is not None:
        yield f"took {elapsed(contents.seconds)}"
    dataset = facts.get("dataset")
    if isinstance(dataset, dict) and "name" in dataset:
        yield f"on {_text(dataset['name'])}"
    if "device" in facts:
        yield f"device {_text(facts['device'])}"
    if "threads" in facts:
        yield f"threads {_text(facts['threads'])}"


def _checks(summary: Mapping[str, Any]) -> Iterator[tuple[str, bool, str, str]]:
    """Name, passed, measured value and bound; those that failed first."""
    checks = [check for check in _list(summary.get("checks")) if isinstance(check, dict)]
    for check in sorted(checks, key=lambda check: check.get("passed") is True):
        passed, figures = check.get("passed") is True, (check.get("value"), check.get("bound"))
        value, bound = map(_short, figures)
        if value == bound and not passed:
            value, bound = (_short(each, digits=6) for each in figures)
        yield _text(check.get("name")), passed, value, bound


def _figures(plots: Sequence[Plot]) -> tuple[list[dict[str, Any]], list[str]]:
    """The pictures that fit, each PNG as a data URL, and the names of the others."""
    room, figures, left_out = MAX_PLOT_BYTES, [], []
    for plot in plots:
        if len(plot.png) > room:
            left_out.append(f"plots/{_text(plot.name)}.png")
            continue
        room -= len(plot.png)
        source = f"data:image/png;base64,{base64.b64encode(plot.png).decode()}"
        title = words(plot.name.replace("-", " ")).capitalize()
        alternative = _text(plot.alternative or title)
        size = {"width": plot.width, "height": plot.height}
        figures.append({"title": title, "alternative": alternative, "source": source, **size})
    return figures, left_out


def groups(facts: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """All of `run.json` in groups: dotted names and their values."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, value in _flat(facts):
        prefix, title = next(each for each in GROUPS if name.startswith(each[0]))
        group = found.setdefault(title, [])
        if len(group) < MAX_ITEMS:
            group.append((_text(name.removeprefix(prefix)), _text(value)))
    return found


# by prefix: the first that matches
GROUPS = (
    ("environment.packages.", "Packages"),
    ("environment.git.", "Code"),
    ("environment.", "Machine"),
    ("dataset.", "Data"),
    ("", "Run"),
)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of nested sections."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _mapping(value: object) -> dict[str, Any]:
    """A section's keys and values, at most MAX_ITEMS; empty for anything else."""
    items = [*value.items()][:MAX_ITEMS] if isinstance(value, dict) else ()
    return {_text(key): inner for key, inner in items}


def _list(value: object) -> list[Any]:
    return value[:MAX_ITEMS] if isinstance(value, list) else []


def _lines(text: str) -> str:
    """A text of several lines, each of them printable."""
    return "\n".join(printable(line) for line in text.expandtabs().splitlines())


def _short(value: object, digits: int = 3) -> str:
    return f"{value:.{digits}g}" if isinstance(value, float) else _text(value)


def _text(value: object) -> str:
    """One printable line, cut to MAX_TEXT_CHARACTERS; None is a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return cut(text, MAX_TEXT_CHARACTERS)
