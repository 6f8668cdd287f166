"""A run for those who live in TensorBoard: event files with its curves, its pictures, its config and its figures."""

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlfound.config.documents import flat
from mlfound.errors import UserError
from mlfound.files import POWER_CUT, may_lack
from mlfound.report.contents import Contents
from mlfound.runs.contents import read_contents
from mlfound.runs.reader import Run, numeric
from mlfound.runs.status import moment

RGBA = 4
MAX_STEP = 2**63 - 1  # the largest that an event file can hold
NOT_SCALARS = ("epoch", "seed")

Row = Mapping[str, float | int]
Add = Callable[[Any, int, float], None]  # a summary as it was at a step, and a time in seconds since 1970


def export(folder: Path, target: Path) -> Path:
    """Write the run in `folder` as `target/ID`, whole or not at all; UserError where that cannot be."""
    run, contents = Run(folder), read_contents(folder)
    rows = [finite(row) for row in run.rows]
    settings = hyperparameters(run.config)
    place = target / folder.resolve().name
    if target.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"--tensorboard {target}: lies in the run folder; name another")
    if os.path.lexists(place):
        raise UserError(f"--tensorboard {target}: {place} is there already; remove it, or name another")
    if find_spec("tensorboardX") is None:
        raise UserError("--tensorboard: needs the package tensorboardX; pip install 'mlfound[tensorboard]'")
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".export-") as temporary:
            whole = Path(temporary, place.name)
            write(whole, contents, settings, rows)
            whole.rename(place)
    except OSError as error:
        raise UserError(
            f"--tensorboard {target}: cannot be written to ({error.strerror}); name another folder"
        ) from error
    return place


def write(folder: Path, contents: Contents, settings: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Pictures, hyperparameters, final figures and curves; of several seeds, each has a folder for its curves."""
    start = moment(contents.facts, "start")
    begun = start.timestamp() if start else 0.0
    with event_file(folder) as add:
        for summary in whole_run(contents, settings):
            add(summary, 0, begun + (contents.seconds or 0))
        seeds = sorted({row.get("seed", 0) for row in rows})
        for seed in seeds:
            own = [row for row in rows if row.get("seed", 0) == seed]
            with event_file(folder / f"seed-{seed}") if len(seeds) > 1 else nullcontext(add) as add_to_its:
                add_curves(add_to_its, own, begun)


def whole_run(contents: Contents, settings: Mapping[str, Any]) -> Iterator[Any]:
    """What there is once: TensorBoard's table of hyperparameters finds the final figures by their names."""
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.summary import hparams, scalar

    final = {f"final/{name}": value for name, value in numeric(contents.summary.get("metrics")).items()}
    yield from hparams(settings, final)
    for name, value in final.items():
        yield scalar(name, value)
    for plot in contents.plots:
        image = Summary.Image(
            height=plot.height, width=plot.width, colorspace=RGBA, encoded_image_string=plot.png
        )
        yield Summary(value=[Summary.Value(tag=plot.name, image=image)])


def add_curves(add: Add, rows: Sequence[Row], begun: float) -> None:
    """A scalar a figure and epoch, at the time at which it will have been known."""
    from tensorboardX.summary import scalar

    now = begun
    for step, row in enumerate(rows, 1):
        now += sum(value for name, value in row.items() if name.endswith("_seconds"))
        epoch = row.get("epoch", step)
        for name, value in row.items():
            if name not in NOT_SCALARS:
                add(scalar(name, value), int(epoch) if abs(epoch) <= MAX_STEP else step, now)


@contextmanager
def event_file(folder: Path) -> Iterator[Add]:
    """An event file in a folder of its own."""
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event

    folder.mkdir(exist_ok=True)
    writer = EventsWriter(str(folder / "events"))
    try:
        yield lambda summary, step, time: writer.write_event(
            Event(wall_time=time, step=step, summary=summary)
        )
    finally:
        with may_lack("fsync of files", Path(folder.name), POWER_CUT):  # it lies in a temporary folder
            writer.close()


def hyperparameters(config: Mapping[str, Any]) -> dict[str, str | float | bool]:
    """The config by dotted key; lists as text, and nothing for null."""
    return {
        key: value if isinstance(value, str | int | float) else json.dumps(value)
        for key, value in flat(config)
        if value is not None
    }


def finite(row: Mapping[str, Any]) -> Row:
    """The finite numbers of a row."""
    return {name: value for name, value in numeric(row).items() if math.isfinite(value)}
