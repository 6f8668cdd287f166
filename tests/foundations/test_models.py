"""First weights by name: what lsuv promises of every layer, on which images, and that the check of it bites."""

import pytest
import torch

from mlfound.config.networks import CNNConfig, LeNet5Config, MLPConfig
from mlfound.foundations import model_initialization
from mlfound.foundations.activations import Activation, ReLU, Tanh
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.layers import Conv2d, Flatten, Linear, Residual, Sequential, Unflatten, bound, leaves
from mlfound.foundations.model_initialization import (
    FITTED_ROWS,
    UnitVariance,
    fitted_rows,
    initial_by_name,
    lsuv,
)
from mlfound.foundations.models import MODELS
from mlfound.foundations.norms import NORMS
from mlfound.foundations.randomness import generator

IMAGE = 12, 12  # as small as LeNet-5 bears
# A sum of n products in float32 is off by about sqrt(n) 2^-24 of their size: with n = 400 that is 1e-6 of a std of 1
BOUND = 1e-5


def blocks():
    """Residual blocks, of images and of features, in a group."""
    inside = Residual(ReLU(), Conv2d(3, 3, 3, padding=1), Tanh(), Conv2d(3, 3, 1))
    return Sequential(
        Unflatten(1, *IMAGE),
        Conv2d(1, 3, 3),
        Sequential(inside, ReLU(), Flatten()),
        Residual(Linear(300, 7), ReLU(), Linear(7, 300)),
        Linear(300, 1),
    )


def configured(config):
    return MODELS[config.name](config.model_dump(), IMAGE)


@pytest.fixture(autouse=True)
def one_thread():
    """As fast for what is so small, and the second core is left to others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


LISTS = {
    "mlp": configured(MLPConfig(hidden=(30, 20), activation="tanh", dropout=0.5)),
    "cnn": configured(CNNConfig(relu_shift=0.4, activation="leaky", leak=0.1)),
    "lenet5": configured(LeNet5Config()),
    "blocks": blocks(),
}


def images(rows=90):
    """Far from mean 0 and std 1, and alike as real ones are."""
    random = generator(0, "images")
    return 2 + torch.rand(144, generator=random) + 3 * torch.randn(rows, 144, generator=random)


def farthest(model, tensors, x):
    """From mean 0 and from std 1, of what any layer with weights gives before its activation; in float64."""
    checked = bound(model, {name: p.double() for name, p in tensors.items()})
    checked(x.double())
    with_weights = [layer for layer in leaves(checked) if layer.parameters]
    products = [layer.forward(layer.x) for layer in with_weights]
    assert len(products) == sum(name.endswith("w") for name in tensors)
    return max(max(abs(z.mean().item()), abs(z.std(correction=0).item() - 1)) for z in products)


@pytest.mark.parametrize("name", LISTS)
def test_lsuv_gives_every_layer_mean_0_and_std_1(name):
    model, x = LISTS[name], images()
    assert farthest(model, lsuv(model, generator(0, "weights"), x), x) < BOUND
    plain = model_initialization.initial(model, INITIALIZATIONS["orthogonal"], generator(0, "weights"))
    assert farthest(model, plain, x) > 0.1, "it is lsuv's work"


def bias_not_divided(self, x):
    z = self.layer(x)
    self.layer.w.div_(z.std())
    self.layer.b.sub_(z.mean())
    return self.layer(x)


def mean_left(self, x):
    self.layer.w.div_(self.layer(x).std())
    return self.layer(x)


def fitted_to_the_signal_before(self, x):
    z = self.layer(x)
    UNBROKEN(self, x)
    return z


def bias_drawn_into_the_weights(self, x):
    z = self.layer(x)
    self.layer.w.sub_(z.mean()).div_(z.std())
    return self.layer(x)


UNBROKEN = UnitVariance.forward


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(
    "fault", [bias_not_divided, mean_left, fitted_to_the_signal_before, bias_drawn_into_the_weights]
)
def test_a_fault_in_lsuv_is_seen(monkeypatch, fault, name):
    monkeypatch.setattr(UnitVariance, "forward", fault)
    model, x = LISTS[name], images()
    assert not farthest(model, lsuv(model, generator(0, "weights"), x), x) < 100 * BOUND


@pytest.mark.parametrize("name", LISTS)
def test_the_same_seed_gives_the_same_bits(name):
    model, x = LISTS[name], images(600)
    first, again, other = (
        initial_by_name(model, "lsuv", generator(seed, "weights"), x) for seed in (0, 0, 1)
    )
    assert first.keys() == model.parameters.keys()
    assert all(torch.equal(p, again[key]) for key, p in first.items())
    assert not any(torch.equal(p, other[key]) for key, p in first.items())


def test_the_images_that_it_is_fitted_to_are_drawn():
    """Some of all, float32 whatever type the training has; the same ones from the same generator."""
    model, x = LISTS["mlp"], images(600)
    drawn = fitted_rows(generator(0, "weights"), x.double())
    assert drawn.dtype == torch.float32
    assert len(drawn) == FITTED_ROWS
    assert not torch.equal(drawn, x[:FITTED_ROWS])
    weights = initial_by_name(model, "lsuv", generator(0, "weights"), x)
    assert farthest(model, weights, drawn) < BOUND < farthest(model, weights, x)
    assert len(fitted_rows(generator(0, "weights"), x[:5])) == 5


def test_a_scheme_that_fits_nothing_draws_what_it_drew():
    model = LISTS["cnn"]
    named = initial_by_name(model, "kaiming", generator(0, "weights"), images(2))
    drawn = model_initialization.initial(model, INITIALIZATIONS["kaiming"], generator(0, "weights"))
    assert all(torch.equal(p, drawn[key]) for key, p in named.items())


@pytest.mark.parametrize("pixel", [0.0, 0.1])
def test_a_layer_that_gives_one_number_for_all_is_left_alone(pixel):
    """Black images, and equal ones into a single unit, whose products differ in their last digits at most."""
    model = Sequential(Linear(144, 1), ReLU(), Linear(1, 5))
    weights = lsuv(model, generator(0, "weights"), torch.full((301, 144), pixel))
    assert all(p.isfinite().all() for p in weights.values())
    drawn = model_initialization.initial(model, INITIALIZATIONS["orthogonal"], generator(0, "weights"))
    assert torch.equal(weights["1.w"], drawn["1.w"])
    assert torch.equal(weights["1.b"], drawn["1.b"])


def test_one_image_is_enough():
    model, x = LISTS["cnn"], images(1)
    assert farthest(model, lsuv(model, generator(0, "weights"), x), x) < BOUND


NORMALIZED = {
    "mlp": lambda norm: configured(MLPConfig(hidden=(30, 20), norm=norm, activation="tanh")),
    "cnn": lambda norm: configured(CNNConfig(norm=norm, channels=(8, 16, 32), kernels=(5, 3, 3))),
}
WITH_NORMS = [(name, norm) for name in NORMALIZED for norm in NORMS if (name, norm) != ("mlp", "instance")]


@pytest.mark.parametrize(("name", "norm"), WITH_NORMS)
def test_a_norm_stands_before_each_activation_after_a_layer_without_bias(name, norm):
    layers = NORMALIZED[name](norm).layers
    assert any(isinstance(layer, Activation) for layer in layers)
    for before, normalized, after in zip(layers, layers[1:], layers[2:], strict=False):
        if isinstance(after, Activation):
            assert type(normalized) is NORMS[norm]
            assert (before.outputs, list(before.parameters)) == (normalized.channels, ["w"])
    assert list(layers[-1].parameters) == ["w", "b"]


def test_a_model_that_was_saved_before_there_were_norms_has_none():
    section = {name: value for name, value in CNNConfig().model_dump().items() if name != "norm"}
    assert MODELS["cnn"](section, IMAGE).parameters == LISTS["cnn"].parameters


@pytest.mark.parametrize(("name", "norm"), WITH_NORMS)
def test_lsuv_gives_what_a_norm_takes_std_1_and_the_norm_its_statistics(name, norm):
    """What is fitted at inference holds in training: the first batch has the statistics that the norms begin with."""
    model, x = NORMALIZED[name](norm), images()
    tensors = lsuv(model, generator(0, "weights"), x)
    for training in (False, True):
        fitted = bound(model, {key: p.double() for key, p in tensors.items()})
        outputs = dict(zip(fitted.layers, in_turn(fitted, x.double(), training), strict=True))
        for layer, z in outputs.items():
            if isinstance(layer, Linear | Conv2d):
                assert abs(z.std(correction=0).item() - 1) < FAR_ENOUGH[training]
            if isinstance(layer, Linear) and "b" in layer.parameters:
                assert abs(z.mean().item()) < FAR_ENOUGH[training]


# In training the variance is not corrected: of 90 numbers about their mean that is half a percent of their std
FAR_ENOUGH = {False: BOUND, True: 0.01}


def in_turn(model, x, training):
    """What comes out of each layer."""
    for layer in model.layers:
        x = layer(x, training)
        yield x


def test_norms_of_lsuv_that_begin_with_nothing_are_seen(monkeypatch):
    """The test above bites."""
    monkeypatch.setattr(model_initialization.FirstStatistics, "forward", lambda self, x: self.layer(x))
    with pytest.raises(AssertionError):
        test_lsuv_gives_what_a_norm_takes_std_1_and_the_norm_its_statistics("cnn", "batch")
