"""What `make evidence` runs: configs/published/*.yaml one after the other, and docs/evidence.md from what they found.

It goes on where it was interrupted. Figures of a finished row are kept in docs/evidence/NAME.json, beside the config
that they are of: a row whose config has changed since is run again. A row that misses its figure is no error.
"""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import mlfound
from mlfound.config.expectations import ExpectConfig
from mlfound.config.loading import load
from mlfound.experiments.trained.expected import published
from mlfound.runs.reader import Run
from mlfound.stats.estimates import accuracy_interval

ROOT = Path(__file__).parents[2]
CONFIGS, FIGURES, PAGE = (
    ROOT / "configs" / "published",
    ROOT / "docs" / "evidence",
    ROOT / "docs" / "evidence.md",
)
# the quick ones first
ROWS = (
    "mlp-64", "mlp-512", "simard-800", "lenet5", "course-cnn-bn", "simard-800-affine", "simard-800-elastic",
    "resnet-shifted", "lenet5-distorted", "simard-cnn-elastic", "dropout-1024x3", "dropout-1024x3-maxnorm",
)  # fmt: skip
COMPARED = {"test_error": "test error", "valid_accuracy": "validation accuracy"}
HEAD = """# Published figures

Each row is a config in [configs/published](../configs/published), run once for each of its seeds: the settings were
chosen on the lesson's validation images, the test set was looked at once, at the end. `make evidence` runs them, and
writes this page from what they found. A figure holds where ours, the mean over the seeds, is within 0.1 percentage
points of the published one or better.

| row | published | ours, with 95% interval | holds | seeds | epochs | minutes | commit |
| --- | ---: | ---: | --- | ---: | ---: | ---: | --- |
"""


def main() -> None:
    """Run the rows asked for, or all that are not done."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.evidence", description=__doc__)
    parser.add_argument("--only", metavar="NAME", action="append", choices=ROWS, help="one; repeatable")
    parser.add_argument("--page", action="store_true", help="only write the page again")
    arguments = parser.parse_args()
    for name in () if arguments.page else arguments.only or ROWS:
        if figures_of(name) is None:
            keep(name, finished(name))
        write_page()
    write_page()


def config_of(name: str) -> dict[str, Any]:
    """What the config of a row says, with all defaults."""
    return load("train", CONFIGS / f"{name}.yaml", []).config.model_dump(mode="json")


def figures_of(name: str) -> dict[str, Any] | None:
    """What was kept of a row; None where that is nothing, or of another config."""
    file = FIGURES / f"{name}.json"
    if not file.exists():
        return None
    figures: dict[str, Any] = json.loads(file.read_text())
    return figures if figures["config"] == config_of(name) else None


def finished(name: str) -> Run:
    """The run of this row: made, or gone on with, unless it is there."""
    if not (runs := runs_of(name)):
        mlfound_does("train", f"configs/published/{name}.yaml", "--name", f"evidence-{name}")
    elif "test_loss" not in runs[0].metrics:
        mlfound_does("train", "--resume", runs[0].id)
    return runs_of(name)[0]


def runs_of(name: str) -> list[Run]:
    """The runs of this config, newest first."""
    wanted = {key: value for key, value in config_of(name).items() if value != "auto"}
    named = [run for run in mlfound.find_runs() if run.id.endswith(f"-evidence-{name}")]
    return [run for run in named if wanted.items() <= run.config.items()]


def mlfound_does(*arguments: str) -> None:
    """Carry out a command; an error where it came to no end. A figure that is missed is exit code 1."""
    code = subprocess.run([sys.executable, "-m", "mlfound", *arguments], cwd=ROOT, check=False).returncode
    if code not in (0, 1):
        raise SystemExit(code)


def keep(name: str, run: Run) -> None:
    """The figures of a finished run, as a file."""
    config, facts = config_of(name), run.facts
    of_validation = metric_of(config).startswith("valid")
    figures = {
        "accuracies": [
            row["valid_accuracy" if of_validation else "test_accuracy"] for row in run.table("seeds")
        ],
        "images": facts["dataset"]["rows"]["valid" if of_validation else "test"],
        "epochs": run.metrics["epochs"],
        "minutes": (run.seconds or 0) / 60,
        "commit": facts["environment"]["git"]["commit"],
        "cpu": facts["environment"]["cpu"],
        "config": config,
    }
    FIGURES.mkdir(exist_ok=True)
    (FIGURES / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")


def metric_of(config: Mapping[str, Any]) -> str:
    """What is compared with the published figure."""
    return next(key for key, value in config["expect"].items() if key in COMPARED and value is not None)


def write_page() -> None:
    PAGE.write_text(page())


def page() -> str:
    """A line for each row, and below what its config says of it."""
    lines, notes = [], []
    for name in ROWS:
        text = (CONFIGS / f"{name}.yaml").read_text()
        config, about = config_of(name), [line[2:] for line in text.splitlines() if line.startswith("# ")]
        lines.append(line(name, config, figures_of(name)))
        notes.append(f"**{name}**: {' '.join(about)} Source: {config['expect']['source']}.\n")
    return "\n".join([HEAD + "\n".join(lines), "", *notes])


def line(name: str, config: Mapping[str, Any], figures: Mapping[str, Any] | None) -> str:
    """Of the table."""
    metric, seeds = metric_of(config), config["replicates"]
    wanted = f"{COMPARED[metric]} {config['expect'][metric]:.2%}"
    row = f"| [{name}](../configs/published/{name}.yaml) | {wanted} |"
    if figures is None:
        return f"{row} not run | | {seeds} | | | |"
    interval = accuracy_interval(figures["accuracies"], figures["images"]) or (math.nan, math.nan)
    ours = mean(figures["accuracies"]), *interval
    if metric.endswith("error"):
        ours = 1 - ours[0], 1 - ours[2], 1 - ours[1]
    shown = "{:.2%} ({:.2%} to {:.2%})".format(*ours)
    expect = ExpectConfig.model_validate(config["expect"])
    holds = "yes" if all(each.passed for each in published(expect, {metric: ours[0]})) else "no"
    rest = f"{seeds} | {figures['epochs']} | {figures['minutes']:.1f} | `{figures['commit'][:7]}` |"
    return f"{row} {shown} | {holds} | {rest}"


if __name__ == "__main__":
    main()
