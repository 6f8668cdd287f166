"""Bring a dataset into the cache, verified; or verify again what is there; or list what can be had."""

from pathlib import Path
from time import perf_counter

from mlfound.config.models import DownloadConfig
from mlfound.data import cache
from mlfound.data.fetch import fetch
from mlfound.data.load import Splits, decode
from mlfound.data.registry import Dataset, find
from mlfound.results import Check, Column, Context, Picture, Result, Table
from mlfound.training.inputs import dataset_facts

SHOWN_DIGITS = 40


def run(config: DownloadConfig, context: Context) -> Result:
    """Fetch what is missing (or, with `verify`, only look), then show the first digits."""
    dataset = find(config.dataset, key="dataset")
    if config.verify:
        return verification(dataset, config, context)
    source = Path(config.from_) if config.from_ else None
    start = perf_counter()
    arrivals = fetch(dataset, context.data_dir, source, context.recorder.progress)
    seconds = perf_counter() - start
    splits = decode(dataset, arrivals)
    context.recorder.begin(config, dataset=dataset_facts(dataset, splits))
    columns = (
        Column("file"),
        Column("source"),
        Column("bytes", format=","),
        Column("seconds", format=".2f"),
        Column("sha256", rank=3),
    )
    size, folder = sum(arrival.bytes for arrival in arrivals), cache.cache_folder(dataset, context.data_dir)
    return Result(
        metrics={"files": len(arrivals), "bytes": size, "seconds": seconds},
        findings=[f"Every file has the digest it must have. They are in {folder}."],
        tables=[Table.of("files", f"{dataset.title} ({dataset.licence})", columns, arrivals)],
        pictures=[digits(dataset, splits)],
    )


def verification(dataset: Dataset, config: DownloadConfig, context: Context) -> Result:
    """Every file's digest as it is and as it must be; a user's own files have none that they must have."""
    verdicts = cache.verify(dataset, context.data_dir)
    context.recorder.begin(config, dataset={"name": dataset.name})
    holds, states = sum(verdict.holds for verdict in verdicts), {True: "verified", False: "damaged"}
    whole = holds == len(verdicts)
    columns = (
        Column("file"),
        Column("state", of=lambda verdict: states[verdict.holds] if verdict.found else "not here"),
        Column("sha256", of="found", rank=3),
        Column("sha256_wanted", "must be", of="wanted", rank=3),
    )
    title = f"{dataset.title}: {cache.cache_folder(dataset, context.data_dir)}"
    return Result(
        metrics={"files": len(verdicts), "verified": holds},
        checks=[Check("files that are whole", whole, holds, len(verdicts))],
        findings=[] if whole else [f"Fix it with: mlfound download --dataset {dataset.name}"],
        tables=[Table.of("files", title, columns, verdicts, "verbose" if whole else "always")],
    )


def digits(dataset: Dataset, splits: Splits) -> Picture:
    """The first training images."""
    train = splits.train.first(SHOWN_DIGITS)
    title = f"{dataset.title}: the first {len(train.x)} training images"
    data = {
        "title": title,
        "images": train.x.view(-1, *splits.shape),
        "labels": [splits.labels[n] for n in train.y.tolist()],
    }
    return Picture("digits", "digits", data)
