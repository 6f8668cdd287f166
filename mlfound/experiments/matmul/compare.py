"""Faster or slower than then? Two runs of matmul-bench, each rung relative to its own run's calibration kernel."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import NormalDist, fmean, median

from mlfound.config.benches import MatmulBenchConfig
from mlfound.errors import UserError
from mlfound.experiments.matmul.ladder import RungMeasurement
from mlfound.results import Column, Context, EarlierRun, Result, Table
from mlfound.stats.differences import welch_effect
from mlfound.stats.timing import quartiles

SEGMENTS = 20  # neighbouring samples share the machine's load: the medians of segments count as independent
MUST_AGREE = ("cpu", "gpu", "cores", "device", "threads", "dtype", "shape")
MIN_SAMPLES = 5  # of a rung: fewer have no spread to go by
DRIFT = 0.7  # of the spread within a run: how far two runs of one build lie apart (measured: tests/bench/matmul.py)
MIN_RATIO = 1.05  # smaller differences are not called any: a build compared with itself must pass
NOTHING = "no difference seen"
NORMAL = NormalDist()


def comparable_run(config: MatmulBenchConfig, context: Context) -> EarlierRun:
    """The run that `compare` names; a UserError if it measured something else, or elsewhere."""
    run = context.read_run(str(config.compare), "compare")
    if run.facts.get("command") != "matmul-bench":
        message = f"{config.compare} is a run of {run.facts.get('command')}, not of matmul-bench"
        raise UserError(message, key="compare")
    then = {**run.facts["environment"], **run.config}
    now = {**context.environment, **config.model_dump(mode="json")}
    for what in MUST_AGREE:
        if then.get(what) != now.get(what):
            differ = f"{what} was {then.get(what)}, now it is {now.get(what)}"
            raise UserError(f"{config.compare} cannot be compared: its {differ}", key="compare")
    if not any(impl in config.impl for impl, _ in samples(run)):
        raise UserError(f"{config.compare} has timed none of {', '.join(config.impl)}", key="compare")
    return run


def samples(run: EarlierRun) -> Mapping[tuple[str, str], Sequence[float]]:
    """By rung and shape the durations in calibration kernels, from the run's `tables/replicates.csv`."""
    durations = defaultdict[tuple[str, str], list[float]](list)
    try:
        for row in run.tables["replicates"]:
            durations[row["impl"], row["shape"]].append(float(row["seconds"]) / float(row["calibration_s"]))
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{run.path / 'tables/replicates.csv'}: damaged ({error})", key="compare") from error
    return durations


def comparison(earlier: EarlierRun, measurements: Sequence[RungMeasurement]) -> Result:
    """The ratio now to then of every rung that both runs timed, with its 95% interval, and the verdict in words."""
    name, measured = earlier.facts["id"], samples(earlier)
    rows, changes = [], []
    for each in measurements:
        then = measured.get((each.impl, each.shape))
        if each.timing and then:
            ratio, low, high = ratio_and_interval(each.timing.relative, then)
            word = verdict(low, high)
            rows.append((each.impl, each.shape, ratio, low, high, word))
            if word != NOTHING:
                changes.append(f"{each.impl} {each.shape} is {word} ({ratio:.2f})")
    columns = (
        Column("impl", "rung"),
        Column("shape", rank=1),
        Column("ratio", "now / then", ".3f"),
        Column("ratio_low", "from", ".3f"),
        Column("ratio_high", "to", ".3f"),
        Column("verdict"),
    )
    table = Table("comparison", f"Compared with {name} (95% intervals)", columns, rows, "alone")
    return Result(findings=[f"Compared with {name}: {', '.join(changes) or NOTHING}."], tables=[table])


def verdict(low: float, high: float) -> str:
    """Slower or faster only where the whole interval says so, by more than 5%."""
    if low > MIN_RATIO:
        return "slower"
    return "faster" if high < 1 / MIN_RATIO else NOTHING


def ratio_and_interval(now: Sequence[float], then: Sequence[float]) -> tuple[float, float, float]:
    """Now over then, and its 95% interval: Welch's, of the logarithms of segment medians, widened by the drift."""
    logs = [[math.log(value) for value in segment_medians(sample)] for sample in (then, now)]
    ratio = math.exp(fmean(logs[1]) - fmean(logs[0]))
    low, high = welch_effect(*logs).interval(0.95)
    if min(map(len, logs)) < MIN_SAMPLES or low is None or high is None:
        return ratio, 0.0, math.inf
    between = NORMAL.inv_cdf(0.975) * DRIFT * math.hypot(spread(now), spread(then))
    half = math.hypot((high - low) / 2, between)
    return ratio, ratio * math.exp(-half), ratio * math.exp(half)


def spread(sample: Sequence[float]) -> float:
    """The standard deviation of the logarithms, from their quartiles: a few bad moments hardly change it."""
    low, high = quartiles([math.log(value) for value in sample])
    return (high - low) / (2 * NORMAL.inv_cdf(0.75))


def segment_medians(sample: Sequence[float]) -> list[float]:
    """The medians of SEGMENTS stretches of neighbouring values, or the values where there are not so many."""
    count = min(SEGMENTS, len(sample))
    edges = [len(sample) * index // count for index in range(count + 1)]
    return [median(sample[start:end]) for start, end in pairwise(edges)]
