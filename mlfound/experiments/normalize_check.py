"""Show that what goes in has mean 0 and standard deviation 1, and why validation and test have not quite."""

from pathlib import Path

from mlfound import hardware
from mlfound.config.models import NormalizeCheckConfig
from mlfound.data.normalize import normalized
from mlfound.data.registry import find
from mlfound.experiments.download import digits
from mlfound.experiments.normalization import figures
from mlfound.experiments.normalization.classes import class_balance, class_checks, class_findings
from mlfound.experiments.normalization.soundness import content_checks
from mlfound.results import Context, Result
from mlfound.training.inputs import prepare


def run(config: NormalizeCheckConfig, context: Context) -> Result:
    """Measure the data as it is and normalised. On one thread, so that every sum rounds the same way."""
    threads = hardware.use_threads(1, multiplications=0)
    inputs = prepare(config.data.model_copy(update={"normalize": "none"}), context)
    before, name = inputs.splits, config.data.dataset
    context.recorder.begin(config, dataset=inputs.facts, threads=threads)
    after, mean, std = normalized(before, config.data.normalize)
    dataset = find(name, key="data.dataset")
    classes = class_checks(before, dataset, cut=config.data.train_rows is not None)
    return (
        Result(findings=class_findings(before))
        + figures.run(config, before, after, mean, std)
        + Result(checks=[*content_checks(before, after), *classes])
        + Result(pictures=[class_balance(before, Path(name).name), digits(dataset, before)])
    ).ranked("train_mean_after", "train_std_after", "valid_*_after", "test_*_after")
