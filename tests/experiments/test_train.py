"""Training: every shipped config's gradients, what the outcome says, and what a model must fit."""

import math
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mlfound import hardware
from mlfound.config.loading import load, parse_set
from mlfound.config.models import CONFIGS
from mlfound.data import idx
from mlfound.data.load import Split, Splits
from mlfound.data.registry import NAMES
from mlfound.engines.recipe import Recipe
from mlfound.errors import UserError
from mlfound.experiments.trained.history import curves, diverged, training_metrics
from mlfound.experiments.trained.test_set import test_metrics, test_sentence
from mlfound.foundations import matmul, model_initialization
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.models import MODELS
from mlfound.foundations.optimizers import SGD
from mlfound.foundations.randomness import generator
from mlfound.native import compiling
from mlfound.stats.estimates import accuracy_interval
from mlfound.training.epochs import Epoch
from mlfound.training.evaluation import Score
from mlfound.training.gradients import BOUND, check_gradients
from mlfound.training.plan import cautions, plan, require_memory
from mlfound.training.snapshots import Divergence

needs_compiler = pytest.mark.skipif(compiling.unavailable() is not None, reason="there is no C compiler here")
FOLDER = Path(__file__).parents[2] / "configs"
TRAINED = [path for path in sorted(FOLDER.glob("*.yaml")) if path.stem not in CONFIGS]

test_metrics.__test__ = test_sentence.__test__ = False  # functions of ours, no tests

EPOCH = Epoch(1, 0, 0.5, 0.4, 0.9, 0.1, 0.9, 2.0, 0.1, 25_000.0)


@pytest.mark.parametrize("path", TRAINED, ids=lambda path: path.stem)
def test_gradients_of_every_shipped_config(path):
    config = load("train", path).config
    model = MODELS[config.model.name](config.model.model_dump(), (28, 28))
    tensors = model_initialization.initial(
        model, INITIALIZATIONS[config.model.init], generator(0, "initialization")
    )
    x, y = torch.randn(32, 784, generator=generator(0, "x")), torch.arange(32) % 10
    result = check_gradients(Recipe(model, SGD(), config.loss), tensors, x, y)
    [check], [table] = result.checks, result.tables
    assert result.passed
    assert check.passed
    assert check.value <= BOUND == 1e-10
    assert [row[0] for row in table.rows] == [*model.parameters, "x"]
    assert all(row[2] > 0 for row in table.rows), "a gradient of zeros would prove nothing"


def test_the_shipped_configs_are_these():
    assert {path.stem for path in TRAINED} == {
        "mlp",
        "mlp-wide",
        "lesson8",
        "linear",
        "cnn",
        "lenet5",
        "resnet",
    }


def test_the_test_accuracy_has_wilsons_interval():
    score = Score(0.1, 0.97, torch.zeros(100), torch.zeros(100), "confidence", torch.zeros(100))
    metrics = test_metrics([score], 100)
    assert metrics["test_wrong"] == 3
    # Wilson 1927 by hand: centre (p + z^2/2n) / (1 + z^2/n), half width z sqrt(p(1-p)/n + z^2/4n^2) / (1 + z^2/n)
    z, n, p = 1.959964, 100, 0.97
    centre, half = (p + z * z / 2 / n), z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    assert metrics["test_accuracy_low"] == pytest.approx((centre - half) / (1 + z * z / n), abs=1e-6)
    assert metrics["test_accuracy_high"] == pytest.approx((centre + half) / (1 + z * z / n), abs=1e-6)


def test_training_metrics_are_of_the_last_epoch_and_of_all_the_time():
    epochs = [replace(EPOCH, epoch=n, valid_loss=loss) for n, loss in enumerate([0.2, 0.1, 0.3], 1)]
    metrics = training_metrics(planned(), epochs, 50_000)
    assert metrics["best_epoch"] == 2
    assert metrics["valid_loss"] == 0.3
    assert metrics["train_seconds"] == 6.0
    assert metrics["images_per_s"] == 25_000


def of_seeds(accuracies, images):
    zeros = torch.zeros(images)
    return test_metrics(
        [Score(0.1, accuracy, zeros, zeros, "confidence", zeros) for accuracy in accuracies], images
    )


def test_several_seeds_have_the_interval_of_their_mean():
    metrics = of_seeds([0.97, 0.98, 0.96, 0.99], 100)
    assert metrics["test_accuracy"] == pytest.approx(0.975)
    assert metrics["test_accuracy_std"] == pytest.approx(math.sqrt(5e-4 / 3))
    # By hand: the variance of the mean is 5e-4 / 3 / 4 = 4.1667e-5 of the seeds and 0.975 * 0.025 / 100 = 2.4375e-4
    # of the images; so 85.4 images would do; 3 * (2.85417e-4 / 4.1667e-5)^2 = 140.8 degrees of freedom, t = 1.97699
    z, n, p = 1.97699, 85.401, 0.975
    centre, half = (p + z * z / 2 / n), z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    assert metrics["test_accuracy_low"] == pytest.approx((centre - half) / (1 + z * z / n), abs=1e-5)
    assert metrics["test_accuracy_high"] == pytest.approx((centre + half) / (1 + z * z / n), abs=1e-5)
    assert (metrics["test_accuracy_worst"], metrics["test_accuracy_best"]) == (0.96, 0.99)
    assert "in the mean over 4 seeds (95% interval 9" in test_sentence(metrics, 100)


@pytest.mark.parametrize(
    "accuracies", [[1.0] * 5, [0.0] * 5, [0.7, 0.7, 0.7], [0.32, 1.0, 0.98, 0.9, 0.96], [0.98] * 9 + [1.0]]
)
def test_an_interval_of_accuracies_stays_among_them(accuracies):
    """Also of equal seeds it has the width of the 50 images."""
    metrics = of_seeds(accuracies, 50)
    low, high = metrics["test_accuracy_low"], metrics["test_accuracy_high"]
    assert 0 <= low < high <= 1
    assert low - 1e-12 <= metrics["test_accuracy"] <= high + 1e-12
    alone = of_seeds([metrics["test_accuracy"]], 50)
    assert high - low >= 0.999 * (alone["test_accuracy_high"] - alone["test_accuracy_low"])


@pytest.mark.parametrize(
    ("seeds", "images", "reason"),
    [
        (2, 50, "2 seeds are too few"),
        (5, 29, "29 test images are too few"),
        (1, 29, "29 test images are too few"),
    ],
)
def test_too_few_seeds_or_images_have_no_interval(seeds, images, reason):
    metrics = of_seeds([0.75] * seeds, images)
    assert "test_accuracy_low" not in metrics
    assert f"({reason} for an interval" in test_sentence(metrics, images)


@pytest.mark.parametrize(
    ("seeds", "images", "of_seed", "of_image"),
    [
        (3, 30, 0.3, 2),
        (5, 50, 1, 1),
        (10, 1000, 0.2, 3),
        (10, 1000, 1, 0),
        (3, 2000, 0.3, 0.1),
        (1, 50, 0, 2),
    ],
)
def test_the_interval_holds_the_accuracy_of_all_seeds_on_all_images(seeds, images, of_seed, of_image):
    """Seeds and images both drawn, each of its own difficulty (standard deviations of the logit): 1,000 times.

    Of 95% the standard error is 0.7 points: 92% is four of them below. Three seeds of a skewed spread come closest.
    """
    draws = torch.Generator().manual_seed(8)

    def logits(times, seeds, images):
        seed = of_seed * torch.randn(times, seeds, 1, generator=draws)
        return 3 + seed + of_image * torch.randn(times, 1, images, generator=draws)

    wanted = logits(1, 3000, 3000).sigmoid().mean().item()
    chances = logits(1000, seeds, images).sigmoid()
    accuracies = (torch.rand(chances.shape, generator=draws) < chances).double().mean(2)
    intervals = [accuracy_interval(each.tolist(), images) for each in accuracies]
    assert sum(low <= wanted <= high for low, high in intervals) >= 920


def test_the_figures_of_several_seeds_are_means_and_the_seconds_are_shared():
    rows = [replace(EPOCH, seed=seed, valid_loss=loss) for seed, loss in enumerate([0.2, 0.4])]
    metrics = training_metrics(planned(), rows, 50_000)
    assert (metrics["valid_loss"], metrics["train_seconds"]) == (pytest.approx(0.3), 2.0)
    assert metrics["images_per_s"] == 50_000


def test_what_a_divergence_says():
    result = diverged(planned("optimizer.lr=0.5"), Divergence(1234, 2, 0.25, "w1 of seed 3"), [EPOCH])
    assert result.status == "diverged"
    assert result.metrics == {"epochs": 1, "diverged_step": 1234}
    [finding] = result.findings
    for words in ("step 1,234", "epoch 2", "w1 of seed 3", "learning rate of 0.25", "optimizer.lr: try 0.05"):
        assert words in finding


def test_a_schedule_of_pieces_is_planned_and_drawn():
    pieces = (
        "schedule=[{name: linear, from: 0, to: 1, share: 0.25, momentum_to: 0.5}, "
        "{name: constant, from: 0.5, share: 0.25}, {name: polynomial, from: 1, to: 0, share: 0.5, power: 3}]"
    )
    made = planned("optimizer.lr=0.4", "optimizer.momentum=0.8", "epochs=2", pieces)
    wanted = {
        0: (0, 0.8),
        0.125: (0.2, 0.6),
        0.25: (0.2, 0.8),
        0.5: (0.4, 0.8),
        0.75: (0.05, 0.8),
        1: (0, 0.8),
    }
    assert {progress: made.rates(progress) for progress in wanted} == {
        progress: pytest.approx(rates, abs=1e-15) for progress, rates in wanted.items()
    }
    _, _, picture = curves(made, [EPOCH, replace(EPOCH, epoch=2)], 0.9)
    drawn = zip(*(picture.data[name] for name in ("progress", "lr", "momentum")), strict=True)
    for epochs, *rates in drawn:
        assert tuple(rates) == made.rates(epochs / 2), epochs
    assert picture.data["progress"][-1] == 2
    assert "momentum_name" not in picture.data
    *_, of_adam = curves(planned("optimizer.name=adam"), [EPOCH], 0.9)
    assert of_adam.data["momentum_name"] == "beta1"


def planned(*changes, rows=100):
    """The plan of this config for so many images."""
    split = Split(torch.zeros(1, 784).expand(rows, 784), torch.zeros(rows, dtype=torch.int64))
    splits = Splits(split, split, split, (28, 28), 10, "", {}, range(10))
    changes = ("batch_size=10", "device=cpu", "threads=1", *changes)
    made = plan(load("train", None, [parse_set(text) for text in changes]).config, splits)
    require_memory(made, splits)
    return made


def test_memory_is_estimated_before_it_is_taken(monkeypatch):
    monkeypatch.setattr(hardware, "memory_bytes", lambda device: 10**9)
    assert planned().network == "784-50-10"
    assert planned("model.name=cnn").network == "cnn 8-16-32-32-10"
    with pytest.raises(UserError, match="a network cnn 10000-50-10 needs") as refused:
        planned("model.name=cnn", "model.channels=[10000, 50]", "model.kernels=[5, 5]")
    assert refused.value.key == "model.channels"
    with pytest.raises(UserError, match="a network lenet5") as refused:
        planned("model.name=lenet5", "batch_size=20000", rows=20000)
    assert refused.value.key == "batch_size"
    with pytest.raises(UserError, match=r"about \d+ GB, and this process may use 1 GB") as refused:
        planned("model.hidden=[1000000]")
    assert refused.value.key == "model.hidden"
    with pytest.raises(UserError, match="training 5,000 networks together needs about 7 GB") as refused:
        planned("replicates=5000")
    assert refused.value.key == "replicates"


def test_every_auto_is_resolved_and_stands_in_the_config():
    config = planned("threads=auto").config
    assert (config.device, config.threads, config.engine) == ("cpu", 1, "buffers")
    assert config.product == matmul.fastest(hardware.cpu_kind(), torch.device("cpu"))


@pytest.mark.parametrize(
    ("cpu", "product"),
    [(("AuthenticAMD", 26), "onednn"), (("GenuineIntel", 6), "matmul"), (("arm", 0), "matmul")],
)
def test_the_product_goes_by_the_cpu_unless_it_is_written_down(monkeypatch, cpu, product):
    """As it is in the config.yaml of a run that is repeated or resumed on another machine."""
    monkeypatch.setattr(matmul, "unavailable", lambda name, device, dtype: None)
    monkeypatch.setattr(hardware, "cpu_kind", lambda: cpu)
    assert planned().config.product == planned().recipe.product == product
    assert planned("engine=modules").config.product == "matmul"
    for written in ("matmul", "onednn"):
        assert planned(f"product={written}").recipe.product == written


def test_networks_are_shared_out_among_processes_of_one_thread(monkeypatch):
    monkeypatch.setattr(hardware, "cores", lambda: 4)
    for count, workers in ((1, 1), (2, 2), (10, 4)):
        facts = planned(f"replicates={count}", "threads=auto").facts
        assert (facts["workers"], facts["processes"], facts["threads"]) == (workers, workers, 1)
    assert planned("replicates=10", "engine=modules").machine.workers == 1, (
        "the readable engine stays readable"
    )
    assert planned("replicates=10", "threads=2").machine.workers == 1, "threads do not survive a fork"


def test_several_threads_work_where_most_of_the_time_goes_into_products(monkeypatch):
    """They save little of a convolution's, and lose much where another program wants their core."""
    monkeypatch.setattr(hardware, "cores", lambda: 4)

    def threads(*changes):
        return planned("threads=auto", "engine=buffers", *changes, rows=50_000).config.threads

    assert [threads(f"batch_size={rows}") for rows in (2551, 2552)] == [
        1,
        4,
    ]  # 784 x 50 multiplications a row
    # 32 kernels of 16 x 9 at 4 x 4 places are 73,728, a tenth of which counts
    assert [threads("model.name=cnn", f"batch_size={rows}") for rows in (13563, 13564)] == [1, 4]


@needs_compiler
def test_the_weights_that_compiled_threads_copy_are_part_of_the_memory(monkeypatch):
    monkeypatch.setattr(hardware, "memory_bytes", lambda device: 10**9)
    with pytest.raises(UserError, match="a network 784-10000-10 needs"):
        planned("engine=native", "model.hidden=[10000]", "threads=256")
    assert planned("engine=native", "model.hidden=[10000]").config.threads == 1


@needs_compiler
def test_compiled_steps_are_shared_by_threads_from_half_as_large_a_product_on(monkeypatch):
    monkeypatch.setattr(hardware, "cores", lambda: 4)

    def threads(*changes):
        return planned("engine=native", *changes, rows=50_000).config.threads

    assert [threads("threads=auto", f"batch_size={rows}") for rows in (1275, 1276)] == [1, 4]
    assert threads("threads=2") == 2
    assert threads("threads=auto", "batch_size=1276", "replicates=2") == 1, "a thread for each network"


@needs_compiler
def test_networks_are_shared_out_among_threads_of_the_compiled_engine(monkeypatch):
    monkeypatch.setattr(hardware, "cores", lambda: 4)
    facts = planned("replicates=10", "threads=auto", "engine=native").facts
    assert (facts["workers"], facts["processes"], facts["threads"]) == (4, 1, 1)


@needs_compiler
def test_compiled_code_is_taken_where_it_can_all_and_the_work_is_worth_it():
    def engine(*changes, rows=50_000):
        return planned(*changes, rows=rows).config.engine

    assert engine() == "native"
    assert engine("replicates=3", "threads=auto", "batch_size=50000") == "native"
    assert engine("threads=2") == engine("threads=auto", "batch_size=50000") == "native"
    for change in ("epochs=1", "product=matmul", "model.name=cnn", "optimizer.name=lamb"):
        assert engine(change) == "buffers", change
    assert engine(rows=500) == "buffers"
    assert planned(rows=50_000).config.product == "auto", "it has products of its own"


@needs_compiler
@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ("model.name=lenet5", "Conv2d, Flatten, MaxPool, Unflatten have no compiled code"),
        ("optimizer.name=lamb", "LAMB has no compiled code"),
    ],
)
def test_what_has_no_compiled_code_runs_on_buffers_and_says_so(change, missing):
    made = planned("engine=native", change)
    assert made.config.engine == "buffers"
    assert f"engine native cannot run this: {missing}; it runs on buffers" in cautions(made)


def test_without_a_compiler_buffers_go_on_and_native_is_refused(monkeypatch):
    monkeypatch.setattr(compiling, "unavailable", lambda: "there is no C compiler")
    made = planned(rows=50_000)
    assert made.config.engine == "buffers"
    assert cautions(made) == ["the faster engine native cannot run here: there is no C compiler"]
    assert not cautions(planned()), "it would not be taken"
    with pytest.raises(UserError, match="there is no C compiler; write auto, or buffers") as refused:
        planned("engine=native")
    assert refused.value.key == "engine"


@needs_compiler
def test_a_cpu_without_fused_multiply_adds_stays_on_buffers_unless_told(monkeypatch):
    """Each would be a function call, a hundred times as slow."""
    monkeypatch.setattr(compiling, "library", lambda: SimpleNamespace(has_fma=lambda: 0))
    made = planned(rows=50_000)
    assert made.config.engine == "buffers"
    assert cautions(made) == ["engine native would be slow here: this CPU has no fused multiply-add"]
    assert planned("engine=native").config.engine == "native"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system with CPU affinities")
def test_one_core_is_one_process():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert planned("replicates=10").machine.workers == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        (["engine=graph"], "engine", "graph needs a CUDA GPU, and the device is cpu; write auto, or buffers"),
        (["batch_size=101"], "batch_size", "101 is more than the 100 training rows"),
        (["model.outputs=5"], "model.outputs", "5 outputs are not one for each of 10 classes; write 10"),
        (["model.outputs=12"], "model.outputs", "12 outputs are not one for each of 10 classes; write 10"),
    ],
)
def test_what_does_not_fit_is_refused(changes, key, words):
    with pytest.raises(UserError, match=words) as refused:
        planned(*changes)
    assert refused.value.key == key


def test_a_torch_without_onednn(monkeypatch):
    absent = {"onednn": "this torch has none"}
    monkeypatch.setattr(hardware, "cpu_kind", lambda: ("AuthenticAMD", 26))
    monkeypatch.setattr(matmul, "unavailable", lambda name, device, dtype: absent.get(name))
    assert planned().config.product == "matmul"
    with pytest.raises(UserError, match="this torch has none; write auto, or matmul") as refused:
        planned("product=onednn")
    assert refused.value.key == "product"


@pytest.mark.parametrize("label", [0, 5])
def test_data_of_one_class_is_refused_in_one_line_of_the_data(mlfound, label):
    """Before, it was "10 outputs are not one for each of 1 classes; write 1", and then "write 2 or more"."""
    folder = Path("one")
    folder.mkdir()
    for name, rows in zip(NAMES, (12, 12, 4, 4), strict=True):
        tensor = (
            torch.full((rows,), label) if "labels" in name else torch.arange(rows * 4).reshape(rows, 2, 2)
        )
        (folder / name).write_bytes(idx.encode(tensor.to(torch.uint8)))
    outcome = mlfound("train", "--set", "data.dataset=one", "--set", "batch_size=2")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        f"--set data.dataset=one: data.dataset: every training image is of class {label}: there is nothing to tell "
        "apart; look at the labels\n"
    )
