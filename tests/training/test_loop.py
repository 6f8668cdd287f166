"""The training loop: many seeds at once, divergence to the step, interruption and resumption to the bit."""

import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mlfound.config.documents import flat
from mlfound.config.loading import load, parse_set
from mlfound.data.load import Split, Splits
from mlfound.data.normalize import Pixels
from mlfound.engines import ladder
from mlfound.errors import UserError
from mlfound.foundations.layers import Loss, bound
from mlfound.foundations.models import MODELS
from mlfound.foundations.randomness import generator
from mlfound.results import Checkpoint, Context, Resumed
from mlfound.training.build import build
from mlfound.training.epochs import Epoch, by_epoch, line, lowest
from mlfound.training.inputs import Inputs
from mlfound.training.plan import plan
from mlfound.training.resume import refuse_changes, with_new_keys
from mlfound.training.snapshots import Divergence
from tests.support.recorders import Memory


def images():
    draws = generator(0, "images")
    x = torch.randn(300, 12, generator=draws)
    y = (x @ torch.randn(12, 10, generator=draws)).argmax(1)
    return Splits(
        Split(x[:210], y[:210]),
        Split(x[210:250], y[210:250]),
        Split(x[250:], y[250:]),
        (3, 4),
        10,
        "",
        {},
        range(10),
    )


SMALL = ["epochs=3", "batch_size=32", "threads=1", "device=cpu", "model.hidden=[8]", "checkpoint.seconds=0"]


def config_of(*changes):
    return load("train", None, [parse_set(text) for text in (*SMALL, *changes)]).config


def context_of(recorder=None, resumed=None):
    return Context(recorder or Memory(), Path(), {}, None, resumed=resumed)


def trainer_of(config):
    """A trainer as `train` builds it, to be closed."""
    splits = images()
    pixels = Pixels(splits.train.x, torch.zeros(()), torch.ones(()))
    return closing(build(plan(config, splits), splits, pixels))


@pytest.fixture(autouse=True)
def _several_parts_an_epoch(monkeypatch):
    monkeypatch.setattr("mlfound.training.rows.PART_ROWS", 64)


def copies(networks):
    return [{name: p.clone() for name, p in network.items()} for network in networks]


def trained(config):
    recorder = Memory()
    with trainer_of(config) as trainer:
        divergence = trainer.run(context_of(recorder))
        weights = copies(trainer.engine.networks)
    return weights, recorder, divergence


def same(one, other):
    return all(
        torch.equal(network[name], like[name])
        for network, like in zip(one, other, strict=True)
        for name in network
    )


COMPILED = [("engine=native",)] * (ladder.unavailable("native", torch.device("cpu")) is None)
ENGINES = [("engine=modules",), ("engine=buffers",), ("engine=buffers", "product=matmul"), *COMPILED]
LEAKY = "model.activation=leaky", "model.leak=0.1", "model.relu_shift=0.4"
KINDS = [
    ("engine=buffers", "optimizer.name=sgd", "optimizer.dampening=0.1", "optimizer.clip_norm=0.5", *LEAKY),
    ("engine=buffers", "optimizer.name=rmsprop", "optimizer.momentum=0.5", "model.dropout=0.3", *LEAKY),
    ("engine=buffers", "optimizer.name=adam", "model.dropout=0.3", "optimizer.clip_norm=0.5"),
    ("engine=modules", "optimizer.name=adam", "model.dropout=0.3", "optimizer.clip_norm=0.5"),
    ("engine=buffers", "optimizer.name=adamw", "model.dropout=0.3", "optimizer.max_norm=1.5"),
    ("engine=buffers", "optimizer.name=lamb", "optimizer.clip_norm=0.5", "model.input_dropout=0.1", *LEAKY),
    ("engine=modules", "optimizer.name=lamb", "model.dropout=0.3", *LEAKY),
    *(
        (*engine, "model.dropout=0.3", "augment={shift: 1, rotate: 20, elastic: 3}")
        for engine in [("engine=buffers",), *COMPILED]
    ),
    ("engine=buffers", "augment={mixup: 0.4, erase: 0.3}"),
]


@pytest.mark.parametrize(
    "kind", [*((*engine, "model.dropout=0.2") for engine in ENGINES), *KINDS], ids=" ".join
)
def test_each_seed_is_trained_as_it_would_be_alone(kind):
    config = config_of("replicates=3", "seed=5", *kind)
    weights, recorder, _ = trained(config)
    assert [(row["epoch"], row["seed"]) for row in recorder.rows] == [
        (e, s) for e in (1, 2, 3) for s in (5, 6, 7)
    ]
    for number in range(3):
        alone, own, _ = trained(config.model_copy(update={"replicates": 1, "seed": 5 + number}))
        assert same([weights[number]], alone)
        for row, like in zip(own.rows, recorder.rows[number::3], strict=True):
            for name in ("epoch", "seed", "train_loss", "valid_loss", "valid_accuracy", "lr", "momentum"):
                assert row[name] == pytest.approx(like[name], rel=1e-6), name
    assert not same([weights[0]], [weights[1]])


def test_the_training_loss_is_the_mean_over_rows_not_over_batches():
    """210 rows are six batches of 32 and one of 18. With a learning rate of next to nothing no weight moves."""
    config = config_of("epochs=1", "optimizer.lr=1e-12", "optimizer.weight_decay=0")
    weights, recorder, _ = trained(config)
    train, loss = images().train, Loss("cross-entropy")
    model = bound(MODELS["mlp"](config.model.model_dump(), (12,)), weights[0])
    assert recorder.rows[0]["train_loss"] == pytest.approx(loss(model(train.x), train.y).item(), rel=1e-5)


def at(trainer, epoch, step, asked=1):
    """An interruption that comes after so many epochs and steps, when it is asked for the n-th time there."""
    here = 0

    def interrupted():
        nonlocal here
        here += (trainer.epoch, trainer.step) >= (epoch, step)
        return here >= asked

    return interrupted


SGD = "model.dropout=0.3", "model.input_dropout=0.1", "optimizer.nesterov=true", "optimizer.max_norm=1.5"
INTERRUPTED = [
    (engine + SGD, where) for engine in ENGINES for where in ((0, 1), (0, 4), (0, 7), (1, 0), (1, 5))
]
INTERRUPTED += [(kind, (1, 5)) for kind in KINDS]
INTERRUPTED += [(KINDS[2], (0, 7, asked)) for asked in range(2, 9)]  # before, between and after both networks


@pytest.mark.parametrize(("kind", "where"), INTERRUPTED, ids=str)
def test_an_interrupted_training_goes_on_to_the_same_bits(kind, where, monkeypatch):
    """A check a step, seven steps an epoch: in its middle, before and while it is evaluated, at its beginning."""
    monkeypatch.setattr("mlfound.training.loop.MAX_STEPS_PER_CHECK", 1)
    config = config_of("replicates=2", *kind)
    undisturbed = Memory()
    with trainer_of(config) as trainer:
        trainer.run(context_of(undisturbed))
        whole, halves = copies(trainer.engine.networks), trainer.halves

    begun = Memory()
    with trainer_of(config) as trainer:
        trainer.run(context_of(begun), at(trainer, *where))
    checkpoint, _ = begun.checkpoints[-1]
    assert (checkpoint.facts["epoch"], checkpoint.facts["step"]) == where[:2]

    rest = Memory()
    with trainer_of(config) as trainer:
        assert trainer.run(context_of(rest, Resumed(checkpoint, begun.rows, {}))) is None
        assert same(trainer.engine.networks, whole)
        assert same_halves(trainer.halves, halves)
    timeless = [
        [(row["epoch"], row["seed"], row["train_loss"], row["valid_loss"]) for row in rows]
        for rows in (begun.rows + rest.rows, undisturbed.rows)
    ]
    assert timeless[0] == timeless[1]


def test_a_run_without_a_checkpoint_begins_again():
    config = config_of()
    whole, _, _ = trained(config)
    with trainer_of(config) as trainer:
        trainer.run(context_of(resumed=Resumed(None, [], {})))
        assert same(trainer.engine.networks, whole)


def test_when_checkpoints_are_written():
    _, often, _ = trained(config_of("epochs=5", "checkpoint.every=2"))
    assert [checkpoint.facts["epoch"] for checkpoint, _ in often.checkpoints] == [2, 4, 5]
    _, seldom, _ = trained(config_of("epochs=5", "checkpoint.seconds=1e6"))
    assert [checkpoint.facts["epoch"] for checkpoint, _ in seldom.checkpoints] == [5], "the last one always"


def with_losses(trainer, losses):
    """A training whose epochs end with these validation losses."""
    validate, losses = trainer.validate, iter(losses)
    trainer.validate = lambda *which: (score := validate(*which)) and replace(score, loss=next(losses))
    return trainer


@pytest.mark.parametrize(
    ("losses", "settings", "written"),
    [
        ([5, 2, 3, 4], (), [(1, True), (2, True), (3, False), (4, False)]),
        ([5, 2, 3, 4], ("checkpoint.seconds=1e6",), [(2, True), (4, False)]),
        ([5, 2, 3, 1], ("checkpoint.seconds=1e6",), [(2, True), (4, True)]),
        ([5, 4, 3, 3], ("checkpoint.every=3",), [(3, True), (4, False)]),
        ([5, 4, 3, math.inf], ("checkpoint.seconds=1e6",), [(3, True)]),  # it diverges
    ],
)
def test_the_best_epoch_is_kept_whether_a_checkpoint_is_due_or_not(losses, settings, written):
    """Written with the rows of its own epoch before it, so that it is as good to go on from as any other."""
    config, memory = config_of("epochs=4", *settings), Memory()
    with trainer_of(config) as trainer:
        with_losses(trainer, losses).run(context_of(memory))
    assert [(checkpoint.facts["epoch"], best) for checkpoint, best in memory.checkpoints] == written
    assert memory.rows_before == [epoch for epoch, _ in written]

    whole, _, _ = trained(config)
    for checkpoint, _ in memory.checkpoints:
        with trainer_of(config) as trainer:
            rows = memory.rows[: checkpoint.facts["epoch"]]
            trainer.run(context_of(resumed=Resumed(checkpoint, rows, {})))
            assert same(trainer.engine.networks, whole)


def networks_after(epoch, *changes):
    """As they are after so many epochs of a training that is not stopped early."""
    with trainer_of(config_of(*changes)) as trainer:
        trainer.run(context_of(), at(trainer, epoch, 0))
        return copies(trainer.engine.networks)


@pytest.mark.parametrize(
    ("losses", "patience", "epochs", "best"),
    [
        ([5, 4, 3, 2, 1, 0], 1, 6, 6),
        ([5, 3, 4, 2, 1, 0], 1, 3, 2),
        ([5, 3, 4, 2, 1, 0], 2, 6, 6),
        ([5, 3, 4, 3, 1, 0], 2, 4, 2),  # as low as before is not lower
        ([5, 4, 4, 4, 4, 4], 4, 6, 2),
        ([5, 4, 4, 4, 4, 4], 9, 6, 2),
    ],
)
def test_early_stopping_waits_for_a_lower_loss_and_keeps_the_best_networks(losses, patience, epochs, best):
    """The steps are those of a run that is not stopped: the schedule keeps its planned length."""
    shared, memory = ("epochs=6", "replicates=2", "checkpoint.seconds=1e6"), Memory()
    with trainer_of(config_of(*shared, f"early_stop.patience={patience}")) as trainer:
        of_both = [each for loss in losses for each in (loss + 10, loss)]  # what counts is their mean
        with_losses(trainer, of_both).run(context_of(memory))
        assert [row["epoch"] for row in memory.rows[::2]] == list(range(1, epochs + 1))
        assert memory.checkpoints[-1][0].facts["epoch"] == epochs, "the last one is always written"
        assert same(trainer.result, networks_after(best, *shared))
        assert same(trainer.engine.networks, networks_after(epochs, *shared))


@pytest.mark.parametrize("where", [(1, 3), (3, 0), (3, 5), (4, 0), (5, 0)], ids=str)
def test_early_stopping_survives_an_interruption(where, monkeypatch):
    """Before, at and after the best epoch, which is the second, and after it has stopped, which it does after 5."""
    monkeypatch.setattr("mlfound.training.loop.MAX_STEPS_PER_CHECK", 1)
    config, losses = config_of("epochs=9", "early_stop.patience=3"), [5, 3, 4, 5, 6]
    with trainer_of(config) as trainer:
        with_losses(trainer, losses).run(context_of())
        wanted, halves = copies(trainer.result), trainer.halves
        assert trainer.epoch == 5
    begun, rest = Memory(), Memory()
    with trainer_of(config) as trainer:
        with_losses(trainer, losses).run(context_of(begun), at(trainer, *where))
    resumed = Resumed(begun.checkpoints[-1][0], begun.rows, {})
    with trainer_of(config) as trainer:
        with_losses(trainer, losses[where[0] :]).run(context_of(rest, resumed))
        assert same(trainer.result, wanted)
        assert trainer.epoch == 5
        assert same_halves(trainer.halves, halves)
    assert len(begun.rows + rest.rows) == 5
    with trainer_of(config_of("epochs=9")) as trainer:  # it may be switched off
        trainer.run(context_of(resumed=resumed))
        assert same(trainer.result, networks_after(9, "epochs=9"))


def test_a_checkpoint_of_before_the_validation_losses_were_kept_is_refused():
    """Its run could not end with the verdict of an undisturbed one."""
    facts = {"dataset": {"digest": "d"}, "environment": {"packages": {"mlfound": "1"}}, "bits": {}}
    resumed = Resumed(Checkpoint({}, {"epoch": 1, "config": config_of().model_dump(mode="json")}), [], facts)
    context = replace(context_of(resumed=resumed), environment=facts["environment"])
    with pytest.raises(UserError, match="of an earlier mlfound; start a new run"):
        refuse_changes(config_of(), Inputs(images(), None, None, {"digest": "d"}), {}, context)


@pytest.mark.parametrize(
    "changes",
    [
        ("inside={every: 5}", "optimizer.name=adam", "model.hidden=[]"),
        ("schedule=[{name: linear, from: 1, to: 0, share: 1}]", "augment={shift: 1}"),
    ],
    ids=str,
)
def test_keys_that_a_checkpoint_does_not_know_were_at_their_defaults(changes):
    config = config_of(*changes).model_dump(mode="json", by_alias=True)
    wanted = dict(flat(config))
    for section, key in ((config, "expect"), (config["data"], "split"), (config["optimizer"], "clip_norm")):
        del section[key]
    assert with_new_keys(config) == wanted


def same_halves(one, other):
    means = [(each.epoch, each.even, each.train, each.last_train) for each in (one, other)]
    tensors = ((one.odd, other.odd), (one.last_odd, other.last_odd))
    return means[0] == means[1] and all(torch.equal(*pair) for pair in tensors)


@pytest.mark.parametrize("replicates", [1, 2])
def test_what_is_judged_are_the_losses_of_the_odd_rows(replicates):
    """Of the epoch with the lowest loss on the even rows, and of the last one; calculated here from the networks."""
    changes = ("epochs=5", f"replicates={replicates}", "optimizer.lr=2", "schedule=constant")
    with trainer_of(config_of(*changes)) as trainer:
        trainer.run(context_of())
        halves = trainer.halves
    valid, train = images().valid, images().train.first(500)
    model, losses, of_train = MODELS["mlp"](config_of().model.model_dump(), (12,)), [], []
    for epoch in range(1, 6):
        networks = [bound(model, network) for network in networks_after(epoch, *changes)]
        losses.append(
            [torch.nn.functional.cross_entropy(net(valid.x), valid.y, reduction="none") for net in networks]
        )
        of_train.append(
            sum(Loss("cross-entropy")(net(train.x), train.y).item() for net in networks) / replicates
        )
    losses = torch.stack([torch.stack(each) for each in losses])
    even, odd = losses[..., ::2].mean((1, 2)), losses[..., 1::2]
    odd = odd.mean(2, keepdim=True) if replicates > 1 else odd
    best = even.argmin().item()
    assert best < 4, "no test of a last epoch that is not the best"
    assert halves.epoch == best + 1
    assert halves.even == pytest.approx(even[best].item(), rel=1e-6)
    assert halves.odd == pytest.approx(odd[best], rel=1e-5)
    assert halves.last_odd == pytest.approx(odd[-1], rel=1e-5)
    assert (halves.train, halves.last_train) == pytest.approx((of_train[best], of_train[-1]), rel=1e-6)


def test_an_interrupted_training_leaves_its_best_epoch_too(monkeypatch):
    monkeypatch.setattr("mlfound.training.loop.MAX_STEPS_PER_CHECK", 1)
    memory = Memory()
    with trainer_of(config_of("checkpoint.seconds=1e6")) as trainer:
        with_losses(trainer, [5, 4, 3]).run(context_of(memory), at(trainer, 1, 3))
    written = [
        (checkpoint.facts["epoch"], checkpoint.facts["step"], best) for checkpoint, best in memory.checkpoints
    ]
    assert written == [(1, 0, True), (1, 3, False)]


@pytest.mark.parametrize(
    ("kind", "steps"),
    [*((engine, steps) for engine in ENGINES for steps in (1, 3, 500)), *((kind, 3) for kind in KINDS)],
    ids=str,
)
def test_a_divergence_is_traced_to_its_step_and_tensor(kind, steps, monkeypatch):
    monkeypatch.setattr("mlfound.training.loop.SNAPSHOT_STEPS", steps)
    config = config_of("optimizer.lr=1e25", "schedule=constant", "replicates=2", *kind)
    _, recorder, divergence = trained(config)

    monkeypatch.setattr("mlfound.training.loop.MAX_STEPS_PER_CHECK", 1)
    _, _, by_step = trained(config)
    assert divergence == by_step, "how often it is checked does not matter"
    # the first step makes weights of 1e24, or where those have a limit a bias, which then decays beyond any number
    tensor = "1.b" if "optimizer.max_norm=1.5" in kind else "the loss"
    assert divergence == Divergence(2, 1, 1e25, f"{tensor} of seed 0")
    assert not recorder.rows
    assert not recorder.checkpoints


@pytest.mark.parametrize("lr", [1, 1.5, 2, 3, 5, 10, 30, 100, 1e4])
def test_a_resumed_training_diverges_where_an_uninterrupted_one_does(lr, monkeypatch):
    """A linear model of squared error: the larger the rate, the sooner it diverges, at the smallest not at all."""
    config = config_of(
        f"optimizer.lr={lr}", "optimizer.momentum=0.5", "optimizer.weight_decay=0", "schedule=constant",
        "loss=mse", "model.outputs=1", "model.hidden=[]", "epochs=9",
    )  # fmt: skip
    _, whole, divergence = trained(config)
    assert (divergence is None) == (lr == 1)

    monkeypatch.setattr("mlfound.training.loop.MAX_STEPS_PER_CHECK", 1)
    last = divergence.step - 1 if divergence else 21
    for done in range(1, last, max(1, last // 6)):
        begun, rest = Memory(), Memory()
        with trainer_of(config) as trainer:
            trainer.run(context_of(begun), at(trainer, *divmod(done, 7)))
        with trainer_of(config) as trainer:
            resumed = Resumed(begun.checkpoints[-1][0], begun.rows, {})
            assert trainer.run(context_of(rest, resumed)) == divergence
        assert len(begun.rows + rest.rows) == len(whole.rows)


def test_a_weight_that_is_infinite_is_found_though_the_loss_is_finite():
    """The last step of an epoch can spoil a weight that no loss has seen yet."""
    config = config_of("epochs=1")
    with trainer_of(config) as trainer:
        take = trainer.engine.run

        def spoiling(rows, rates):
            losses = take(rows, rates)
            if rows.shape[1] % 32:  # the last, smaller batch is among them
                trainer.engine.networks[0]["1.b"][3] = math.inf
            return losses

        trainer.engine.run = spoiling
        divergence = trainer.run(context_of())
    assert (divergence.step, divergence.tensor) == (7, "1.b of seed 0")


def test_a_validation_loss_that_is_not_finite_is_a_divergence():
    """Of finite weights: only the validation images are too much for them."""
    memory = Memory()
    with trainer_of(config_of("replicates=2")) as trainer:
        divergence = with_losses(trainer, [0.5, math.inf]).run(context_of(memory))
    assert divergence == Divergence(7, 1, pytest.approx(0.1, rel=0.2), "the validation loss of seed 1")
    assert not memory.rows
    assert not memory.checkpoints


def test_a_loss_of_training_images_that_is_not_finite_is_a_divergence_too():
    """By the weights after the epoch, which no training step has used; a checkpoint could not hold it."""
    memory = Memory()
    with trainer_of(config_of()) as trainer:
        trainer.loss = lambda network, split: math.inf
        divergence = trainer.run(context_of(memory))
    assert (divergence.step, divergence.tensor) == (7, "the loss of training images")
    assert not memory.rows
    assert not memory.checkpoints


def test_a_divergence_that_does_not_come_again_is_said():
    with trainer_of(config_of()) as trainer:
        take, spoilt = trainer.engine.run, iter([True])

        def once(rows, rates):
            losses = take(rows, rates)
            return losses * math.nan if next(spoilt, False) else losses

        trainer.engine.run = once
        assert "finite when the steps were repeated" in trainer.run(context_of()).tensor


def test_only_finite_states_are_kept_when_interrupted(monkeypatch):
    """After the first step the loss is finite still, but a weight may not be: no one has looked at it yet."""
    monkeypatch.setattr("mlfound.training.loop.MAX_STEPS_PER_CHECK", 1)
    memory = Memory()
    with trainer_of(config_of()) as trainer:
        take = trainer.engine.run

        def spoiling(rows, rates):
            losses = take(rows, rates)
            trainer.engine.networks[0]["1.b"][3] = math.inf
            return losses

        trainer.engine.run = spoiling
        assert trainer.run(context_of(memory), at(trainer, 0, 1)) is None
    assert not memory.checkpoints


EPOCHS = [
    Epoch(epoch, seed, 0.5, valid, 0.9 + seed / 100, 0.1, 0.9, 2.0, 0.1, 1e4)
    for epoch, losses in enumerate([(0.4, 0.2), (0.2, 0.3), (0.1, 0.6)], 1)
    for seed, valid in enumerate(losses)
]


def test_the_lowest_epoch_is_that_of_the_mean_over_seeds():
    assert [row.epoch for row in lowest(EPOCHS)] == [2, 2]
    assert [len(rows) for rows in by_epoch(EPOCHS)] == [2, 2, 2]


def test_a_line_of_several_seeds_says_so():
    assert (
        line(EPOCHS[:2]) == "epoch   1  train loss 0.5000  valid loss 0.3000  valid accuracy 90.50%  2 seeds"
    )
    assert line(EPOCHS[:1]).endswith("2.00 s")
