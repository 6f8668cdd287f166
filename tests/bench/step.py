"""Do the engines train faster than the peers? `mlfound backprop-bench --workload step`, its run folders are kept."""

import json
import math
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from tests.bench.row import Row, Rows


@dataclass(frozen=True)
class Race:
    """One run: its sizes, and how many times as fast as each peer the engine must be."""

    what: str
    settings: tuple[str, ...]
    engine: str
    wanted: dict[str, float]
    budget: int = 8  # seconds for each of them
    device: str = "cpu"
    config: str = ""  # of train, in YAML: its model, optimiser, loss and batch size


NARROW, WIDE, LARGE_BATCH = "784-50-10, batch 64", "784-512-10, batch 128", "784-50-10, batch 512"
WIDE_KEYS = ("hidden=[512]", "batch_size=128")
# `buffers` have the product that `auto` takes: it is to lose to neither, and equals one of them but for noise
PRODUCTS = {"buffers/matmul": 0.95, "buffers/onednn": 0.95}
RACES = (
    Race(NARROW, (), "buffers", {**PRODUCTS, "torch-nn": 2.0, "jax": 0.8}),
    Race(WIDE, WIDE_KEYS, "buffers", {**PRODUCTS, "torch-nn": 1.7}, 12),
    Race(NARROW, (), "native", {"buffers": 1.2, "torch-nn": 3.0, "jax": 1.2}),
    Race(LARGE_BATCH, ("batch_size=512",), "native", {"buffers": 1.0, "torch-nn": 1.5, "jax": 1.5}),
    Race(WIDE, WIDE_KEYS, "native", {"buffers": 1.0, "torch-nn": 1.0, "jax": 1.05}, 12),
    Race(f"{NARROW}, Adam", (), "native", {"torch-nn": 2.0}, config="optimizer: {name: adam, lr: 1e-3}"),
    Race(f"ten networks {NARROW}, all cores", ("replicates=10",), "native", {"torch-nn": 5.5}, 12),
    Race(NARROW, (), "graph", {"torch-nn": 10.0, "torch-graph": 1.1, "jax": 0.0}, device="cuda"),
    Race(f"128 networks {NARROW}", ("replicates=128",), "graph", {"torch-nn": 400.0}, device="cuda"),
)


def rows() -> Rows:
    for race in RACES:
        if race.device == "cpu" or torch.cuda.is_available():
            yield from run(race)


def run(race: Race) -> Rows:
    """A row for each peer that is here."""
    words = ["--workload", "step", "--device", race.device, "--threads", "1", "--budget", str(race.budget)]
    for name in (race.engine, *race.wanted):
        words += ["--impl", name]
    for setting in race.settings:
        words += ["--set", setting]
    with tempfile.TemporaryDirectory() as scratch:
        if race.config:
            file = Path(scratch) / "model.yaml"
            file.write_text(race.config, encoding="utf-8")
            words += ["--model", str(file)]
        command = [sys.executable, "-m", "mlfound", "backprop-bench", *words, "--name", "bench", "--quiet"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    folder = Path(done.stdout.splitlines()[-1])
    metrics = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["metrics"]
    environment = json.loads((folder / "run.json").read_text(encoding="utf-8"))["environment"]
    processor = environment["gpu"] if race.device == "cuda" else "{cpu} ({cpu_id})".format(**environment)
    rounds = (folder / "tables" / "rounds.csv").read_text(encoding="utf-8").count(f"\n{race.engine},")
    for peer, wanted in race.wanted.items():
        name = f"{race.engine}_times_{peer}"
        if name not in metrics:  # it cannot run here
            continue
        yield Row(
            f"{processor}, {race.what}: {race.engine} as fast as {peer}, times",
            metrics[name],
            (wanted, math.inf),
            rounds,
            (metrics[f"{name}_low"], metrics[f"{name}_high"]),
            str(folder),
        )
