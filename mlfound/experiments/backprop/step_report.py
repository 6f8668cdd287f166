"""What training shows: a line and a bar for each implementation, and how the best of ours stands to the peers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlfound.engines import ladder
from mlfound.experiments.backprop.step_task import Task
from mlfound.results import Check, Column, Picture, Result, Table
from mlfound.stats.timing import Ratio, Timing

REFERENCE = "torch-nn"
BOUND = 1e-10  # of the weights in float64 after the epoch, where 781 steps leave some 1e-15
FLOAT32_STEPS = 20  # much later no two agree in float32
FLOAT32_BOUND = 1e-5  # of the typical weight then: rounding leaves some 1e-7, products in TF32 1e-4 and more

COLUMNS = (
    Column("impl"),
    Column("median_s", "an epoch", "duration"),
    Column("iqr_s", "IQR", "duration"),
    Column("n", "rounds", ","),
    Column("images_per_s", "images/s", ",.0f"),
    Column("times_torch_nn", "times torch-nn", ".2f"),
    Column("setup_s", "setting up", "duration"),
    Column("weights_error", "weights off", ".0e"),
    Column("note"),
)
ROUNDS = (Column("impl"), Column("round"), Column("seconds"), Column("calibration_s"))


@dataclass(frozen=True)
class Entry:
    """One implementation: why it did not run, or how far off its weights are, and how long its epochs took."""

    impl: str
    absent: str | None = None
    error: float | None = None  # of the weights in float64
    single_error: float | None = None  # of the typical weight in float32, as it is timed
    networks: int = 1  # trained in one call
    first_s: float | None = None  # the first epoch of who has something to set up
    timing: Timing | None = None

    @property
    def exact(self) -> bool:
        """Whether this is the same maths."""
        return self.error is not None and self.error <= BOUND

    @property
    def right(self) -> bool:
        """Whether what would be timed is the same, too."""
        return self.exact and self.single_error is not None and self.single_error <= FLOAT32_BOUND

    def per_epoch(self, seconds: float, task: Task) -> float:
        """For all networks: who trains one at a time needs so many times as long."""
        return seconds * task.config.replicates / self.networks


def report(task: Task, entries: Sequence[Entry]) -> Result:
    """Checks, a line and a bar each; what cannot run here is listed with its reason."""
    timed = [entry for entry in entries if entry.timing]
    rates = {entry.impl: images_per_s(entry, task) for entry in timed}
    low, middle, high = zip(*rates.values(), strict=True) if rates else ((), (), ())
    data = {"title": title(task), "names": list(rates), "images_per_s": middle, "low": low, "high": high}
    best, ratios = against_peers(task, timed)
    return Result(
        metrics={
            **{f"{name}_images_per_s": value for name, value in zip(rates, middle, strict=True)},
            **{f"{best}_times_{peer}{part}": value for peer, part, value in figures(ratios)},
        },
        checks=[check for entry in entries if entry.impl != REFERENCE for check in checks(entry, task)],
        findings=[finding(best, ratios)] if ratios else [],
        tables=[
            Table("step", title(task), COLUMNS, [row(entry, entries, task) for entry in entries]),
            Table(
                "rounds",
                "Every round",
                ROUNDS,
                [one for entry in timed for one in rounds(entry)],
                shown=False,
            ),
        ],
        pictures=[Picture("step", "rate_bars", data)] if rates else [],
    )


def title(task: Task) -> str:
    """What was trained, and where."""
    config, sizes = task.config, "-".join(map(str, task.sizes))
    words = [f"{task.steps} whole batches of {config.batch_size} shuffled rows, {sizes}", config.device]
    words.append("1 thread" if config.threads == 1 else f"{config.threads} threads")
    if config.replicates > 1:
        words.append(f"{config.replicates} networks")
    return f"An epoch: {', '.join(words)}"


def images_per_s(entry: Entry, task: Task) -> tuple[float, float, float]:
    """Of all networks: the lower quartile, the median, the upper quartile."""
    assert entry.timing is not None
    short, long = entry.timing.quartiles
    images = task.steps * task.config.batch_size * task.config.replicates
    low, middle, high = (images / entry.per_epoch(s, task) for s in (long, entry.timing.median, short))
    return low, middle, high


def times_as_fast(entry: Entry, other: Entry) -> Ratio:
    """As `other`, for each network."""
    assert entry.timing is not None
    assert other.timing is not None
    ratio = entry.timing.times_as_fast_as(other.timing)
    return Ratio([each * entry.networks / other.networks for each in ratio.rounds])


def against_peers(task: Task, timed: Sequence[Entry]) -> tuple[str, Mapping[str, Ratio]]:
    """The last of our engines, and how many times as fast as each peer it is."""
    ours = [entry for entry in timed if entry.impl in ladder.ENGINES]
    if not ours:
        return "", {}
    peers = [entry for entry in timed if entry.impl not in ladder.ENGINES]
    return ours[-1].impl, {peer.impl: times_as_fast(ours[-1], peer) for peer in peers}


def figures(ratios: Mapping[str, Ratio]) -> list[tuple[str, str, float]]:
    """Each ratio's median and middle half, with the end of its name."""
    return [
        (peer, part, value)
        for peer, ratio in ratios.items()
        for part, value in zip(("", "_low", "_high"), (ratio.median, *ratio.quartiles), strict=True)
    ]


def finding(best: str, ratios: Mapping[str, Ratio]) -> str:
    """One sentence."""
    said = [
        f"{ratio.median:.2f} times as fast as {peer} ({ratio.quartiles[0]:.2f} to {ratio.quartiles[1]:.2f})"
        for peer, ratio in ratios.items()
    ]
    return f"{best} train {', '.join(said)}; in brackets the middle half of the rounds."


def checks(entry: Entry, task: Task) -> list[Check]:
    """Who was tried was tried in float64; who was right there, also as it is timed."""
    found = []
    if entry.error is not None:
        name = f"{entry.impl}: weights after {task.steps} steps in float64 as by {REFERENCE}"
        found.append(Check(name, entry.exact, entry.error, BOUND))
    if entry.single_error is not None:
        steps = min(FLOAT32_STEPS, task.steps)
        name = f"{entry.impl}: the typical weight after {steps} steps in float32 as in float64"
        found.append(Check(name, entry.right, entry.single_error, FLOAT32_BOUND))
    return found


def row(entry: Entry, entries: Sequence[Entry], task: Task) -> tuple[Any, ...]:
    """One line of the table."""
    timing = entry.timing
    if timing is None:
        note = entry.absent or f"void: other weights than {REFERENCE}"
        return (entry.impl, None, None, None, None, None, None, entry.error, note)
    setup_s = None if entry.first_s is None else max(0.0, entry.first_s - timing.median)
    reference = next((each for each in entries if each.impl == REFERENCE and each.timing), None)
    return (
        entry.impl,
        entry.per_epoch(timing.median, task),
        None if timing.iqr is None else entry.per_epoch(timing.iqr, task),
        timing.n,
        images_per_s(entry, task)[1],
        None if reference is None else times_as_fast(entry, reference).median,
        setup_s,
        entry.error,
        ", ".join(notes(entry, timing, task)),
    )


def notes(entry: Entry, timing: Timing, task: Task) -> list[str]:
    """What one must know to read the line."""
    said = ["noisy"] if timing.noisy else []
    if entry.networks < task.config.replicates:
        said.append(f"one network, {task.config.replicates} times")
    if (processes := task.processes(entry.impl)) > 1:
        said.append(f"{processes} processes")
    return said


def rounds(entry: Entry) -> list[tuple[Any, ...]]:
    """As they were measured."""
    timing = entry.timing
    assert timing is not None
    pairs = zip(timing.seconds, timing.calibration, strict=True)
    return [(entry.impl, number, *pair) for number, pair in enumerate(pairs, 1)]
