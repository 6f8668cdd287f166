"""Is a difference real? Held against textbook examples, and tried 2,000 times on the figures of real runs."""

import numpy as np
import pytest

from mlfound.stats.differences import (
    ALPHA,
    MAX_EXACT_PAIRS,
    MAX_SEEDS,
    holm,
    paired_effect,
    sign_flip_p,
    welch_effect,
)

# Student 1908, "The probable error of a mean": hours of sleep gained by two drugs; R's t.test
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
# Darwin's maize, crossed less self-fertilised: Fisher 1935 counts 863 of 32,768 sign patterns on one side
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]

# Wrong test images of MNIST, 10,000 in all, for seeds from 0 on; of `mlfound train configs/mlp.yaml --threads 1
# --set epochs=2 --seed SEED`
REAL = [
    287, 288, 299, 296, 286, 297, 284, 299, 284, 273, 280, 289, 305, 292, 317, 274, 286, 310, 299, 313,
    296, 271, 279, 253, 285, 272, 298, 280, 298, 305, 292, 273, 268, 291, 278, 313, 281, 298, 273, 252,
    303, 319, 286, 298, 294, 276, 314, 283, 312, 293, 285, 303, 315, 309, 281, 294, 289, 319, 288, 289,
    316, 294, 288, 311, 298, 309, 307, 293, 298, 306, 290, 274, 306, 296, 299, 300, 282, 327, 303, 290,
]  # fmt: skip


def test_students_sleep_paired():
    effect = paired_effect(FIRST, SECOND)
    assert effect.difference == pytest.approx(1.58)
    assert effect.p == pytest.approx(0.002833, abs=1e-6)
    assert effect.interval(0.95) == pytest.approx((0.7001142, 2.4598858), abs=1e-7)
    assert effect.seeds == (10, 10)


def test_students_sleep_unpaired():
    effect = welch_effect(FIRST, SECOND)
    assert effect.p == pytest.approx(0.07939, abs=1e-5)
    assert effect.interval(0.95) == pytest.approx((-0.2054832, 3.3654832), abs=1e-7)
    assert effect.flips_p is None


def test_darwins_maize_by_sign_flips():
    assert sign_flip_p(np.array(DARWIN, float)) == 2 * 863 / 2**15


@pytest.mark.parametrize("pairs", range(2, MAX_EXACT_PAIRS + 1))
def test_the_smallest_p_of_sign_flips(pairs):
    apart = np.linspace(1, 2, pairs)
    assert sign_flip_p(apart) == sign_flip_p(-apart) == 2 / 2**pairs
    assert (sign_flip_p(apart) < ALPHA) == (pairs > 5)


def test_many_sign_flips_are_drawn_the_same_ones_each_time():
    apart = np.random.default_rng(1).normal(0.2, 1, 40)
    p = sign_flip_p(apart)
    assert 0.1 < p == sign_flip_p(apart) == sign_flip_p(apart)
    assert p == pytest.approx(paired_effect(np.zeros(40), apart).p, abs=0.01)
    assert 0 < sign_flip_p(np.ones(40)) < 1e-4


@pytest.mark.parametrize(
    ("effect", "seeds"),
    [  # as R's power.t.test says: 9.94 pairs, 16.7 in each group; 33.4 pairs for half a standard deviation
        (paired_effect([0, 0, 0], [-1, 0, 1]), {1.0: 10, 0.5: 34}),
        (welch_effect([-1, 0, 1], [-1, 0, 1]), {1.0: 17, 0.5: 64}),
    ],
)
def test_how_many_seeds_it_would_take(effect, seeds):
    assert {difference: effect.seeds_needed(difference, 0.95) for difference in seeds} == seeds
    assert effect.seeds_needed(1e-6, 0.95) == MAX_SEEDS + 1
    assert effect.seeds_needed(1e6, 0.95) == 2


def test_holm_as_in_rs_p_adjust():
    adjusted = [p for p, _ in holm([0.03, 0.01, 0.05, 0.02, 0.04])]
    assert adjusted == pytest.approx([0.09, 0.05, 0.09, 0.08, 0.09])
    assert holm([0.03]) == [(0.03, 0.95)]
    assert holm([]) == []
    assert holm([None, 0.04]) == [(None, 0.95), (0.04, 0.95)]


def test_each_interval_agrees_with_its_adjusted_p():
    random = np.random.default_rng(2)
    outcomes = set()
    for _ in range(300):
        several = [paired_effect([0] * 6, random.normal(mean, 1, 6)) for mean in random.choice([0, 1.5], 4)]
        for effect, (p, level) in zip(several, holm([effect.p for effect in several]), strict=True):
            low, high = effect.interval(level)
            assert (low > 0 or high < 0) == (p < ALPHA)
            outcomes.add((p < ALPHA, level))
    assert len(outcomes) > 5, "all steps of Holm's procedure were seen, passed and failed"


@pytest.mark.parametrize("judge", [paired_effect, welch_effect])
def test_equal_sides(judge):
    effect = judge([0.97, 0.97, 0.98], [0.97, 0.97, 0.98])
    assert effect.difference == 0
    assert effect.p == 1
    effect = judge([0.97] * 3, [0.97] * 3)
    assert (effect.difference, effect.p, effect.spread) == (0, 1, 0)
    assert effect.interval(0.95) == (None, None)
    assert effect.seeds_needed(0.001, 0.95) is None


@pytest.mark.parametrize("judge", [paired_effect, welch_effect])
@pytest.mark.parametrize(("first", "second"), [([0.97], [0.98]), ([0.97], [0.97]), ([0.0], [0.0])])
def test_a_seed_on_either_side_says_nothing_about_chance(judge, first, second):
    effect = judge(first, second)
    assert effect.p is None
    assert effect.interval(0.95) == (None, None)


def test_one_seed_against_several_says_nothing_either():
    assert welch_effect([0.97], [0.98, 0.96, 0.99]).p is None


def test_pairs_that_all_differ_alike_are_left_to_the_sign_flips():
    """The differences are the same but for rounding: a t-test would call any number of them certain."""
    first, second = [0.9795, 0.9765, 0.98], [0.9792, 0.9762, 0.9797]
    effect = paired_effect(first, second)
    assert effect.spread == 0
    assert effect.p == effect.flips_p == 0.25
    assert paired_effect([0.97] * 10, [0.98] * 10).p == 2 / 2**10


def test_groups_without_any_spread_cannot_be_judged():
    effect = welch_effect([0.97, 0.97], [0.98, 0.98])
    assert effect.p is None


def test_one_group_may_be_without_a_spread():
    effect = welch_effect([0.97, 0.97, 0.97], [0.98, 0.99, 0.975])
    assert 0 < effect.p < 1
    low, high = effect.interval(0.95)
    assert low < effect.difference < high


def share_of_differences_seen(judge, added, times=2000, seeds=10):
    """How often two groups of real seeds, `added` to the second, are said to differ; and the intervals that hold."""
    random, figures = np.random.default_rng(8), 1 - np.array(REAL) / 10_000
    seen = held = 0
    for _ in range(times):
        first, second = random.choice(figures, (2, seeds), replace=False)
        effect = judge(list(first), list(second + added))
        low, high = effect.interval(0.95)
        seen += effect.p is not None and effect.p < ALPHA
        held += low is None or low <= added <= high
    return seen / times, held / times


@pytest.mark.slow
@pytest.mark.parametrize("judge", [paired_effect, welch_effect])
def test_false_alarms_are_rare_and_real_differences_are_found(judge):
    """Runs of one config, 2,000 times: at most 6% say a difference. Where 0.2 points were added, most do."""
    alarms, held = share_of_differences_seen(judge, 0.0)
    assert 0.03 < alarms <= 0.06
    assert held == pytest.approx(0.95, abs=0.02)
    found, held = share_of_differences_seen(judge, 0.002)
    assert found > 0.7
    assert held == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("judge", [paired_effect, welch_effect])
def test_few_seeds_raise_no_more_false_alarms(judge, seeds):
    assert share_of_differences_seen(judge, 0.0, times=800, seeds=seeds)[0] <= 0.06


def test_the_power_that_is_promised_is_there():
    """As many pairs as are said to be needed for 0.2 points, with the spread of these figures, see them in 80%."""
    figures = 1 - np.array(REAL) / 10_000
    seeds = welch_effect(list(figures[::2]), list(figures[1::2])).seeds_needed(0.002, 0.95)
    found, _ = share_of_differences_seen(welch_effect, 0.002, seeds=seeds)
    assert found == pytest.approx(0.8, abs=0.05)
