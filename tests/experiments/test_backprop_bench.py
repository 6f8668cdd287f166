"""backprop-bench: gradients first, then times; who is not here is said, who is wrong is not timed."""

import math
import sys
from functools import partial
from statistics import median

import pytest
import torch

from mlfound import hardware
from mlfound.config.benches import BackpropBenchConfig
from mlfound.engines import ladder, products
from mlfound.engines.buffers import Buffers
from mlfound.engines.processes import Processes
from mlfound.engines.recipe import Rate, Recipe
from mlfound.experiments.backprop import lesson
from mlfound.experiments.backprop.lesson import BACKWARD, FORWARD, FULL_BACKWARD, PassMeasurement
from mlfound.experiments.backprop.step_task import largest_error, typical_error
from mlfound.experiments.memory import peak_bytes
from mlfound.foundations import functions, matmul
from mlfound.foundations.activations import GELU, Floor, Identity, ReLU, Tanh
from mlfound.foundations.checks import relative_error
from mlfound.foundations.layers import (
    AveragePool,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Linear,
    MaxPool,
    Residual,
    Sequential,
    Unflatten,
)
from mlfound.foundations.norms import BatchNorm, InstanceNorm, LayerNorm, RunningBatchNorm
from mlfound.foundations.optimizers import LAMB, OPTIMIZERS, SGD, Adam, AdamW, RMSprop
from mlfound.foundations.randomness import generator
from mlfound.foundations.stages import STAGES
from mlfound.reference import autograd, jax_scan, libraries, torch_nn, torch_optim
from mlfound.stats.timing import Timing
from tests.support.commands import refused_at_once

SAMPLE = ("backprop-bench", "--dataset", "mnist-sample", "--budget", "0.01")
TWO = ("--impl", "modules", "--impl", "torch-nn")
THREE = (*TWO, "--impl", "buffers")
PRODUCT_RUNGS = ("--impl", "buffers/matmul", "--impl", "buffers/onednn")
STEP = (*SAMPLE, "--workload", "step", "--rows", "640", "--no-plots")
CPU = torch.device("cpu")


def checks_of(outcome):
    return {check["name"]: check for check in outcome.json("summary.json")["checks"]}


def test_check_only_needs_no_data_and_has_a_check_a_stage_and_tensor(mlfound, tmp_path):
    outcome = mlfound("backprop-bench", "--no-plots", "--check-only", "--data-dir", tmp_path / "nothing")
    assert outcome.code == 0, outcome
    path, checks = outcome.path, checks_of(outcome)
    names = [*STAGES, "torch-nn"]
    for name in names:
        for tensor in ("loss", "w1", "b1", "w2", "b2", "x"):
            check = checks[f"{name}: {tensor} as by autograd"]
            assert check["value"] <= check["bound"] == 1e-10
    assert checks["autograd's gradients as by central differences"]["bound"] == 1e-6
    rows = outcome.rows("gradients")
    assert len(rows) == len(names) * 2 * 2 * 7 * 6  # shifts, losses, situations, tensors
    assert {row["situation"] for row in rows} >= {"one row", "dead ReLUs", "rows of zeros", "outputs of 1e4"}
    assert not list((path / "tables").glob("forward*"))


def test_a_wrong_gradient_is_seen_and_not_timed(mlfound, monkeypatch):
    monkeypatch.setattr(functions, "relu_grad", lambda dout, x: dout)
    assert mlfound("backprop-bench", "--no-plots", "--check-only").code == 1
    outcome = mlfound(*SAMPLE, *TWO, "--rows", "64", "--verbose")
    assert outcome.code == 1, outcome
    assert "modules was not timed: its gradients are wrong." in outcome.out
    assert {row["impl"] for row in outcome.rows("forward")} == {"torch-nn"}
    assert outcome.json("run.json")["status"] == "failed"


def test_all_stages_on_the_lessons_task(mlfound):
    outcome = mlfound(*SAMPLE, "--rows", "300")
    assert outcome.code == 0, outcome
    path = outcome.path
    for name in (FORWARD, BACKWARD, FULL_BACKWARD, "forward-validation"):
        rows = outcome.rows(name)
        assert [row["impl"] for row in rows] == [*STAGES, "torch-functional", "torch-nn"]
        assert {row["rows"] for row in rows} == {"1000" if name == "forward-validation" else "300"}
        for row in rows:
            assert float(row["median_s"]) > 0
            assert int(row["n"]) >= 1
            assert row["lesson_s"] == row["notebook_s"] == ""
        assert (path / "plots" / f"{name}.png").exists()
    metrics = outcome.json("summary.json")["metrics"]
    assert metrics["modules_forward_median_s"] == float(outcome.rows(FORWARD)[4]["median_s"])
    assert 0.2 < metrics["modules_over_torch_nn_backward"] < 5
    if sys.platform == "linux":
        peaks = {row["impl"]: float(row["peak_mb"]) for row in outcome.rows("memory")}
        assert peaks["classes-outer"] > 300 * 784 * 50 * 4 / 1e6 > peaks["classes"]


def test_outer_products_get_fewer_rows_unless_one_insists():
    config, many = BackpropBenchConfig(), type("Splits", (), {"train": type("", (), {"y": range(50_000)})})
    assert lesson.rows_of("classes", config, many) == 50_000
    assert lesson.rows_of("classes-outer", config, many) == 5_000
    insisting = config.model_copy(update={"rows": 50_000})
    assert lesson.rows_of("classes-outer", insisting, many) == 50_000


def measured(impl, part, rows, *seconds):
    return PassMeasurement(impl, Timing(seconds, [1.0 for _ in seconds]), part=part, rows=rows)


def test_the_lessons_times_stand_beside_the_lessons_task_only():
    outer = measured("classes-outer", FORWARD, 5_000, 0.1, 0.2, 0.3)
    last = measured("modules", FORWARD, 50_000, 0.1, 0.2, 0.3)
    [table] = lesson.report_part([outer, last], "cpu").tables
    assert table.rows[0][5:] == [59.6e-3, 70.7e-3, "the others 50,000 rows, noisy"]
    assert table.rows[1][5:] == [45.8e-3, 46.4e-3, "noisy"]
    [table] = lesson.report_part([outer], "cpu").tables
    assert table.rows[0][5:] == [None, None, "noisy"]


def test_how_ours_stands_to_the_library_is_of_both_passes_together():
    seconds = {("modules", FORWARD): 1.0, ("modules", BACKWARD): 2.0, ("modules", FULL_BACKWARD): 4.0}
    seconds |= {("torch-nn", FORWARD): 2.0, ("torch-nn", BACKWARD): 4.0, ("torch-nn", FULL_BACKWARD): 3.0}
    measurements = [measured(impl, part, 100, value) for (impl, part), value in seconds.items()]
    result = lesson.against_library(measurements)
    assert list(result.metrics.values()) == [0.5, 1.0]
    assert lesson.against_library(measurements[:1]).metrics == {}
    weights, share = result.findings
    assert "0.50 times as long as torch-nn, and 1.00 times" in weights
    assert "50% of the whole backward pass" in share


def test_backward_is_timed_without_its_forward():
    seen = []

    def stage():
        seen.append("forward")
        yield "loss"
        seen.append("backward")
        yield "gradients"

    timed = lesson.half(BACKWARD, stage)
    assert seen == ["forward"]
    timed()
    assert seen == ["forward", "backward"]
    timed = lesson.half(FORWARD, stage)
    assert len(seen) == 2
    timed()
    assert seen[2:] == ["forward"]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_a_peak_of_memory_is_seen_after_it_has_gone():
    def work():
        torch.ones(25_000_000)  # 100 MB, given back at once

    work()
    assert peak_bytes(work, CPU) == pytest.approx(100e6, rel=0.05)
    assert peak_bytes(lambda: None, CPU) < 10e6


def test_training_by_ours_and_torchs(mlfound):
    outcome = mlfound(*STEP[:-1], *THREE, "--verbose")  # with its picture
    assert outcome.code == 0, outcome
    rows = outcome.rows("step")
    assert list(rows[0]) == [
        "impl", "median_s", "iqr_s", "n", "images_per_s", "times_torch_nn", "setup_s", "weights_error", "note",
    ]  # fmt: skip
    assert [row["impl"] for row in rows] == ["modules", "buffers", "torch-nn"]
    seconds = {}
    for row in outcome.rows("rounds"):
        seconds.setdefault(row["impl"], []).append(float(row["seconds"]))
    for row in rows:
        assert float(row["images_per_s"]) == pytest.approx(640 / float(row["median_s"]))
        assert float(row["weights_error"]) <= 1e-10
        pairs = zip(seconds["torch-nn"], seconds[row["impl"]], strict=True)
        assert float(row["times_torch_nn"]) == pytest.approx(median(a / b for a, b in pairs))
        assert int(row["n"]) == len(seconds["torch-nn"]) >= 3
    checks = checks_of(outcome)
    for name in ("modules", "buffers"):
        assert checks[f"{name}: weights after 10 steps in float64 as by torch-nn"]["bound"] == 1e-10
        assert checks[f"{name}: the typical weight after 3 steps in float32 as in float64"]["value"] <= 1e-6
    metrics = outcome.json("summary.json")["metrics"]
    assert metrics["buffers_times_torch-nn"] == float(rows[1]["times_torch_nn"])
    assert metrics["buffers_times_torch-nn_low"] <= metrics["buffers_times_torch-nn_high"]
    assert f"buffers train {metrics['buffers_times_torch-nn']:.2f} times as fast as torch-nn" in outcome.out
    assert "10 batches of 64 rows, 784-50-10, cross-entropy, sgd, cpu, 1 thread" in outcome.out
    assert (outcome.path / "plots" / "step.png").exists()


def test_other_sizes(mlfound):
    outcome = mlfound(*STEP, *THREE, "--set", "hidden=[20,9]", "--set", "batch_size=100")
    assert outcome.code == 0, outcome
    assert "6 batches of 100 rows, 784-20-9-10" in outcome.out


@pytest.mark.parametrize("cores", [1, 2])
def test_networks_at_once_and_a_peer_that_trains_one_after_the_other(mlfound, cores, monkeypatch):
    closed, close = [], Processes.close
    monkeypatch.setattr(Processes, "close", lambda self: (closed.append(self), close(self)))
    monkeypatch.setattr(hardware, "cores", lambda: cores)
    outcome = mlfound(*STEP, *THREE, "--set", "replicates=3", "--threads", 1)
    assert outcome.code == 0, outcome
    modules, buffers, theirs = outcome.rows("step")
    for row in (modules, buffers, theirs):
        assert float(row["images_per_s"]) == pytest.approx(3 * 640 / float(row["median_s"]))
        assert float(row["weights_error"]) <= 1e-10
    assert "one network, 3 times" in theirs["note"]
    assert ("2 at a time" in buffers["note"]) == (cores == 2 and sys.platform == "linux")
    one, all_three = (
        [float(row["seconds"]) for row in outcome.rows("rounds") if row["impl"] == name]
        for name in ("torch-nn", "buffers")
    )
    assert float(theirs["median_s"]) == pytest.approx(3 * median(one))
    times = median(3 * a / b for a, b in zip(one, all_three, strict=True))
    assert float(buffers["times_torch_nn"]) == pytest.approx(times)
    assert "3 networks" in outcome.out
    assert len(closed) == (2 if cores == 2 and sys.platform == "linux" else 0), "checked, and timed"


class Spoilt(Buffers):
    """The engine with a fault."""

    fault = ""

    def run(self, rows, rates):
        if self.fault == "order":
            rows = rows.flip(1)
        if self.fault == "last network":
            rows[-1] = rows[-1].flip(0)
        change = {"lr": (1.0001, 1.0), "momentum": (1.0, 1.0001)}.get(self.fault, (1.0, 1.0))
        return super().run(rows, [Rate(lr * change[0], momentum * change[1], n) for lr, momentum, n in rates])


@pytest.mark.parametrize("fault", ["", "order", "momentum", "lr", "last network"])
def test_other_weights_make_a_row_void(mlfound, monkeypatch, fault):
    monkeypatch.setitem(ladder.ENGINES, "buffers", Spoilt)
    monkeypatch.setattr(hardware, "cores", lambda: 1)
    monkeypatch.setattr(Spoilt, "fault", fault)
    outcome = mlfound(
        *STEP, *THREE, "--set", f"replicates={3 if fault == 'last network' else 1}", "--verbose"
    )
    modules, buffers, theirs = outcome.rows("step")
    assert modules["median_s"]
    assert theirs["median_s"]
    assert bool(buffers["median_s"]) == (not fault)
    if fault:
        assert outcome.code == 1, outcome
        assert buffers["note"] == "void: other weights than torch-nn"
        assert "modules train" in outcome.out, "then they are the best of ours"


@pytest.mark.skipif(matmul.unavailable("onednn", CPU) is not None, reason="this torch has no oneDNN product")
@pytest.mark.parametrize(
    ("cpu", "chosen"), [(("AuthenticAMD", 26), "onednn"), (("GenuineIntel", 6), "matmul")]
)
def test_a_product_that_is_coarse_makes_its_rows_void(mlfound, monkeypatch, cpu, chosen):
    """The float64 epoch cannot see it: it is done by another product. `buffers` have the one that `auto` takes."""
    whole = products.onednn
    monkeypatch.setattr(products, "onednn", lambda a, b: whole(a.bfloat16().float(), b.bfloat16().float()))
    monkeypatch.setattr(hardware, "cpu_kind", lambda: cpu)
    outcome = mlfound(*STEP, "--impl", "torch-nn", "--impl", "buffers", *PRODUCT_RUNGS)
    assert outcome.code == 1, outcome
    rows = {row["impl"]: row for row in outcome.rows("step")}
    assert list(rows) == ["buffers/matmul", "buffers/onednn", "buffers", "torch-nn"]
    coarse = {"buffers/onednn", *(["buffers"] if chosen == "onednn" else [])}
    assert {name for name, row in rows.items() if not row["median_s"]} == coarse
    for name in coarse:
        assert float(rows[name]["weights_error"]) <= 1e-10
        check = f"{name}: the typical weight after 3 steps in float32 as in float64"
        assert not checks_of(outcome)[check]["passed"]


@pytest.mark.skipif(matmul.unavailable("onednn", CPU) is not None, reason="this torch has no oneDNN product")
def test_how_the_products_stand_to_one_another(mlfound):
    outcome = mlfound(*STEP, "--impl", "modules", *PRODUCT_RUNGS, "--verbose")
    assert outcome.code == 0, outcome
    seconds = {name: [] for name in ("modules", "buffers/matmul", "buffers/onednn")}
    for row in outcome.rows("rounds"):
        seconds[row["impl"]].append(float(row["seconds"]))
    pairs = zip(seconds["buffers/matmul"], seconds["buffers/onednn"], strict=True)
    metrics = outcome.json("summary.json")["metrics"]
    times = metrics["buffers/onednn_times_buffers/matmul"]
    assert times == pytest.approx(median(a / b for a, b in pairs))
    assert f"buffers/onednn train {times:.2f} times as fast as buffers/matmul (" in outcome.out
    assert not [name for name in metrics if "times_modules" in name], "another engine, and no library"


def test_a_torch_without_onednn_has_no_such_row(mlfound, monkeypatch):
    monkeypatch.setattr(matmul, "unavailable", lambda name, *_: "there is none" if name == "onednn" else None)
    refused_at_once(mlfound(*STEP, *PRODUCT_RUNGS[2:]), "--impl buffers/onednn", "there is none")
    outcome = mlfound(*STEP, *PRODUCT_RUNGS)
    assert outcome.code == 0, outcome
    ours, theirs = outcome.rows("step")
    assert ours["median_s"]
    assert (theirs["median_s"], theirs["note"]) == ("", "there is none")


def test_one_relu_on_the_other_side_is_no_coarse_product():
    want = torch.randn(784, 50, dtype=torch.float64, generator=generator(0, "weights"))
    got = want + 1e-8
    got[:, 7] += 1e-3
    rest = {"b": torch.ones(50, dtype=torch.float64)}
    assert typical_error({"w": got, "b": rest["b"] + 1e-3}, {"w": want, **rest}) <= 1e-8
    assert largest_error({"w": got, **rest}, {"w": want, **rest}) > 1e-5
    assert typical_error({"w": got * math.nan}, {"w": want}) == math.inf


def test_a_peer_that_is_not_here_is_said_and_the_others_run(mlfound, monkeypatch):
    monkeypatch.setattr(libraries, "find_spec", lambda name: None)
    outcome = mlfound(*STEP, *TWO, "--impl", "jax", "--impl", "torch-graph", "--impl", "graph")
    assert outcome.code == 0, outcome
    ours, engine, _, graph, jax = outcome.rows("step")
    assert ours["median_s"]
    assert engine["note"] == "graph needs a CUDA GPU, and the device is cpu"
    assert engine["median_s"] == ""
    assert jax["note"] == "jax is not installed: pip install 'mlfound[peers]'"
    assert "CUDA GPU" in graph["note"]
    assert jax["median_s"] == graph["median_s"] == ""

    alone = mlfound(*STEP, "--impl", "jax")
    assert alone.code == 2
    assert alone.err == "--impl jax: impl: jax is not installed: pip install 'mlfound[peers]'\n"


@pytest.mark.parametrize(("optimizer", "bound"), [("sgd", 1e-10), ("adam", 1e-8), ("lamb", 1e-8)])
def test_the_model_of_a_config(mlfound, tmp_path, optimizer, bound):
    """LAMB is in no library: the readable engine is the reference then, and the libraries' rows say why."""
    path = tmp_path / "model.yaml"
    path.write_text(
        f"model: {{hidden: [20, 9], activation: tanh}}\noptimizer: {{name: {optimizer}, lr: 2e-3, clip_norm: 0.5}}\n"
        "batch_size: 20\nseed: 3\n"
    )
    outcome = mlfound(*STEP, *THREE, "--model", path, "--impl", "jax")
    assert outcome.code == 0, outcome
    assert f"32 batches of 20 rows, 784-20-9-10, cross-entropy, {optimizer}, cpu" in outcome.out
    ours, buffers, theirs, jax = outcome.rows("step")
    has_one = optimizer != "lamb"
    assert ours["median_s"]
    assert buffers["median_s"]
    assert bool(theirs["median_s"]) == has_one
    assert theirs["note"] != "torch-nn has no LAMB" if has_one else theirs["note"] == "torch-nn has no LAMB"
    assert has_one or "no LAMB" in jax["note"] or "not installed" in jax["note"]
    wanted = "torch-nn" if has_one else "modules"
    check = checks_of(outcome)[f"buffers: weights after 20 steps in float64 as by {wanted}"]
    assert check["value"] <= check["bound"] == bound


@pytest.mark.parametrize("fault", ["lr", "momentum"])
def test_other_weights_of_an_adaptive_optimiser_make_a_row_void(mlfound, monkeypatch, tmp_path, fault):
    monkeypatch.setitem(ladder.ENGINES, "buffers", Spoilt)
    monkeypatch.setattr(Spoilt, "fault", fault)
    path = tmp_path / "model.yaml"
    path.write_text("optimizer: {name: adam}\nmodel: {hidden: [5]}\n")
    outcome = mlfound(*STEP, "--impl", "buffers", "--impl", "torch-nn", "--model", path)
    assert outcome.code == 1, outcome
    assert outcome.rows("step")[0]["note"] == "void: other weights than torch-nn"
    check = checks_of(outcome)["buffers: weights after 10 steps in float64 as by torch-nn"]
    assert check["value"] > check["bound"] == 1e-8


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("model: {hidden: [9], dropout: 0.1}", ["model.yaml: model:", "leave dropout out"]),
        ("model:\n  outputs: 7", ["model.yaml:2: model.outputs: 7 outputs", "write 10"]),
        ("batch_size: 5001", ["model.yaml:1: batch_size: 5001", "5000 or less"]),
        ("optimiser: {name: adam}", ["model.yaml:1", "optimizer"]),
        ("batch_size: 641", ["--rows 640", "641 or more"]),
        ("model: {hidden: [1000000, 1000000]}", ["model.yaml: model: the network needs about"]),
        ("optimizer: {max_norm: 1}", ["--impl torch-nn: impl: torch-nn has no max_norm"]),
    ],
)
def test_a_model_that_cannot_be_compared(mlfound, tmp_path, content, words):
    path = tmp_path / "model.yaml"
    path.write_text(content)
    rows = ["--rows", "640"] if "641" in content else []
    arguments = ["--workload", "step", "--impl", "torch-nn", "--model", path, *rows]
    refused_at_once(mlfound("backprop-bench", "--dataset", "mnist-sample", *arguments), *words)


LAYERS = (
    *(
        Flatten(),
        Unflatten(1, 3, 4),
        Conv2d(1, 4, 2, padding=1),
        MaxPool(2, 1),
        Conv2d(4, 3, 3, stride=2, padding=2),
        AveragePool(2, 1),
        Flatten(),
        Linear(12, 12),
        Unflatten(6, 2, 1),
        GlobalAveragePool(),
        Tanh(),
        Identity(),
        GELU(),
        Residual(Linear(6, 6), Tanh(), Linear(6, 6)),
        Floor(0.3),
    ),
    *(Sequential(Linear(6, 7), ReLU(0.1, 0.2, 1.5)), Linear(7, 7), ReLU()),
)
NORMALIZED = (
    *(Flatten(), Unflatten(1, 3, 4), InstanceNorm(1), Conv2d(1, 4, 2, bias=False), BatchNorm(4), ReLU()),
    *(Conv2d(4, 3, 1, bias=False), RunningBatchNorm(3), Tanh(), Flatten(), Linear(18, 7, bias=False)),
    *(LayerNorm(7), ReLU()),
)
OPTIMIZERS_HERE = {
    "sgd": SGD(0.1, "decoupled", 0.4, 0.3),
    "nesterov": SGD(0.1, "l2", nesterov=True),
    "rmsprop": RMSprop(0.1, "decoupled", 0.4, eps=1e-3, momentum=0.9),
    "rmsprop l2": RMSprop(0.1, "l2", eps=1e-3),
    "adam": Adam(0.1, "l2", 0.4, eps=1e-3),
    "adamw": AdamW(0.1, eps=1e-3),
    "adam, decoupled": Adam(0.1, "decoupled", eps=1e-3),
}


def given_to_libraries(optimizer, loss, device=CPU, layers=LAYERS):
    """A recipe of these layers, initial tensors, x and y; and the order of 8 steps."""
    draws = generator(0, "peers")
    tensor = partial(torch.randn, generator=draws, dtype=torch.float64)
    model = Sequential(*layers, Linear(7, 1 if loss == "mse" else 3))
    initial = {name: (0.5 * tensor(p.shape)).to(device) for name, p in model.parameters.items()}
    initial |= {name: torch.full(p.shape, p.start, dtype=torch.float64) for name, p in model.state.items()}
    x, y = tensor(40, 3, 4), torch.randint(3, (40,), generator=draws)
    order = torch.cat([torch.randperm(40, generator=draws).view(-1, 10) for _ in range(2)])
    return Recipe(model, optimizer, loss, 10), initial, x.to(device), y.to(device), order.to(device)


@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
@pytest.mark.parametrize(
    ("optimizer", "layers"),
    [*((name, LAYERS) for name in OPTIMIZERS_HERE), ("sgd", NORMALIZED), ("adam", NORMALIZED)],
    ids=[*OPTIMIZERS_HERE, "sgd of norms", "adam of norms"],
)
def test_torch_trains_every_layer_and_optimiser_as_ours(optimizer, loss, layers):
    """An eps of 1e-3 keeps the adaptive ones from dividing by rounding: the same bound as for SGD."""
    recipe, initial, x, y, order = given_to_libraries(OPTIMIZERS_HERE[optimizer], loss, layers=layers)
    engine = ladder.engine("modules", recipe, [initial], [generator(0, "dropout")], x, y)
    engine.run(order.view(1, -1), [Rate(0.01, 0.9, step) for step in range(len(order))])
    got = torch_nn.trainer(recipe, initial, x, y, 0.01, 0.9)(order)
    for name in recipe.model.parameters:
        assert relative_error(got[name], engine.networks[0][name]) <= 1e-12, name


def test_the_libraries_know_every_layer_but_dropout_and_every_optimiser_but_lamb():
    known = {kind for kind in autograd.TORCH if kind is not Dropout}
    norms = {BatchNorm, RunningBatchNorm, LayerNorm, InstanceNorm}
    assert set(torch_nn.MODULES) == {*jax_scan.FUNCTIONS, *norms} == known
    assert known == {type(layer) for layer in (*LAYERS, *NORMALIZED)}
    assert set(torch_optim.RULES) == set(jax_scan.RULES) == {*OPTIMIZERS.values()} - {LAMB}
    assert set(torch_nn.LOSSES) == set(jax_scan.LOSSES) == set(functions.LOSSES)


def test_what_a_library_has_not_is_said():
    recipe = Recipe(Sequential(Linear(3, 2)), SGD(dampening=0.3))
    assert {name: libraries.lacking(name, recipe) is None for name in libraries.LIBRARIES} == {
        "torch-nn": True,
        "torch-compile": True,
        "torch-graph": False,
        "jax": True,
    }
    normalized = Recipe(Sequential(*NORMALIZED), SGD())
    assert libraries.lacking("torch-nn", normalized) is None
    absent = "BatchNorm, InstanceNorm, LayerNorm, RunningBatchNorm"
    assert libraries.lacking("jax", normalized) == f"jax has no {absent}"
    assert libraries.lacking("jax", Recipe(recipe.model, LAMB())) == "jax has no LAMB"
    assert libraries.lacking("jax", Recipe(recipe.model, SGD(), max_norm=1.0)) == "jax has no max_norm"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, about its own compiler
@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS_HERE)
@pytest.mark.parametrize("peer", list(libraries.LIBRARIES)[1:])
def test_a_peer_trains_to_the_same_weights_twice(peer, optimizer):
    device = torch.device("cuda" if peer == "torch-graph" and torch.cuda.is_available() else "cpu")
    *given, order = given_to_libraries(OPTIMIZERS_HERE[optimizer], "cross-entropy", device)
    if reason := libraries.unavailable(peer, device) or libraries.lacking(peer, given[0]):
        pytest.skip(reason)
    wanted = torch_nn.trainer(*given, 0.01, 0.9)(order)
    train = libraries.LIBRARIES[peer](*given, 0.01, 0.9)
    for got in (train(order), train(order)):
        for name in wanted:
            assert relative_error(got[name], wanted[name]) <= 1e-12, name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--impl", "module"], ["--impl module", "did you mean 'modules'"]),
        (["--impl", "jax"], ["--impl jax", "not in the workload lesson", "torch-nn"]),
        (["--workload", "step", "--impl", "classes"], ["not in the workload step", "jax"]),
        (["--workload", "steps"], ["--workload steps", "did you mean 'step'"]),
        (["--check-only", "--impl", "torch-functional"], ["no gradients to check", "modules"]),
        (["--rows", "5001"], ["--rows 5001", "5,000 training rows"]),
        (["--rows", "0"], ["--rows 0"]),
        (["--workload", "step", "--rows", "63"], ["--rows 63", "64 or more"]),
        (["--workload", "step", "--impl", "torch-graph"], ["--impl torch-graph", "CUDA GPU"]),
        (["--workload", "step", "--impl", "graph"], ["--impl graph", "needs a CUDA GPU", "device is cpu"]),
        (["--impl", "buffers"], ["--impl buffers", "not in the workload lesson"]),
        (["--workload", "step", "--impl", "buffers/onedn"], ["did you mean 'buffers/onednn'"]),
        (
            ["--workload", "step", "--set", "batch_size=5001"],
            ["batch_size", "5,000 training rows", "5000 or less"],
        ),
        (["--set", "hidden=[20]"], ["hidden", "workload: step", "leave hidden out"]),
        (["--set", "batch_size=32"], ["batch_size", "workload: step"]),
        (["--set", "replicates=2"], ["replicates", "workload: step"]),
        (["--model", "a.yaml"], ["--model a.yaml", "workload: step", "leave model out"]),
        (["--workload", "step", "--model", "a.yaml", "--set", "hidden=[9]"], ["hidden", "leave hidden out"]),
        (["--workload", "step", "--model", "a.yaml", "--set", "batch_size=9"], ["leave batch_size out"]),
        (["--workload", "step", "--model", "none.yaml"], ["none.yaml"]),
        (["--workload", "step", "--set", "replicates=0"], ["replicates", "1 to 100000"]),
        (["--workload", "step", "--set", "hidden=50"], ["hidden", "a list"]),
        (["--workload", "step", "--set", "replicates=2", "--seed", str(2**63 - 1)], ["seed", "smaller"]),
        (["--check-only", "--workload", "step", "--impl", "buffers"], ["no gradients to check"]),
        (["--dataset", "mnists"], ["--dataset mnists"]),
        (["--budget", "0"], ["--budget 0", "seconds"]),
        (["--set", "check_only=1"], ["check_only", "true or false"]),
    ],
)
def test_bad_input(mlfound, arguments, words):
    refused_at_once(mlfound("backprop-bench", "--dataset", "mnist-sample", *arguments), *words)


def test_sizes_beyond_memory(mlfound, monkeypatch):
    monkeypatch.setattr(lesson.hardware, "memory_bytes", lambda device=None: 0.5e9)
    outcome = mlfound(*SAMPLE, "--rows", "5000", "--impl", "classes-outer")
    assert outcome.code == 2
    assert "classes-outer on 5,000 rows needs about 1 GB" in outcome.err
    assert mlfound(*SAMPLE, "--rows", "100", "--impl", "classes-outer").code == 0

    outcome = mlfound(*STEP, *THREE, "--set", "replicates=500")
    assert outcome.code == 2
    assert "all networks needs about 2 GB" in outcome.err
    assert "--set replicates=500" in outcome.err
