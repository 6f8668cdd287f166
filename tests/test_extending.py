"""A new layer, optimiser or model: in how many places it must be entered until it trains, in every engine."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
import torch
from torch.nn import functional

from mlfound.config.keys import Kinds
from mlfound.config.models import CONFIGS
from mlfound.config.networks import MLPConfig
from mlfound.config.optimizers import OptimizerConfig, SGDConfig
from mlfound.config.training import TrainConfig
from mlfound.engines.kernels import KERNELS, Kernel
from mlfound.foundations.activations import ACTIVATIONS, Activation, ReLU
from mlfound.foundations.layers import Linear, Residual, Sequential
from mlfound.foundations.models import MODELS
from mlfound.foundations.optimizers import OPTIMIZERS, Coefficients, Optimizer, add
from mlfound.reference.autograd import TORCH

QUICK = ("train", "--no-plots", "data.dataset=mnist-sample", "epochs=2", "threads=1")
ENGINES = ("modules", "buffers")


def accuracies(mlfound, *settings):
    """Of both engines, which must agree."""
    outcomes = [mlfound(*QUICK, *settings, f"engine={engine}") for engine in ENGINES]
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes
    slow, fast = (outcome.json("summary.json")["metrics"] for outcome in outcomes)
    assert fast["test_loss"] == pytest.approx(slow["test_loss"], rel=1e-3)
    return fast["test_accuracy"]


class Swish(Activation):
    """x sigmoid(x) (Ramachandran et al. 2017)."""

    def forward(self, x):
        return swish(x)

    def gradient(self, dout, x):
        return swish_grad(dout, x)


def swish(x):
    return x * x.sigmoid()


def swish_grad(dout, x):
    return dout * (x.sigmoid() + swish(x) * (1 - x.sigmoid()))


class SwishKernel(Kernel):
    def forward(self, x):
        self.x = x
        return x * torch.sigmoid(x)

    def backward(self, dout, input_gradient):
        return swish_grad(dout, self.x)


@pytest.mark.parametrize("with_kernel", [False, True])
def test_a_layer(mlfound, monkeypatch, with_kernel):
    """Its formulas, the layer and its word, which the config reads; torch's for the check; for speed a kernel."""
    monkeypatch.setitem(ACTIVATIONS, "swish", lambda leak, shift, ceiling: Swish())
    monkeypatch.setitem(TORCH, Swish, lambda layer, x, own: functional.silu(x))
    if with_kernel:
        monkeypatch.setitem(KERNELS, Swish, SwishKernel)
    # the config's words are those that stand in the file of the ladder
    model = MLPConfig.model_construct(**{**dict(MLPConfig()), "activation": "swish"})
    monkeypatch.setitem(CONFIGS, "train", with_default("model", model))
    assert accuracies(mlfound) > 0.8


@dataclass(frozen=True)
class Sign(Optimizer):
    """p = p - lr sign(g) (Bernstein et al. 2018)."""

    state_names = ()

    def coefficients(self, lr, momentum, step):
        return Coefficients(1 - lr * self.weight_decay, momentum, 1.0, -lr)

    def rule(self, p, g, state, c, parts):
        self.shrink(p, c)
        add(p, g.sign_(), c.step)


class SignConfig(OptimizerConfig):
    name: Literal["sign"] = "sign"
    lr: float = 1e-3
    velocity_decay: Literal[0.0] = 0.0


def test_an_optimiser(mlfound, monkeypatch):
    """Two: the update, and the config's section."""
    monkeypatch.setitem(OPTIMIZERS, "sign", Sign)

    class Config(TrainConfig):
        optimizer: Annotated[SGDConfig | SignConfig, Kinds()] = SGDConfig()

    monkeypatch.setitem(CONFIGS, "train", Config)
    assert accuracies(mlfound, "optimizer.name=sign", "optimizer.clip_norm=1") > 0.8


class WideConfig(MLPConfig):
    name: Literal["blocks"] = "blocks"
    blocks: int = 2


def blocks(section, image):
    """Residual blocks."""
    width = section["hidden"][0]
    inner = [Residual(ReLU(), Linear(width, width)) for _ in range(section["blocks"])]
    return Sequential(Linear(math.prod(image), width), *inner, ReLU(), Linear(width, section["outputs"]))


def test_a_model(mlfound, monkeypatch):
    """Two: the list of layers, and the config's section."""
    monkeypatch.setitem(MODELS, "blocks", blocks)

    class Config(TrainConfig):
        model: Annotated[MLPConfig | WideConfig, Kinds()] = MLPConfig()

    monkeypatch.setitem(CONFIGS, "train", Config)
    assert accuracies(mlfound, "model.name=blocks", "model.blocks=3", "optimizer.lr=0.02") > 0.8
    outcome = mlfound(*QUICK, "model.name=mlp", "model.blocks=3")
    assert (outcome.code, "mlp has no blocks" in outcome.err) == (2, True)


def with_default(key, value):
    """The config of `train` with another default, of whatever value."""
    return type("Config", (TrainConfig,), {key: value, "__annotations__": {key: object}})
