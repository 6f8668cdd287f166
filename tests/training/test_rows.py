"""Which rows an engine trains on: augmented ones are each network's own, in any order of preparing the same bits."""

import math
from contextlib import closing
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from mlfound.config.augmentation import AugmentConfig
from mlfound.config.loading import load, parse_set
from mlfound.data.load import Split, Splits
from mlfound.data.normalize import Pixels
from mlfound.engines import ladder
from mlfound.engines.losses import LOSSES
from mlfound.foundations import functions
from mlfound.foundations.augmentation import AUGMENTATIONS, distort
from mlfound.foundations.checks import relative_error
from mlfound.foundations.randomness import generator
from mlfound.results import Context
from mlfound.training import rows
from mlfound.training.build import build
from mlfound.training.plan import plan
from mlfound.training.rows import Augmented, augmented, parts
from tests.support.recorders import Memory

SEEDS, IMAGE, ROWS, BATCH = (3, 7), (5, 6), 230, 16
PIXELS = Pixels(torch.rand(ROWS, 30), torch.tensor(0.3), torch.tensor(0.7))
SHIFT, MIXUP = AugmentConfig(shift=2), AugmentConfig(mixup=0.4, elastic=5.0)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(rows, "PART_ROWS", 40)


def test_each_augmentation_has_a_key():
    assert {*AugmentConfig.model_fields} == {*AUGMENTATIONS, "sigma"}  # of elastic


def order(epoch):
    return torch.stack([torch.randperm(ROWS, generator=generator(seed, str(epoch))) for seed in SEEDS])


def made(config, labels):
    return closing(Augmented(config, SEEDS, PIXELS, labels, IMAGE, BATCH))


def epoch_of(source, epoch, steps_at_once=100):
    """What an engine sees of an epoch: images and labels (networks, rows, ...)."""
    source.begin(epoch, order(epoch), 0)
    xs, ys, step = [], [], 0
    while step < math.ceil(ROWS / BATCH):
        steps = min(steps_at_once, source.steps_from(step))
        numbers = source.take(step, steps)
        xs.append(source.x[numbers].clone())
        ys.append(source.y[numbers].clone())
        step += steps
    return torch.cat(xs, 1), torch.cat(ys, 1)


@given(rows=st.integers(1, 3000), batch_size=st.integers(1, 3000))
def test_parts_are_whole_batches_and_all_rows(rows, batch_size):
    batch_size = min(batch_size, rows)
    found = parts(rows, batch_size)
    assert [n for part in found for n in part] == [*range(rows)]
    assert all(part.start % batch_size == 0 for part in found)
    assert min(map(len, found)) >= batch_size, "none of a smaller, last batch alone"


@pytest.mark.parametrize("config", [SHIFT, MIXUP], ids=["shift", "mixup"])
@pytest.mark.parametrize("ahead", [True, False], ids=["ahead", "when needed"])
def test_the_bits_do_not_depend_on_who_prepares_and_how_many_steps_are_taken(config, ahead):
    labels = torch.rand(ROWS, 3)
    with made(config, labels) as source:
        wanted = [epoch_of(source, epoch) for epoch in (0, 1)]
    with made(config, labels) as source:
        if not ahead:
            source.pool = None
        found = [epoch_of(source, epoch, 1) for epoch in (1, 0)]
        source.begin(0, order(0), 9)  # as a resumed training does
        later = source.x[source.take(9, 2)].clone()
    for (x, y), (other_x, other_y) in zip(wanted, reversed(found), strict=True):
        assert torch.equal(x, other_x)
        assert torch.equal(y, other_y)
    assert torch.equal(later, wanted[0][0][:, 9 * BATCH : 11 * BATCH])


def test_every_epoch_and_every_network_has_images_of_its_own():
    with made(SHIFT, torch.arange(ROWS)) as source:
        epochs = [epoch_of(source, epoch) for epoch in (0, 1)]
    images = [x[n][y[n].argsort()] for x, y in epochs for n in (0, 1)]  # in the order of the training images
    for n, one in enumerate(images):
        for other in images[:n]:
            assert 0.02 < (one == other).all(1).double().mean() < 0.08, "of 25 shifts the same by chance"


def test_labels_stay_with_their_images_which_are_moved_before_they_are_normalised():
    with made(SHIFT, torch.arange(ROWS)) as source:
        x, y = epoch_of(source, 2)
    assert torch.equal(y, order(2))
    for n, seed in enumerate(SEEDS):
        part = slice(0, len(parts(ROWS, BATCH)[0]))
        draws = generator(seed, "augmentation of part 0 of epoch 2")
        moved = distort(PIXELS.x[order(2)[n, part]].view(-1, *IMAGE), draws, shift=2)
        assert torch.equal(x[n, part], (moved.flatten(1) - PIXELS.mean) / PIXELS.std)


def test_mixup_mixes_the_labels_as_the_images():
    x, y = torch.rand(50, 2, 2), torch.rand(50, 3)
    images, labels = augmented(
        torch.cat([x.flatten(1), y], 1).view(50, 1, 7), y, AugmentConfig(mixup=1), draws()
    )
    assert torch.equal(images.flatten(1)[:, 4:], labels)
    assert not torch.equal(labels, y)


def draws():
    return generator(0, "draws")


def test_the_rows_near_a_step_are_its_own_or_the_last_ones_there_are():
    places = order(0)[0].argsort()
    ends = [part.stop for part in parts(ROWS, BATCH)]
    with made(SHIFT, torch.arange(ROWS)) as source:
        source.begin(0, order(0), 0)
        for step in range(math.ceil(ROWS / BATCH)):
            source.take(step, 1)
            near = places[source.y[source.near(step, 20)]].tolist()
            assert near == [*range(near[0], near[0] + 20)]
            assert near[0] == step * BATCH or (near[-1] + 1 in ends and near[0] < step * BATCH <= near[-1])


@pytest.mark.parametrize("shape", [(7, 4), (1, 3)], ids=str)
def test_the_loss_of_shares_and_its_gradient_are_torchs(shape):
    out, target = torch.randn(shape, dtype=torch.float64), torch.rand(shape, dtype=torch.float64).softmax(1)
    tracked = out.clone().requires_grad_()
    wanted = functional.cross_entropy(tracked, target)
    wanted.backward()
    assert relative_error(functions.cross_entropy(out, target), wanted.detach()) < 1e-14
    assert relative_error(functions.cross_entropy_grad(1.0, out, target), tracked.grad) < 1e-14
    loss, row_losses = LOSSES["cross-entropy"](out.T), out.new_empty(1, len(out))
    assert relative_error(loss(out.T, target.T, row_losses).T, tracked.grad) < 1e-14
    assert relative_error(-row_losses.mean(), wanted.detach()) < 1e-14


def trained(*settings):
    """Weights after two epochs on 230 images of 5 x 6 pixels."""
    config = load("train", None, [parse_set(text) for text in (
        "epochs=2", f"batch_size={BATCH}", "device=cpu", "threads=1", "model.hidden=[8]", *settings,
    )]).config  # fmt: skip
    y = torch.arange(ROWS) % 10
    train = Split((PIXELS.x - PIXELS.mean) / PIXELS.std, y)
    splits = Splits(train, train, train, IMAGE, 10, "", {}, range(10))
    with closing(build(plan(config, splits), splits, PIXELS)) as trainer:
        trainer.run(Context(Memory(), Path(), {}, None))
        return [{name: p.clone() for name, p in network.items()} for network in trainer.engine.networks]


COMPILED = ["native"] * (ladder.unavailable("native", torch.device("cpu")) is None)
AUGMENT = "augment={shift: 1, rotate: 20, erase: 0.3}", "model.dropout=0.2"


@pytest.mark.parametrize(
    ("engine", "settings"),
    [
        *((name, AUGMENT) for name in ("buffers", *COMPILED)),
        ("buffers", ("augment.mixup=0.5",)),
        ("buffers", ("augment.mixup=0.5", "loss=mse", "model.outputs=1", "optimizer.lr=0.001")),
    ],
    ids=str,
)
@pytest.mark.parametrize("replicates", ["replicates=1", pytest.param("replicates=3", marks=pytest.mark.slow)])
def test_all_engines_train_on_the_same_images(engine, settings, replicates):
    wanted = trained("engine=modules", *settings, replicates)
    found = trained(f"engine={engine}", *settings, replicates)
    plain = trained("engine=modules", *[each for each in settings if "augment" not in each], replicates)
    for network, like, unlike in zip(found, wanted, plain, strict=True):
        errors = {name: relative_error(network[name], like[name]) for name in like}
        assert max(errors.values()) < 1e-4, errors
        assert any(relative_error(unlike[name], like[name]) > 1e-2 for name in like), "nothing was changed"
