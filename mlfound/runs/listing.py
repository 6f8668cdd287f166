"""All runs of a folder, newest first, or those that a user wants; whatever else lies there is marked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mlfound.config.documents import flat
from mlfound.errors import UserError, some
from mlfound.runs.find import folders
from mlfound.runs.reader import Run, at

NOTHING: Any = object()
MAX_NAMED = 30  # names in a message


def list_runs(runs_dir: Path) -> list[Run]:
    """A forgiving `Run` for each folder in `runs_dir`, newest first; none where there is no such folder."""
    return sorted(_runs(runs_dir), key=lambda run: (run.started, run.id), reverse=True)


def _runs(runs_dir: Path) -> Iterator[Run]:
    try:
        names = folders(runs_dir)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise UserError(f"--runs-dir {runs_dir}: cannot be read ({error.strerror}); name another") from error
    for name in names:
        if name != "latest" and not name.startswith("."):
            with suppress(FileNotFoundError):  # deleted meanwhile
                run = Run(runs_dir / name, forgiving=True)
                _ = run.started
                yield run


def those_with(where: Mapping[str, Any], runs: Sequence[Run], runs_dir: Path) -> list[Run]:
    """Those of `runs` that have these values under these dotted keys (see value_of), in their order.

    Of a list that stands under a key, the value may also be one item: `tags=good`. UserError, with the nearest one,
    for a key that none of the runs in `runs_dir` has.
    """
    found = runs = [run for run in runs if run.facts]
    for key, value in where.items():
        values = {run.id: value_of(run, key) for run in runs}
        if runs and key != "tags" and all(each is NOTHING for each in values.values()):
            raise UserError(f"{key}: no run in {runs_dir} has this key; {advice(key, keys_of(runs))}")
        wanted = list(value) if isinstance(value, tuple) else value
        found = [run for run in found if _is(values[run.id], wanted)]
    return list(found)


def _is(found: Any, wanted: Any) -> bool:
    """Whether it is the value, or holds it; 1 is 1.0 and not true."""
    if isinstance(found, list) and not isinstance(wanted, list):
        return any(_is(item, wanted) for item in found)
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


def value_of(run: Run, key: str) -> Any:
    """What stands under a dotted key of `run.json`, or else of the config, or else among the metrics; tags, too.

    NOTHING where there is none.
    """
    if key == "tags":
        return list(run.notes.tags)
    for place in (run.facts, run.config):
        if (value := at(place, key, NOTHING)) is not NOTHING:
            return value
    return run.metrics.get(key, NOTHING)


def keys_of(runs: Iterable[Run]) -> list[str]:
    """All keys that `value_of` knows of these runs: first the metrics, then those of configs and of `run.json`."""
    found: dict[str, None] = {}
    for places in zip(*((run.metrics, run.config, run.facts) for run in runs), strict=True):
        for place in places:
            found.update((key, None) for key, _ in flat(place))
    return [*found, "tags"]


def advice(word: str, known: Sequence[str]) -> str:
    """What may have been meant by a word that is not among those known: completes a message."""
    last = {name.rpartition(".")[2]: name for name in reversed(known)}
    near = get_close_matches(word, known, n=1, cutoff=0.75)
    near += [last[each] for each in get_close_matches(word.rpartition(".")[2], last, n=1, cutoff=0.75)]
    if near:
        return f"did you mean {near[0]!r}?"
    return f"write one of {some(known, MAX_NAMED)}"
