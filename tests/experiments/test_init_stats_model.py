"""init-stats --model: signal and gradient of any list of layers, as `train` begins with it; and what is refused."""

from pathlib import Path

import pytest
import torch

from mlfound import hardware
from mlfound.config.training import TrainConfig
from mlfound.data import idx
from mlfound.data.load import Split
from mlfound.data.registry import NAMES
from mlfound.engines.recipe import Recipe
from mlfound.experiments.initialization import model as part
from mlfound.experiments.initialization.signals import Spread, first_step, fitted_error, share_near_zero, size
from mlfound.foundations.activations import ReLU, Tanh
from mlfound.foundations.checks import relative_error
from mlfound.foundations.layers import (
    Conv2d,
    Flatten,
    GlobalAveragePool,
    Linear,
    MaxPool,
    Residual,
    Sequential,
    Unflatten,
)
from mlfound.foundations.model_initialization import UnitVariance
from mlfound.foundations.models import MODELS
from mlfound.foundations.optimizers import SGD
from mlfound.foundations.randomness import generator
from mlfound.reference import autograd
from mlfound.results import Context
from mlfound.training.build import initial
from mlfound.training.gradients import BOUND
from mlfound.training.inputs import prepare
from mlfound.training.plan import plan
from tests.support.commands import refused_at_once
from tests.support.recorders import Memory
from tests.support.stacks import OUTPUTS, batch, tensors_of

CONFIGS = Path(__file__).parent.parent.parent / "configs"
SAMPLE = ("init-stats", "data.dataset=mnist-sample", "--threads", "1", "--no-plots")
SMALL_CNN = "model: {name: cnn, channels: [4, 6], kernels: [5, 3]}\n"


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def file(text=SMALL_CNN, name="own.yaml"):
    Path(name).write_text(text)
    return name


def few(mlfound, *arguments, text=SMALL_CNN, draws=2):
    """A small model, drawn a few times, on a few images."""
    outcome = mlfound(*SAMPLE, "--model", file(text), "--draws", draws, "rows=32", *arguments)
    assert outcome.code == 0, outcome
    return outcome


# What is measured


def every_kind(loss):
    """Images, pooling, residual blocks in a group, features."""
    block = Residual(Conv2d(3, 3, 3, padding=1), Tanh())
    group = Sequential(Residual(block, ReLU(0.1)), MaxPool(2, 2))
    return Sequential(
        Unflatten(1, 9, 7), Conv2d(1, 3, 2), group, Flatten(), Linear(36, 8), ReLU(), Linear(8, OUTPUTS[loss])
    )


@pytest.mark.parametrize("loss", OUTPUTS)
def test_outputs_and_gradients_of_every_layer_are_autograds(monkeypatch, loss):
    model, (x, y), kept, output = every_kind(loss), batch(6, (63,), OUTPUTS[loss]), [], autograd.output

    def keeping(layer, x, tensors):
        out = output(layer, x, tensors)
        out.retain_grad()
        kept.append((type(layer), out))
        return out

    monkeypatch.setattr(autograd, "output", keeping)
    autograd.loss_and_gradients(model, tensors_of(model), x, y, loss)
    layers = first_step(Recipe(model, SGD(), loss), tensors_of(model), Split(x, y), generator(0, "dropout"))
    wanted = [(kind, out) for kind, out in kept if kind is not Sequential]
    assert [type(each.layer) for each in layers] == [kind for kind, _ in wanted]
    assert [kind.__name__ for kind, _ in wanted[2:7]] == ["Conv2d", "Tanh", "Residual", "ReLU", "Residual"]
    for each, (kind, out) in zip(layers, wanted, strict=True):
        assert relative_error(each.out, out.detach()) < BOUND, kind
        assert relative_error(each.dout, out.grad) < BOUND, kind
    assert [each.has_weights for each in layers].count(True) == 4
    assert model.layers[1].__dict__.keys().isdisjoint({"w", "x"}), "the model itself is left alone"


def test_a_gradient_that_is_kept_at_the_wrong_layer_is_seen(monkeypatch):
    """The test above bites."""
    backward = Residual.gradient
    monkeypatch.setattr(Residual, "gradient", lambda self, dout, x: 2 * backward(self, dout, x))
    with pytest.raises(AssertionError):
        test_outputs_and_gradients_of_every_layer_are_autograds(monkeypatch, "mse")


def test_figures_of_a_layer():
    x = torch.tensor([0.009, -0.009, 0.011, 2.0])
    assert size(x) == pytest.approx(1.0000354)
    assert share_near_zero(x) == share_near_zero(100 * x) == 0.5
    assert share_near_zero(torch.zeros(3)) == 1.0
    assert Spread.of(torch.tensor([9.0, 1.0, 2.0]).double()) == Spread(2.0, 1.0, 9.0)


def test_the_farthest_from_what_lsuv_promises():
    model = Sequential(Linear(2, 1), Linear(1, 1))
    weights = {"1.w": torch.tensor([[1.0], [0.0]]), "1.b": torch.tensor([0.5])}
    weights |= {"2.w": torch.tensor([[0.0]]), "2.b": torch.tensor([9.0])}  # gives one number for all
    x = torch.tensor([[1.0, 3.0], [-1.0, 3.0]])
    assert fitted_error(model, weights, x) == (0.5, 0.0)
    weights["1.w"] *= 3
    assert fitted_error(model, weights, x) == (0.5, 2.0)
    weights["1.w"] *= torch.nan
    assert not max(fitted_error(model, weights, x)) <= part.FITTED_BOUND


# The command


def test_the_model_of_a_config_beside_two_schemes(mlfound):
    outcome = few(mlfound)
    first, *_ = outcome.out.splitlines()
    assert first.startswith("cnn 4-6-10: the signal lasts with kaiming and lsuv, shrinks to 1/1")
    rows = outcome.rows("model")
    assert [(row["layer"], row["output"]) for row in rows] == [
        ("2 Conv2d", "4 x 14 x 14"), ("4 Conv2d", "6 x 7 x 7"), ("7 Linear", "10"),
    ]  # fmt: skip
    back = [f"1/{1 / float(rows[0][f'{init}_gradient']):.0f} with {init}" for init in ("kaiming", "lsuv")]
    finding = outcome.json("summary.json")["findings"][0]
    assert all(words in finding for words in back), finding
    layers = outcome.rows("layers")
    assert [row["layer"] for row in layers[:7]] == [
        "1 Unflatten", "2 Conv2d", "3 ReLU", "4 Conv2d", "5 ReLU", "6 GlobalAveragePool", "7 Linear",
    ]  # fmt: skip
    assert [row["init"] for row in layers[::7]] == ["kaiming", "torch-default", "lsuv"]
    for row in layers:
        for name in ("mean", "std", "near_zero", "gradient"):
            assert float(row[f"{name}_low"]) <= float(row[name]) <= float(row[f"{name}_high"])
        assert (float(row["gradient"]) == 1) == (row["layer"] == "7 Linear")
        assert (float(row["near_zero"]) > 0.3) == ("ReLU" in row["layer"]), "half of them"
    assert len(outcome.rows("draws")) == 3 * 7 * 2
    run = outcome.json("run.json")
    assert (run["network"], run["threads"]) == ("cnn 4-6-10", 1)
    checks = outcome.json("summary.json")["checks"]
    assert [check["name"].split(":")[0] for check in checks] == ["lsuv", "lsuv"]
    assert not (outcome.path / "tables" / "claims.csv").exists(), "it is not the course's"


def test_each_draw_is_what_train_begins_at_with_that_seed(mlfound):
    """The same bits, of lsuv too."""
    rows = few(mlfound, "--seed", 5, "--init", "kaiming", "--init", "lsuv").rows("draws")
    found = {(row["init"], row["layer"], row["draw"]): float(row["std"]) for row in rows}
    config = TrainConfig(model={"name": "cnn", "channels": [4, 6], "kernels": [5, 3]}, seed=6)
    inputs = prepare(
        config.data.model_copy(update={"dataset": "mnist-sample"}), Context(Memory(), Path(), {}, None)
    )
    for init in ("kaiming", "lsuv"):
        model = config.model.model_copy(update={"init": init})
        planned = plan(config.model_copy(update={"model": model}), inputs.splits)
        weights = initial(planned, 6, inputs.splits.train.x)
        images = inputs.splits.valid.first(32)
        layers = first_step(planned.recipe, weights, images, generator(6, "dropout"))
        assert layers[1].out.double().std(correction=0).item() == pytest.approx(
            found[init, "2 Conv2d", "2"], rel=1e-6
        )
        assert found[init, "2 Conv2d", "1"] != pytest.approx(found[init, "2 Conv2d", "2"], rel=1e-6)


def test_the_same_figures_again_and_beside_others(mlfound):
    one = few(mlfound, "--init", "torch-default")
    again = mlfound("init-stats", one.path, "--no-plots")
    beside = few(mlfound, "--init", "small", "--init", "torch-default")
    wanted = one.rows("draws")
    assert again.rows("draws") == wanted
    assert [row for row in beside.rows("draws") if row["init"] == "torch-default"] == wanted


def test_a_scheme_that_breaks_its_promise_fails(mlfound, monkeypatch):
    def without_the_mean(self, x):
        self.layer.w.div_(self.layer(x).std())
        return self.layer(x)

    monkeypatch.setattr(UnitVariance, "forward", without_the_mean)
    outcome = mlfound(*SAMPLE, "--model", file(), "--draws", 2, "rows=32")
    assert outcome.code == 1
    assert "✗ lsuv: mean of a layer on the images it is fitted to, farthest from 0" in outcome.out


def test_the_courses_cnn_beside_the_courses_figures(mlfound):
    outcome = few(mlfound, text="model: {name: cnn}", draws=8)
    claims = {row["claim"]: row for row in outcome.rows("claims")}
    assert [row["lesson"] for row in claims.values()] == [
        "0.47", "0.93", "0.69 0.65 0.54 0.43 0.25", "0.19", "0.38", "within 1e-3",
    ]  # fmt: skip
    assert claims["kaiming: the std falls from ReLU to ReLU"]["holds"] == "true"
    assert claims["lsuv: each layer has std 1"]["holds"] == "true"
    assert 0.3 < float(claims["kaiming: the first ReLU's mean is the course's"]["measured"]) < 0.6
    assert 0.12 < float(claims["torch-default: the first ReLU's mean is the course's"]["measured"]) < 0.25
    shifted = few(mlfound, text="model: {name: cnn, relu_shift: 0.4}", draws=1)
    assert not (shifted.path / "tables" / "claims.csv").exists()


def test_a_model_of_blocks_is_a_list_like_any(mlfound, monkeypatch):
    def blocks(section, image):
        width = section["hidden"][0]
        return Sequential(
            Unflatten(1, *image),
            Conv2d(1, 4, 4, stride=4),
            Residual(ReLU(), Conv2d(4, 4, 3, padding=1)),
            GlobalAveragePool(),
            Linear(4, width),
            Residual(Tanh(), Linear(width, width)),
            Linear(width, section["outputs"]),
        )

    monkeypatch.setitem(MODELS, "mlp", blocks)
    layers = few(mlfound, text="model: {hidden: [7]}").rows("layers")
    assert [row["layer"] for row in layers[:11]] == [
        "1 Unflatten", "2 Conv2d", "3 ReLU", "4 Conv2d", "5 Residual", "6 GlobalAveragePool", "7 Linear", "8 Tanh",
        "9 Linear", "10 Residual", "11 Linear",
    ]  # fmt: skip
    kaiming = {row["layer"]: float(row["std"]) for row in layers[:11]}
    assert kaiming["5 Residual"] > kaiming["2 Conv2d"], "a branch adds to what it was given"


def test_a_deep_model_with_dropout_whose_signal_is_lost(mlfound):
    text = f"model: {{hidden: {[20] * 90}, dropout: 0.1}}"
    outcome = few(mlfound, "--init", "normal", "--init", "small", "--init", "kaiming", text=text)
    rows = outcome.rows("model")
    assert len(rows) == 5, "for all 91 there is no room"
    assert (rows[0]["layer"], rows[-1]["layer"]) == ("1 Linear", "271 Linear")
    assert rows[-1]["normal_std"] == ""
    assert float(rows[-1]["small_std"]) == 0
    assert outcome.out.startswith("784-90x20-10: the signal overflows with normal, vanishes with small, ")
    assert "std after 5 of 91 layers with weights" in outcome.out.partition("layer ")[0].replace("\n", " ")
    assert "nan" not in outcome.out
    layers = outcome.rows("layers")
    assert len(layers) == 3 * 271
    kaiming = {row["layer"]: float(row["near_zero"]) for row in layers[-271:]}
    assert kaiming["3 Dropout"] > kaiming["2 ReLU"] + 0.02, "a tenth of the rest is dropped, as in training"


def test_squared_error_and_other_data_than_the_files(mlfound):
    text = "data: {dataset: fashion-mnist}\nloss: mse\nmodel: {outputs: 1, hidden: [5], init: lsuv}\n"
    outcome = few(mlfound, text=text, draws=1)
    assert [row["init"] for row in outcome.rows("layers")[::3]] == ["lsuv", "torch-default"]
    findings = outcome.json("summary.json")["findings"]
    assert findings[-1] == "Here data.dataset is mnist-sample; in the file it is fashion-mnist."
    linear = few(mlfound, text="model: {hidden: []}", draws=1)
    assert "over that at the last" not in " ".join(linear.json("summary.json")["findings"]), (
        "there is but one"
    )


def test_where_no_gradient_comes_there_is_no_share_of_it(mlfound):
    """A single image that is read right, of which a large signal is certain: softmax gives a 1 and zeros."""
    outcome = few(mlfound, "--init", "normal", "rows=1", text="model: {hidden: [50, 50]}", draws=30)
    shares = {row["gradient"] for row in outcome.rows("draws") if row["layer"] == "5 Linear"}
    assert shares == {"1.0", ""}
    assert outcome.rows("model")[0]["normal_gradient"] == ""
    finding, *_ = outcome.json("summary.json")["findings"]
    assert finding.endswith("over that at the last: not finite with normal.")


def test_the_folder_of_a_run(mlfound):
    trained = mlfound("train", "data.dataset=mnist-sample", "epochs=1", "model.hidden=[6]", "--no-plots")
    outcome = mlfound(*SAMPLE, "--model", trained.path, "--draws", 1, "rows=32")
    assert outcome.json("run.json")["network"] == "784-6-10"
    assert "in the file it is" not in outcome.out
    listed = mlfound("runs", "--columns", "command,model").out
    assert [line.split()[1:] for line in listed.splitlines()[1:] if "stats" in line] == [
        ["init-stats", "784-6-10"]
    ]


def test_with_its_picture(mlfound):
    outcome = mlfound(*SAMPLE[:-1], "--model", file("model: {hidden: [5]}"), "--draws", 1)
    assert [plot.name for plot in (outcome.path / "plots").iterdir()] == ["signal.png"]
    shown = outcome.json("summary.json")["pictures"]["signal"]
    assert "Beside it: size of the gradient, the last layer's 1." in shown


# Refusals


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "missing.yaml"], ["missing.yaml", "no such file"]),
        (["--model", "."], ["config.yaml", "no such file"]),
        (["--model", CONFIGS / "matmul-bench.yaml"], ["matmul-bench.yaml:2", "unknown key 'impl'"]),
        (["--model", "own.yaml", "--depth", "5"], ["--depth 5", "leave depth out, or model"]),
        (["--residual", "--model", "own.yaml"], ["--model own.yaml", "leave residual out, or model"]),
        (["--model", "own.yaml", "--layer", "conv"], ["--layer conv", "leave layer out, or model"]),
        (["--model", "own.yaml", "--relu-shift", "0.5"], ["--relu-shift 0.5", "leave relu_shift out"]),
        (["--model", "own.yaml", "--hidden", "9"], ["--hidden 9", "leave hidden out, or model"]),
        (["--model", "own.yaml", "--init", "fixup"], ["--init fixup", "leave it out"]),
        (["--model", "own.yaml", "--draws", "0"], ["--draws 0", "1 or more"]),
        (["--model", "small.yaml"], ["small.yaml:", "28 x 28 images", "cnn"]),
        (["--model", "seven.yaml"], ["seven.yaml:2: model.outputs", "7 outputs", "write 10"]),
    ],
)
def test_bad_input(mlfound, arguments, words):
    file()
    file("model:\n  name: cnn\n  kernels: [40, 3, 3, 3]\n  padding: 0\n", "small.yaml")
    file("model:\n  outputs: 7\n", "seven.yaml")
    refused_at_once(mlfound(*SAMPLE, *arguments), *words)


def test_images_that_are_too_small_for_the_model(mlfound):
    folder = Path("tiny")
    folder.mkdir()
    images, labels = (
        torch.randint(0, 256, (28, 4, 4), dtype=torch.uint8),
        torch.arange(28, dtype=torch.uint8) % 10,
    )
    for name, tensor in zip(NAMES, (images[:24], labels[:24], images[24:], labels[24:]), strict=True):
        (folder / name).write_bytes(idx.encode(tensor))
    arguments = ("init-stats", "data.dataset=tiny/", "--model", file("model:\n  name: lenet5\n"))
    refused_at_once(mlfound(*arguments), "own.yaml:", "4 x 4 images", "lenet5")


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("model: {hidden: [1000000, 9000]}", [], ["--model own.yaml", "a step of 784-1000000-9000-10", "GB"]),
        ("model: {hidden: [50000]}", ["rows=100000"], ["rows=100000: rows", "GB"]),
        (SMALL_CNN, ["--draws", "1000000000"], ["--draws 1000000000", "GB"]),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_made(mlfound, monkeypatch, text, arguments, words):
    monkeypatch.setattr(hardware, "memory_bytes", lambda device=None: 1e9)
    refused_at_once(mlfound(*SAMPLE, "--model", file(text), *arguments), *words)
