"""The learning-rate finder: what it suggests, when it stops, what it leaves and what it refuses."""

import math
import random
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import pytest

from mlfound.config.loading import load, parse_set
from mlfound.data.load import load as load_data
from mlfound.data.normalize import normalized
from mlfound.data.registry import find
from mlfound.experiments import lr_find
from mlfound.experiments.lr_find import FALL_BOUND, Step, kept, read
from mlfound.foundations.schedules import exponential
from mlfound.results import Context
from mlfound.training.build import build
from mlfound.training.plan import plan
from tests.support.commands import refused, refused_at_once

MLP = Path(__file__).parents[2] / "configs" / "mlp.yaml"
SAMPLE = "data.dataset=mnist-sample"
SMALL = (SAMPLE, "data.train_rows=600")


def config_of(command, *settings):
    return load(command, None, [parse_set(each) for each in settings]).config


def result_of(*settings):
    """Of the experiment, without a run folder."""
    return lr_find.run(config_of("lr-find", *settings), Context(Mock(), Path(), {}, Mock()))


def rise_of(*settings):
    """The steps, as the table has them."""
    [table] = result_of(*settings).tables
    return [Step(*row) for row in table.rows]


def trainer_of(*settings):
    """What `train` builds with this config and the rows of SMALL."""
    splits = load_data(find("mnist-sample", key=""), Path(), lambda *_, **__: None).first(600)
    splits, *_ = normalized(splits, "global")
    return closing(build(plan(config_of("train", *settings), splits), splits))


def lrs_of(steps, start=1e-7, end=10.0):
    return [exponential(start, end, n / (steps - 1)) for n in range(steps)]


def smoothed(losses, lrs):
    """The steps of a rise with these losses, each mean written as a sum over all losses so far."""
    keep, steps = kept(lrs), []
    for n, (lr, loss) in enumerate(zip(lrs, losses, strict=False)):
        weights = [keep ** (n - k) for k in range(n + 1)]
        mean = sum(w * each for w, each in zip(weights, losses, strict=False)) / sum(weights)
        steps.append(Step(n + 1, lr, loss, mean))
    return steps


def test_the_default_network_gets_sound_suggestions_and_no_other_run_is_touched(mlfound):
    trained = mlfound("train", *SMALL, "epochs=1", "--quiet").path
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    outcome = mlfound("lr-find", MLP, SAMPLE)
    assert outcome.code == 0, outcome
    summary = outcome.json("summary.json")
    metrics = summary["metrics"]
    for name in ("steepest_lr", "tenth_of_minimum_lr"):
        assert 0.001 < metrics[name] < 1
    first, steepest, tenth, ended = summary["findings"]
    assert ended.startswith("The rise ended after ")
    assert f"Steepest fall: {metrics['steepest_lr']:.2g};" in steepest
    assert f"A tenth of the minimum: {metrics['tenth_of_minimum_lr']:.2g};" in tenth
    assert f"optimizer.lr={metrics['tenth_of_minimum_lr']:.2g}" in first

    left = {path.name for path in outcome.path.rglob("*") if path.is_file()}
    assert {"lr_find.csv", "lr_find.png"} <= left
    assert not left & {"model.safetensors", "metrics.jsonl"}
    assert not (outcome.path / "checkpoints").exists()
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before


def test_the_table_is_the_rise_and_ends_where_the_smoothed_loss_is_ten_times_its_lowest():
    steps = rise_of(SAMPLE)
    assert [step.step for step in steps] == list(range(1, len(steps) + 1))
    assert [step.lr for step in steps] == pytest.approx(lrs_of(100)[: len(steps)])
    means = [step.smoothed_loss for step in steps]
    expected = smoothed([step.loss for step in steps], lrs_of(100))
    assert means == pytest.approx([step.smoothed_loss for step in expected])
    assert len(steps) < 100
    exploded = [mean > 10 * min(means[: n + 1]) for n, mean in enumerate(means)]
    assert exploded == [False] * (len(means) - 1) + [True]


def test_the_same_seed_gives_the_same_table_and_another_one_another():
    assert rise_of(*SMALL, "seed=3") == rise_of(*SMALL, "seed=3") != rise_of(*SMALL, "seed=4")


@pytest.mark.parametrize(
    "settings", [(), ("optimizer.name=adam",), ("engine=modules",), ("model.dropout=0.5",)], ids=" ".join
)
def test_its_first_loss_is_that_of_the_training(settings):
    """The same first weights, the same order of the images, the same masks."""
    with trainer_of("seed=5", *settings) as trainer:
        trainer.begin(None)
        trainer.take(1)
        [[loss]] = trainer.losses.tolist()
    assert rise_of(*SMALL, "seed=5", *settings)[0].loss == loss


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_its_losses_are_those_of_a_training_with_these_rates(name):
    """Over three epochs of ten steps, the last of each a smaller one; the momentum stays as configured."""
    lrs, losses = lrs_of(25, 0.001, 0.1), []
    with trainer_of(f"optimizer.name={name}") as trainer:
        trainer.rates = lambda step: (lrs[step], 0.9)
        for epoch, steps in enumerate((10, 10, 5)):
            trainer.begin_epoch(epoch)
            trainer.take(steps)
            losses += trainer.losses[0].tolist()
    settings = (f"optimizer.name={name}", "start=0.001", "end=0.1", "steps=25")
    assert [step.loss for step in rise_of(*SMALL, *settings)] == losses


@pytest.mark.parametrize(
    "settings",
    [
        ("optimizer.name=rmsprop",),
        ("optimizer.name=adam",),
        ("optimizer.name=lamb",),
        ("engine=modules",),
        ("model.hidden=[]",),
        ("loss=mse", "model.outputs=1"),
        ("batch_size=8",),
        ("steps=1000",),
    ],
    ids=" ".join,
)
def test_it_works_for_every_kind_of_training(settings):
    result = result_of(SAMPLE, *settings)
    assert result.passed, result.checks
    assert 1e-5 < result.metrics["steepest_lr"] < 0.2
    assert 1e-4 < result.metrics["tenth_of_minimum_lr"] < 0.2


def test_both_engines_find_the_same():
    """They differ by rounding alone, which grows no faster than the loss falls, up to a learning rate of 0.03."""
    ours, fast = (rise_of(*SMALL, f"engine={each}", "end=0.03") for each in ("modules", "buffers"))
    assert [step.loss for step in ours] == pytest.approx([step.loss for step in fast], rel=1e-4)


def test_the_steepest_fall_and_the_minimum_of_a_known_curve():
    """On the logarithmic axis a logistic fall, steepest at 0.001, and a rise from 0.1 on."""
    lrs, noise = lrs_of(801), random.Random(0)
    curve = [0.5 + 2 / (1 + (lr / 1e-3) ** 2) + (lr / 0.1) ** 2 for lr in lrs]
    found = read(smoothed(curve, lrs), lrs)
    lag = 0.3  # decades: the mean's memory, by which it is behind the curve
    assert math.log10(found.steepest.lr) == pytest.approx(-3 + lag, abs=0.1)
    # far above 0.001 the curve is 0.5 + 2 (0.001 / lr)² + (lr / 0.1)²
    lowest = math.log10(2 * 0.001**2 * 0.1**2) / 4
    assert math.log10(found.lowest.lr) == pytest.approx(lowest + lag, abs=0.1)
    found = read(smoothed([each + noise.gauss(0, 0.2) for each in curve], lrs), lrs)
    assert math.log10(found.steepest.lr) == pytest.approx(-3 + lag, abs=0.3)  # a tenth of the fall is noise
    assert found.fall > FALL_BOUND


def test_noise_alone_is_no_fall():
    """At a rate of 1% there are seven of 200 in one of 200 cases; with noise taken as half as large there are 37."""
    lrs, falls = lrs_of(100), []
    for seed in range(200):
        noise = random.Random(seed)
        falls.append(read(smoothed([2.3 + noise.gauss(0, 0.1) for _ in lrs], lrs), lrs).fall)
    assert sum(fall >= FALL_BOUND for fall in falls) < 7


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("start=1e-9", "end=1e-7"), "fell by no more than its noise; write a larger end"),
        (("start=1e-4", "end=0.01"), "still falling at the end; write an end above 0.01"),
        (("start=1", "end=1000"), "exploded before it could fall; write a start below 1."),
    ],
    ids=["too low", "no end", "too high"],
)
def test_a_range_that_shows_nothing_suggests_nothing(settings, words):
    result = result_of(SAMPLE, *settings)
    assert not result.passed
    assert words in result.findings[0]
    assert set(result.metrics) == {"minimum_loss", "steps"}
    assert result.pictures[0].data["suggestions"] == {}


def test_a_loss_that_is_not_finite_ends_the_rise_and_is_no_row():
    """After one step at this rate the product of eleven layers is beyond float32."""
    result = result_of(SAMPLE, f"model.hidden={[50] * 10}", "start=1e5", "end=1e6")
    [step] = result.tables[0].rows
    assert "the next loss was not finite" in result.findings[-1]
    assert math.isfinite(step[2])


def test_a_network_without_a_finite_loss_has_diverged(mlfound):
    outcome = mlfound("lr-find", "--no-plots", *SMALL, "model.init=normal", f"model.hidden={[50] * 100}")
    assert outcome.code == 1
    assert outcome.json("run.json")["status"] == "diverged"
    assert "write model.init: kaiming" in outcome.out


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("start=1", "end=0.001"), ("end=0.001: end: ", "at least ten times the start")),
        (("start=20",), ("start=20: start: ", "at least ten times the start")),
        (("end=1e-7",), ("end=1e-7", "at least ten times the start")),
        (("start=0",), ("start: 0 is not valid", "a learning rate from 1e-12 to 1000000")),
        (("end=1e300",), ("end: 1e+300 is not valid", "a learning rate from 1e-12 to 1000000")),
        (("steps=5",), ("steps: 5 is not valid", "a whole number from 20 to 100000")),
        (("steps=1e9",), ("steps: 1000000000.0 is not valid", "a whole number from 20 to 100000")),
        (("replicates=3",), ("replicates=3", "write replicates: 1")),
        (("stop=3",), ("unknown key 'stop'",)),
        (("loss=mse",), ("write model.outputs: 1",)),
        (("batch_size=99999",), ("batch_size", "training rows")),
    ],
)
def test_what_cannot_work_is_refused(mlfound, settings, words):
    refused_at_once(mlfound("lr-find", SAMPLE, *settings), *words)


def test_its_keys_are_not_those_of_a_training(mlfound):
    refused_at_once(mlfound("train", SAMPLE, "steps=50"), "unknown key 'steps'")


def test_it_takes_the_config_of_a_training_from_its_run(mlfound):
    trained = mlfound("train", "data.dataset=mnist-sample", "epochs=1", "model.hidden=[7]", "--no-plots")
    found = mlfound("lr-find", "latest", "--no-plots")
    assert found.code == 0, found.err
    assert "hidden: [7]" in (found.path / "config.yaml").read_text()
    refused(mlfound("train", found.path), "a run of lr-find")
    assert trained.code == 0
