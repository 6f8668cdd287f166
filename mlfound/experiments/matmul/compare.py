"""Faster or slower than then? Two runs of matmul-bench, each rung relative to its own run's calibration kernel."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist, fmean, median, quantiles

from scipy.stats import ttest_ind

from mlfound.config.models import MatmulBenchConfig
from mlfound.errors import UserError
from mlfound.experiments.matmul.ladder import RungMeasurement, label
from mlfound.results import Column, Context, EarlierRun, Table

SEGMENTS = 20  # neighbouring replicates share the machine's mood: their medians count as independent
MUST_AGREE = ("cpu", "gpu", "cores", "device", "threads", "dtype", "shape")
FEWEST = 5  # replicates of a rung: fewer have no spread to go by
MOOD = 0.7  # of the spread within a run: how far two runs of one build lie apart (measured: tests/bench/matmul.py)
NORMAL_95 = NormalDist().inv_cdf(0.975)
SLOWER = 1.05  # smaller differences are not called any: a build compared with itself must pass

Samples = Mapping[tuple[str, str], Sequence[float]]  # by rung and shape: durations in calibration kernels


@dataclass(frozen=True)
class Earlier:
    """What the other run measured, its id and its folder."""

    name: str
    path: Path
    samples: Samples


def comparable_run(config: MatmulBenchConfig, context: Context) -> Earlier:
    """The run that `compare` names; a UserError if it measured something else, or elsewhere."""
    run = context.read_run(str(config.compare), "compare")
    if run.facts.get("command") != "matmul-bench":
        raise UserError(
            f"{config.compare} is a run of {run.facts.get('command')}, not of matmul-bench", key="compare"
        )
    then = {**run.facts["environment"], **run.config}
    now = {**context.environment, **config.model_dump(mode="json")}
    for what in MUST_AGREE:
        if then.get(what) != now.get(what):
            differ = f"{what} was {then.get(what)}, now it is {now.get(what)}"
            raise UserError(f"{config.compare} cannot be compared: its {differ}", key="compare")
    earlier = Earlier(run.facts["id"], run.path, earlier_samples(run))
    if not any(impl in config.impl for impl, _ in earlier.samples):
        raise UserError(f"{config.compare} has timed none of {', '.join(config.impl)}", key="compare")
    return earlier


def earlier_samples(run: EarlierRun) -> Samples:
    """From the run's `tables/replicates.csv`."""
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    try:
        for row in run.tables["replicates"]:
            samples[row["impl"], row["shape"]].append(float(row["seconds"]) / float(row["calibration_s"]))
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{run.path / 'tables/replicates.csv'}: damaged ({error})", key="compare") from error
    return samples


def comparison(earlier: Earlier, climbs: Sequence[RungMeasurement]) -> tuple[Table, list[str]]:
    """The ratio now to then of every rung that both runs timed, with its 95% interval, and the verdict in words."""
    rows = []
    for climb in climbs:
        then = earlier.samples.get((climb.impl, label(climb)))
        if climb.timing and then:
            ratio, low, high = ratio_and_interval(climb.timing.relative, then)
            rows.append((climb.impl, label(climb), ratio, low, high, verdict(low, high)))
    columns = (
        Column("impl", "rung"),
        Column("shape"),
        Column("ratio", "now / then", ".3f"),
        Column("ratio_low", "from", ".3f"),
        Column("ratio_high", "to", ".3f"),
        Column("verdict"),
    )
    seen = [
        f"{impl} {shape} is {word} ({ratio:.2f})"
        for impl, shape, ratio, _, _, word in rows
        if word != NOTHING
    ]
    findings = [f"Compared with {earlier.name}: {', '.join(seen) or NOTHING}."]
    return Table("comparison", f"Compared with {earlier.name} (95% intervals)", columns, rows), findings


NOTHING = "no difference seen"


def verdict(low: float, high: float) -> str:
    """Slower or faster only where the whole interval says so, by more than 5%."""
    if low > SLOWER:
        return "slower"
    return "faster" if high < 1 / SLOWER else NOTHING


def ratio_and_interval(now: Sequence[float], then: Sequence[float]) -> tuple[float, float, float]:
    """Now over then, and its 95% interval: Welch's, of the logarithms of segment medians, widened by the mood."""
    logs = [[math.log(value) for value in segment_medians(sample)] for sample in (now, then)]
    ratio = math.exp(fmean(logs[0]) - fmean(logs[1]))
    if min(map(len, logs)) < FEWEST:
        return ratio, 0.0, math.inf
    within = ttest_ind(*logs, equal_var=False).confidence_interval(0.95)
    between = NORMAL_95 * MOOD * math.hypot(spread(now), spread(then))
    half = math.hypot((within.high - within.low) / 2, between)
    return ratio, ratio * math.exp(-half), ratio * math.exp(half)


def spread(sample: Sequence[float]) -> float:
    """The standard deviation of the logarithms, from their quartiles: of few bad moments it takes no notice."""
    low, _, high = quantiles(map(math.log, sample), n=4, method="inclusive")
    return (high - low) / (2 * NormalDist().inv_cdf(0.75))


def segment_medians(sample: Sequence[float]) -> list[float]:
    """The medians of SEGMENTS stretches of neighbouring values, or the values where there are not so many."""
    count = min(SEGMENTS, len(sample))
    edges = [len(sample) * index // count for index in range(count + 1)]
    return [median(sample[start:end]) for start, end in pairwise(edges)]
