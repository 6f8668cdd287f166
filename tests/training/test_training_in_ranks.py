"""A whole training by several processes: one process's numbers, one stop for all, and who says what went wrong."""

import os
import signal
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import torch

from mlfound.config.loading import load, parse_set
from mlfound.data.load import Split, Splits
from mlfound.data.normalize import Pixels
from mlfound.engines.group import ALONE, Group
from mlfound.engines.ranks import RankError, alive
from mlfound.errors import UserError
from mlfound.foundations.checks import relative_error
from mlfound.foundations.randomness import generator
from mlfound.results import Context
from mlfound.training.build import build
from mlfound.training.plan import plan
from mlfound.training.resume import other_bits, refuse_differences, what_decides_bits
from tests.support.ranks import in_ranks
from tests.support.recorders import Memory

WAYS = "shared memory", "gloo"
pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = "batch_size=32", "threads=1", "device=cpu", "model.hidden=[8]", "checkpoint.seconds=0", "epochs=2"
AUGMENTED = (
    "augment={shift: 1, rotate: 10, erase: 0.2, mixup: 0.4}",
    "model.dropout=0.2",
    "early_stop={patience: 1}",
)


def config_of(*changes):
    return load("train", None, [parse_set(text) for text in (*SMALL, *changes)]).config


def images():
    """810 rows in float64: the last batch has 10."""
    draws = generator(0, "images")
    x = torch.randn(1000, 30, generator=draws, dtype=torch.float64)
    y = (x @ torch.randn(30, 10, generator=draws, dtype=torch.float64)).argmax(1)
    splits = (Split(x[part], y[part]) for part in (slice(810), slice(810, 911), slice(911, None)))
    return Splits(*splits, (5, 6), 10, "", {}, range(10))


def trained(group, config):
    """The rows of the epochs without their seconds, the tensors of the last checkpoint, the network."""
    splits, recorder = images(), Memory()
    pixels = Pixels(splits.train.x, *torch.tensor([0.0, 1.0], dtype=torch.float64))
    planned = plan(config, splits, group)
    assert planned.machine.ranks == group.size
    with closing(build(planned, splits, pixels, group)) as trainer:
        assert trainer.run(Context(recorder, Path(), {}, None)) is None
        [network] = trainer.result
    tensors = {**recorder.checkpoints[-1][0].tensors, **network}
    figures = [
        [row[name] for name in ("train_loss", "valid_loss", "valid_accuracy")] for row in recorder.rows
    ]
    return {"figures": figures, **{name: p.double().tolist() for name, p in tensors.items() if p.numel()}}


@pytest.mark.parametrize("changes", [(), AUGMENTED], ids=["plain", "augmented"])
def test_a_training_in_ranks_is_that_of_one_process(changes, monkeypatch):
    monkeypatch.setattr("mlfound.training.rows.PART_ROWS", 256)  # several parts an epoch
    config = config_of("engine=buffers", *changes)
    wanted = trained(ALONE, config)
    for found in in_ranks(3, trained, config):
        assert found.keys() == wanted.keys()
        errors = {
            name: relative_error(*(torch.tensor(each[name], dtype=torch.float64) for each in (found, wanted)))
            for name in wanted
        }
        assert max(errors.values()) <= 1e-10, errors


REFUSED = {
    ("replicates=2",): ("replicates", "write 1"),
    ("batch_size=2",): ("batch_size", "write 3 or more"),
    ("engine=modules",): ("engine", "write auto or buffers"),
    ("engine=native",): ("engine", "write auto or buffers"),
    ("engine=graph",): ("engine", "write auto or buffers"),
}


@pytest.mark.parametrize("changes", REFUSED, ids=" ".join)
def test_what_ranks_cannot_do_is_refused(changes):
    group, (key, advice) = Group(), REFUSED[changes]
    group.size = group.local_size = 3
    with pytest.raises(UserError, match=advice) as refused:
        plan(config_of(*changes), images(), group)
    assert refused.value.key == key


def test_another_number_of_ranks_has_other_bits():
    group, environment = Group(), {"cpu": "", "cpu_id": ""}
    one = what_decides_bits(plan(config_of(), images()).machine, environment)
    group.size = 2
    two = what_decides_bits(plan(config_of(), images(), group).machine, environment)
    assert "ranks is 2, then 1" in other_bits(two, one)
    assert "ranks is 1, then 2" in other_bits(one, two)


@pytest.mark.parametrize("size", [2, 3])
def test_another_way_to_add_up_has_other_bits_but_of_two_ranks(size):
    group, found = Group(), []
    group.size = size
    for way in WAYS:
        group.way = lambda device, way=way: way
        machine = plan(config_of(), images(), group).machine
        assert f"{size} ranks, all-reduce by {way}" in str(machine)
        found.append(what_decides_bits(machine, {"cpu": "", "cpu_id": ""}))
    assert other_bits(*found) == ("ranks is 3 by shared memory, then 3 by gloo" if size > 2 else "")


def test_ranks_must_have_the_same_data():
    refuse_differences([{"dataset": "a"}, {"dataset": "a"}])
    with pytest.raises(UserError, match="dataset is a for rank 0 and b for rank 1; give all the same data"):
        refuse_differences([{"dataset": "a"}, {"dataset": "b"}])
    with pytest.raises(UserError, match="machines that are alike, or write checkpoint"):
        refuse_differences([{"cpu": "a"}, {"cpu": "b"}])


def asked(ranks):
    """Only the last one is told to stop, when it asks for the second time."""
    return [ranks.stopped(ranks.rank == 2 and n == 1) for n in range(4)]


def test_what_stops_one_rank_stops_all_at_the_same_point():
    assert in_ranks(3, asked) == [[False, True, True, True]] * 3


def told_by_torchrun(ranks):
    """Rank 1 is killed where it waits for the others, which torchrun then tells to stop."""
    ranks.agree({})
    if ranks.rank == 1:
        ranks.memory.all_come = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        ranks.stopped(False)
    time.sleep(0.1)
    with pytest.raises(RankError):
        ranks.stopped(True)
    return str(ranks.ended())


def test_where_one_has_ended_the_others_were_not_interrupted():
    said = "rank 1 has ended, or cannot be reached"
    assert in_ranks(3, told_by_torchrun, dies=1) == [said, None, said]


def begun(ranks, code):
    """Rank 1 cannot begin; what the others hear of it."""
    if ranks.rank == 1:
        return ranks.fail("no such file", code)
    with pytest.raises((UserError, ChildProcessError)) as error:
        ranks.agree({})
    return type(error.value), str(error.value)


@pytest.mark.parametrize(("code", "kind"), [(2, UserError), (1, ChildProcessError)])
def test_the_others_hear_why_a_rank_cannot_begin(code, kind):
    heard = kind, "rank 1: no such file"
    assert in_ranks(3, begun, code) == [heard, None, heard]


def left(ranks, victim, cause, late=0.0):
    """One ends in the middle, by itself or by a signal; what the others find, the first of them so late."""
    ranks.agree({})
    if ranks.rank == 0:
        time.sleep(late)
    if ranks.rank == victim:
        if cause:
            ranks.fail(cause, 1)
        os.kill(os.getpid(), signal.SIGKILL)
    with pytest.raises(RankError, match="another rank has ended"):
        [ranks.sum(torch.zeros(1000)) for _ in range(1000)]
    ended = ranks.ended()
    return str(ended), ended.speaks


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("victim", "cause"), [(0, ""), (1, ""), (2, "no memory"), (0, "no memory")])
def test_one_rank_says_which_has_ended_and_why(victim, cause, way):
    found = in_ranks(3, left, victim, cause, dies=victim, way=way)
    found.pop(victim)
    said = f"rank {victim} has ended" + (f": {cause}" if cause else ", or cannot be reached")
    assert [text for text, _ in found] == [said, said]
    speaks = [True, False] if victim or not cause else [False, False]  # the first rank has said its own cause
    assert [speaks for _, speaks in found] == speaks


def waited(ranks):
    """The first is killed in a sum that the second waits in, and the third comes to late; when they notice.

    In shared memory the first has done its part of that sum, so that the others may notice at the next one.
    """
    ranks.agree({})
    if ranks.rank == 0:
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGKILL]).start()
    if ranks.rank == 2:
        time.sleep(0.4)
    start = time.monotonic()
    try:
        [ranks.sum(torch.zeros(1000)) for _ in range(2)]
    except RankError:
        seconds = time.monotonic() - start
        ranks.wait_for([alive(1), alive(2)], 5.0)  # here, where the error with all its frames is still there
        return seconds


@pytest.mark.parametrize("way", WAYS)
def test_a_rank_that_waits_for_another_than_the_one_that_ended_notices_too(way):
    _, second, third = in_ranks(3, waited, dies=0, way=way)
    assert second < 2
    assert third < 2


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_rank_that_is_held_up_has_not_ended(way):
    """A disk may hold up the first rank, which writes checkpoints, for longer than a sum takes."""
    found = in_ranks(3, left, 2, "", 8.0, dies=2, way=way)
    said = "rank 2 has ended, or cannot be reached"
    assert found[:2] == [(said, True), (said, False)]
