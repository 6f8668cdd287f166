"""What matmul-bench, conv-bench and backprop-bench share: a measurement, its columns and bars, and the images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mlfound.config.benches import BackpropBenchConfig, ConvBenchConfig, MatmulBenchConfig
from mlfound.data.load import Splits, load
from mlfound.data.registry import find
from mlfound.results import Column, Context, Picture, Table
from mlfound.stats.timing import Timing
from mlfound.training.inputs import dataset_facts

BenchConfig = MatmulBenchConfig | ConvBenchConfig | BackpropBenchConfig


@dataclass(frozen=True)
class Measurement:
    """One implementation, and what its calls took; None where it was not timed."""

    impl: str
    timing: Timing | None = None

    @property
    def timed(self) -> Timing:
        """The timing, where it is known that there is one."""
        assert self.timing is not None
        return self.timing

    @property
    def samples(self) -> Iterable[tuple[float, float]]:
        """Seconds a call, and those of the calibration kernel just before."""
        return zip(self.timing.seconds, self.timing.calibration, strict=True) if self.timing else ()

    @property
    def noisy(self) -> list[str]:
        """The note on a timing that scatters."""
        return ["noisy"] if self.timing and self.timing.noisy else []


TIMING = (
    Column("median_s", "median", "duration", "timing.median"),
    Column("iqr_s", "IQR", "duration", "timing.iqr"),
    Column("n", format=",", of="timing.n", rank=4),
)


def duration_dots(
    name: str, title: str, dots: Sequence[tuple[str, Timing, float | None]], rows: Sequence[int] = ()
) -> Picture:
    """A dot for each name, the quartiles, and the seconds in the lesson's text where it has them.

    Of calls on different numbers of `rows` the times of one row; the lesson's calls are on the most.
    """
    names, timings, lesson_s = zip(*dots, strict=True)
    sizes = rows if len(set(rows)) > 1 else [1] * len(names)
    data = {
        "median_s": [timing.median / size for timing, size in zip(timings, sizes, strict=True)],
        "low_s": [timing.quartiles[0] / size for timing, size in zip(timings, sizes, strict=True)],
        "high_s": [timing.quartiles[1] / size for timing, size in zip(timings, sizes, strict=True)],
        "lesson_s": [each and each / max(sizes) for each in lesson_s],
        "of": "one row" if sizes is rows else "one call",
    }
    return Picture(name, "duration_dots", {"title": title, "names": names, **data})


def replicates(measurements: Sequence[Measurement], *columns: Column) -> Table:
    """For its CSV alone: every sample, with these columns, its seconds and those of its calibration kernel."""
    rows = [
        (*(column.value(each) for column in columns), *sample)
        for each in measurements
        for sample in each.samples
    ]
    every = (*columns, Column("seconds"), Column("calibration_s"))
    return Table("replicates", "Replicates", every, rows, shown="never")


def machine_words(config: BenchConfig) -> str:
    """`cpu, 2 threads`."""
    return f"{config.device}, {config.threads} thread{'s' * (config.threads != 1)}"


def load_splits(config: BenchConfig, context: Context) -> tuple[Splits, dict[str, Any]]:
    """The images as the lesson has them, float32 (rows, pixels) in [0, 1); and what `run.json` says of them."""
    dataset = find(config.dataset, key="dataset")
    splits = load(dataset, context.data_dir, context.recorder.progress)
    return splits, dataset_facts(dataset, splits)
