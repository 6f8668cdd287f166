"""Bring a dataset into the cache, verified; or verify again what is there; or list what can be had."""

from pathlib import Path
from time import perf_counter

from mlfound.config.models import DownloadConfig
from mlfound.data import cache
from mlfound.data.fetch import fetch
from mlfound.data.load import Splits, load
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
    splits = load(dataset, context.data_dir)
    context.recorder.begin(config, dataset=dataset_facts(dataset, splits))
    columns = (
        Column("file"),
        Column("road"),
        Column("bytes", format=","),
        Column("seconds", format=".2f"),
        Column("sha256"),
    )
    size = sum(arrival.bytes for arrival in arrivals)
    table = Table(
        "files", f"{dataset.title} ({dataset.licence})", columns, [tuple(vars(a).values()) for a in arrivals]
    )
    return Result(
        metrics={"files": len(arrivals), "bytes": size, "seconds": seconds},
        findings=[
            f"Every file has the digest it must have. They are in {cache.cache_folder(dataset, context.data_dir)}."
        ],
        tables=[table],
        pictures=[digits(dataset, splits)],
    )


def verification(dataset: Dataset, config: DownloadConfig, context: Context) -> Result:
    """Every file's digest as it is and as it must be; a user's own files have none that they must have."""
    verdicts = cache.verify(dataset, context.data_dir)
    context.recorder.begin(config, dataset={"name": dataset.name})
    holds = sum(verdict.holds for verdict in verdicts)
    states = {True: "verified", False: "damaged"}
    rows = [
        (verdict.file, states[verdict.holds] if verdict.found else "not here", verdict.found, verdict.wanted)
        for verdict in verdicts
    ]
    columns = (Column("file"), Column("state"), Column("sha256"), Column("sha256_wanted", "must be"))
    return Result(
        metrics={"files": len(verdicts), "verified": holds},
        checks=[Check("files that are whole", holds == len(verdicts), holds, len(verdicts))],
        findings=[]
        if holds == len(verdicts)
        else [f"Mend it with: mlfound download --dataset {dataset.name}"],
        tables=[
            Table("files", f"{dataset.title}: {cache.cache_folder(dataset, context.data_dir)}", columns, rows)
        ],
    )


def digits(dataset: Dataset, splits: Splits) -> Picture:
    """The first training images."""
    train = splits.train
    images = train.x[:SHOWN_DIGITS].view(-1, *splits.shape)
    title = f"{dataset.title}: the first {len(images)} training images"
    return Picture(
        "digits", "digits", {"title": title, "images": images, "labels": train.y[:SHOWN_DIGITS].tolist()}
    )


def listing(data_dir: Path) -> Result:
    """Every dataset by name: whether it is here and whole, its size, where it is and its licence."""
    entries = cache.inventory(data_dir)
    columns = (
        Column("dataset"),
        Column("state"),
        Column("bytes", format=","),
        Column("licence"),
        Column("path"),
    )
    rows = [(e.dataset, e.state, e.bytes or None, e.licence, str(e.path)) for e in entries]
    return Result({}, tables=[Table("datasets", "Datasets", columns, rows)])
