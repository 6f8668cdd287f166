"""What more ranks save, measured where it can be and planned beyond: `python -m tests.bench.ranks [PICTURE]`.

One process and two take the same steps in turn, in short blocks, so that both meet the same load of the machine. The
plan for more ranks takes a step's time to be

    compute(R) + meetings latency + R / 2 passes / 3 bytes / bandwidth          in shared memory
    compute(R) + sums 2 (R - 1) latency + 2 (R - 1) / R bytes / bandwidth       over a network

where compute(R) is the processor time of one of R ranks whose sums send nothing. In shared memory each MiB of a sum
takes one meeting and R + 1 passes over its bytes, or two meetings and 3 passes where each rank adds up a part; all
ranks share the bandwidth that two of them were seen to have. A ring has 2 (R - 1) stages, each with 1 / R of the
bytes (Patarasu and Yuan 2009).
"""

import math
import statistics
import sys
import time
from dataclasses import dataclass

import torch

from mlfound.config.loading import load, parse_set
from mlfound.data.load import Split, Splits
from mlfound.engines import ladder
from mlfound.engines.buffers import Buffers
from mlfound.engines.group import Group
from mlfound.engines.native import Native, lacking
from mlfound.engines.recipe import Rate
from mlfound.engines.shared import Shared
from mlfound.engines.storage import parameter_count
from mlfound.foundations.layers import every
from mlfound.foundations.norms import BatchNorm, RunningBatchNorm
from mlfound.foundations.randomness import generator
from mlfound.native.all_reduce import SHARED_BYTES, SLOT_BYTES
from mlfound.report.terminal import screen, show
from mlfound.results import Column, Result, Table
from mlfound.training.build import initial
from mlfound.training.plan import plan
from tests.support.ranks import in_ranks

CONFIGS = {
    "linear": ("linear.yaml",),
    "mlp": ("mlp.yaml",),
    "mlp-wide": ("mlp-wide.yaml",),
    "mlp-wide, batch 512": ("mlp-wide.yaml", "batch_size=512"),
    "lenet5": ("lenet5.yaml",),
    "cnn": ("cnn.yaml",),
    "resnet": ("resnet.yaml",),
}
IMAGES, ROUNDS, BLOCK_SECONDS = 10_000, 600, 0.01  # short, and many: some find both cores free
RANKS = [2**n for n in range(7)]
BYTES = (4, 1_000, 10_000, 100_000, 1_000_000, 4_000_000)


@dataclass(frozen=True)
class Memory:
    """Of one machine: seconds of a small sum, and of a large one the bytes of each of two ranks a second."""

    latency: float
    bandwidth: float

    def seconds(self, ranks: int, messages: int, gradient: int) -> float:
        """Of the sums of a step, one of which has so many bytes, the others few."""
        if ranks == 1:
            return 0.0
        meetings, passes = (2, 3) if ranks > 2 and gradient >= SHARED_BYTES else (1, ranks + 1)
        meetings *= math.ceil(gradient / SLOT_BYTES)
        shared = ranks / 2 * passes / 3 * gradient / self.bandwidth
        return (messages - 1 + meetings) * self.latency + shared


@dataclass(frozen=True)
class Ring:
    """A network: seconds of a message, bytes a second."""

    latency: float
    bandwidth: float

    def seconds(self, ranks: int, messages: int, gradient: int) -> float:
        """See `Memory.seconds`."""
        stages = 2 * (ranks - 1)
        return stages * messages * self.latency + stages / ranks * gradient / self.bandwidth


# what is usual of TCP over Ethernet: no machine of these was at hand
NETWORKS = {"1 Gbit/s": Ring(100e-6, 0.11e9), "10 Gbit/s": Ring(50e-6, 1.1e9)}


@dataclass(frozen=True)
class Step:
    """Of one config; seconds."""

    name: str
    batch: int
    compute: dict[int, float]  # of one of so many ranks, sums left out
    gradient: int  # bytes
    messages: int
    alone: float  # measured, of one process
    shared: float  # of two
    speedup_of_pairs: float  # in the median of a block of one process and the next of two
    speedup_by_gloo: float  # the same, where two add up by gloo
    native: float | None  # of one process in compiled code, where that can run it

    def predicted(self, ranks: int, link: Memory | Ring) -> float:
        return self.compute[ranks] + link.seconds(ranks, self.messages, self.gradient)

    def speedup(self, ranks: int, link: Memory | Ring) -> float:
        return self.predicted(1, link) / self.predicted(ranks, link)

    def most(self, link: Memory | Ring) -> int:
        """The largest power of two of ranks that is 1.2 times as fast as half as many."""
        ranks = 1
        while 2 * ranks <= self.batch and self.predicted(ranks, link) >= 1.2 * self.predicted(
            2 * ranks, link
        ):
            ranks *= 2
        return ranks


def images():
    draws = generator(0, "images")
    part = Split(torch.randn(IMAGES, 784, generator=draws), torch.randint(10, (IMAGES,), generator=draws))
    return Splits(part, part, part, (28, 28), 10, "", {}, range(10))


def prepared(words, batch=None):
    """The recipe of a config, and what makes an engine for it on these images."""
    path, *changes = words
    changes += ["threads=1", "device=cpu", "engine=buffers", *([f"batch_size={batch}"] if batch else [])]
    splits = images()
    planned = plan(load("train", f"configs/{path}", [parse_set(each) for each in changes]).config, splits)
    network, draws = initial(planned, 0, splits.train.x), [generator(0, "dropout")]

    def engine(kind, **more):
        return kind(planned.recipe, [network], draws, splits.train.x, splits.train.y, **more)

    return planned.recipe, engine


def run(engine, batch, steps):
    """So many steps; at a rate of nearly 0, so that no number grows however many there are."""
    rows = torch.randint(IMAGES, (1, batch * steps), generator=generator(0, "rows"))
    engine.run(rows, [Rate(1e-9, 0.9, n) for n in range(steps)])


def seconds(work, clock, rounds=25):
    """The fastest of some."""
    times = []
    for _ in range(rounds):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


class Apart(Group):
    """The first of so many ranks, the sums of which send nothing."""

    def __init__(self, size):
        self.size = size


def processor_seconds(words):
    """Of a step of one of so many ranks, by their number: the fastest of some blocks, which take turns."""
    recipe, make = prepared(words)
    batch, found = recipe.batch_size, {}
    engines = {1: make(Buffers)} | {ranks: make(Shared, group=Apart(ranks)) for ranks in RANKS if ranks > 1}
    for _ in range(100):
        for ranks, engine in engines.items():
            run(engine, batch, 1)
            one = seconds(lambda engine=engine: run(engine, batch, 1), time.process_time, 1)
            steps = max(1, int(BLOCK_SECONDS / one))
            block = seconds(lambda engine=engine, n=steps: run(engine, batch, n), time.process_time, 1)
            found[ranks] = min(found.get(ranks, math.inf), block / steps)
    return found


def side_by_side(ranks, words):
    """Wall seconds of a step of one process and of all ranks, in turn."""
    recipe, make = prepared(words)
    batch, alone, shared = recipe.batch_size, make(Buffers), make(Shared, group=ranks)
    meet = lambda: ranks.sum(torch.zeros(1))  # noqa: E731
    run(alone, batch, 3)
    run(shared, batch, 3)
    start = time.perf_counter()
    run(alone, batch, 3)
    steps = torch.tensor([max(1, int(3 * BLOCK_SECONDS / (time.perf_counter() - start))) * (ranks.rank == 0)])
    steps, times = int(ranks.sum(steps)), []
    for _ in range(ROUNDS):
        found = []
        for engine, takes_part in ((alone, ranks.rank == 0), (shared, True)):
            meet()
            start = time.perf_counter()
            if takes_part:
                run(engine, batch, steps)
            found.append((time.perf_counter() - start) / steps)
        times.append(found)
    return times


def sum_seconds(ranks):
    """Of a sum, by its bytes."""
    found = {}
    for size in BYTES:
        x = torch.zeros(size // 4)
        found[size] = seconds(lambda x=x: [ranks.sum(x) for _ in range(3)], time.perf_counter, 500) / 3
    return found


def memory_of(found):
    """The line through the times of two ranks."""
    latency, large = found[1_000], max(found)
    return Memory(latency, large / (found[large] - math.ceil(large / SLOT_BYTES) * latency))


def measured(name, words):
    recipe, make = prepared(words)
    batch, compute = recipe.batch_size, processor_seconds(words)
    by_memory, by_gloo = (in_ranks(2, side_by_side, words, way=way)[0] for way in ("shared memory", "gloo"))
    alone, shared = map(min, zip(*by_memory, strict=True))
    medians = [statistics.median(one / two for one, two in times) for times in (by_memory, by_gloo)]
    norms = sum(isinstance(layer, BatchNorm | RunningBatchNorm) for layer in every(recipe.model))
    compiled = None
    if lacking(recipe) is None and ladder.unavailable("native", torch.device("cpu")) is None:
        engine = make(Native)
        run(engine, batch, 3)
        compiled = seconds(lambda: run(engine, batch, 20), time.process_time) / 20
    gradient = 4 * parameter_count(recipe.model.parameters)
    step = Step(name, batch, compute, gradient, 1 + 2 * norms, alone, shared, *medians, compiled)
    print(step, file=sys.stderr, flush=True)
    return step


def tables(steps, links):
    here = links["one machine"]
    ms = lambda f: lambda step: None if f(step) is None else 1e3 * f(step)  # noqa: E731
    measured = (
        Column("config", of="name"),
        Column("batch"),
        Column("gradient_mb", "gradient, MB", ".2f", lambda step: step.gradient / 1e6),
        Column("messages", "sums a step"),
        Column("one", "one process, ms", ".2f", ms(lambda step: step.alone)),
        Column("two", "two ranks, ms", ".2f", ms(lambda step: step.shared)),
        Column("speedup", "times as fast", ".2f", lambda step: step.alone / step.shared),
        Column("planned", "planned", ".2f", lambda step: step.speedup(2, here)),
        Column("median", "in the median", ".2f", lambda step: step.speedup_of_pairs),
        Column("gloo", "by gloo", ".2f", lambda step: step.speedup_by_gloo),
        Column("native", "native, ms", ".2f", ms(lambda step: step.native)),
    )
    planned = [Column("config", of="name"), Column("batch")]
    for name, link in links.items():
        planned.append(Column(f"ranks on {name}", of=lambda step, link=link: step.most(link)))
        planned.append(
            Column(
                f"times as fast on {name}",
                "",
                ".1f",
                lambda step, link=link: step.speedup(step.most(link), link),
            )
        )
    return [
        Table.of("measured", "One process beside two ranks", measured, steps, shown="always"),
        Table.of("planned", "Up to how many ranks a doubling pays", planned, steps, shown="always"),
    ]


def picture(path, steps, links):
    """Times as fast over the ranks, a panel for each link."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(links), figsize=(11, 4.2), sharey=True, layout="constrained")
    for axis, (name, link) in zip(axes, links.items(), strict=True):
        for step in steps:
            speedups = [step.speedup(n, link) for n in RANKS]
            [line] = axis.plot(RANKS, speedups, marker="o", markersize=3, label=step.name)
            if name == "one machine":
                axis.plot(
                    [2],
                    [step.alone / step.shared],
                    "x",
                    color=line.get_color(),
                    markersize=8,
                    markeredgewidth=2,
                )
        axis.plot([1, 64], [1, 64], color="0.7", linestyle="--", linewidth=1)
        axis.set(title=name, xlabel="ranks, each with a core of its own", xscale="log", yscale="log")
        axis.set_xticks(RANKS, [*map(str, RANKS)])
        axis.set_yticks([0.25, 0.5, 1, 2, 4, 8, 16, 32], ["1/4", "1/2", "1", "2", "4", "8", "16", "32"])
        axis.minorticks_off()
        axis.set_ylim(0.1, 40)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("times as fast as one process")
    axes[0].plot([], [], "x", color="0.3", markersize=8, markeredgewidth=2, label="measured")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    figure.savefig(path, dpi=110)


def main():
    torch.set_num_threads(1)
    sums = in_ranks(2, sum_seconds)[0]
    links = {"one machine": memory_of(sums), **NETWORKS}
    print(sums, in_ranks(2, sum_seconds, way="gloo")[0], links["one machine"], file=sys.stderr, flush=True)
    steps = [measured(name, words) for name, words in CONFIGS.items()]
    show(Result({}, tables=tables(steps, links)), screen())
    for path in sys.argv[1:]:
        picture(path, steps, links)


if __name__ == "__main__":
    main()
