"""Batches, optimisers and generators: against torch, or against their definition."""

import pytest
import torch

from mlfound.foundations.batches import batches, shuffled
from mlfound.foundations.checks import relative_error
from mlfound.foundations.optimizers import limit_norms
from mlfound.foundations.randomness import generator


def test_generators_differ_by_seed_and_purpose_and_repeat():
    draws = {
        (seed, purpose): tuple(torch.randint(1 << 30, (4,), generator=generator(seed, purpose)).tolist())
        for seed in (0, 1, 10)
        for purpose in ("initialization", "shuffling")
    }
    assert len(set(draws.values())) == len(draws)
    again = torch.randint(1 << 30, (4,), generator=generator(1, "shuffling"))
    assert tuple(again.tolist()) == draws[1, "shuffling"]


@pytest.mark.parametrize(("rows", "size"), [(10, 3), (10, 5), (10, 10), (1, 4), (7, 1)])
def test_batches_give_every_row_once_and_keep_pairs_together(rows, size):
    x, y = torch.arange(rows, dtype=torch.float32)[:, None], torch.arange(rows)
    parts = list(batches(x, y, shuffled(rows, generator(0, "shuffling")), size))
    assert [len(part) for _, part in parts] == [size] * (rows // size) + (
        [rows % size] if rows % size else []
    )
    assert sorted(torch.cat([part for _, part in parts]).tolist()) == list(range(rows))
    for x_part, y_part in parts:
        assert torch.equal(x_part[:, 0].long(), y_part)


def test_two_epochs_have_two_orders():
    shuffling = generator(0, "shuffling")
    first, second = shuffled(100, shuffling), shuffled(100, shuffling)
    assert not torch.equal(first, second)
    assert not torch.equal(first, torch.arange(100))


def test_norms_are_limited_as_torchs_renorm_does():
    w = torch.randn(7, 5, dtype=torch.float64, generator=generator(0, "w"))
    w[:, 2] *= 0.01
    w[:, 3] = 0.0
    wanted = torch.renorm(w, 2, 1, 1.5)  # which divides by the norm and 1e-7 more
    before = w.clone()
    limit_norms(w, 1.5)
    assert relative_error(w, wanted) <= 1e-6
    assert relative_error(w.norm(dim=0).max(), torch.tensor(1.5, dtype=torch.float64)) <= 1e-12
    assert torch.equal(w[:, 2:4], before[:, 2:4]), "shorter ones stay as they are"
