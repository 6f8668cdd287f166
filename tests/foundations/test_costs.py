"""Multiplications and numbers of known networks, by hand."""

from mlfound.config.networks import CNNConfig, MLPConfig
from mlfound.foundations.activations import ReLU
from mlfound.foundations.costs import Costs, costs
from mlfound.foundations.layers import Conv2d, Linear, Residual, Sequential
from mlfound.foundations.models import MODELS


def of(config):
    return costs(MODELS[config.name](config.model_dump(), (28, 28)), (1, 784))


def test_an_mlp():
    assert of(MLPConfig(hidden=(50,))) == [Costs(50, 784, 39_200), Costs(50, 0, 0), Costs(10, 50, 500)]


def test_the_courses_cnn():
    """Kernels times places: 8 of 25 at 14 x 14, 16 of 8 x 9 at 7 x 7, 32 of 16 x 9 at 4 x 4, of 32 x 9 at 2 x 2."""
    each = [cost.multiplications for cost in of(CNNConfig()) if cost.multiplications]
    assert each == [8 * 25 * 196, 16 * 72 * 49, 32 * 144 * 16, 32 * 288 * 4, 320]
    first = next(cost for cost in of(CNNConfig()) if cost.inputs)
    assert (first.outputs, first.inputs, first.places) == (8 * 196, 25 * 196, 196)


def test_what_is_in_containers_counts():
    layers = Sequential(Residual(Conv2d(2, 2, 1), ReLU()), Sequential(Linear(5, 3)))
    found = costs(Sequential(*layers.layers[:1]), (4, 2, 6, 5))
    assert [cost.multiplications for cost in found] == [2 * 2 * 30, 0]
    assert costs(layers.layers[1], (4, 5)) == [Costs(3, 5, 15)]


def test_a_norm_holds_numbers_and_multiplies_no_matrices():
    """Nor does the bias count that it makes needless."""
    plain, normalized = (of(MLPConfig(hidden=(50,), norm=norm)) for norm in ("none", "batch"))
    assert normalized == [plain[0], Costs(50, 0, 0), *plain[1:]]
