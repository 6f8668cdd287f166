"""How durations are measured, on a clock of our own: a candidate 'takes' what it returns."""

import gc
import itertools
from statistics import median

import pytest

from mlfound.stats.timing import MIN_ROUNDS, NOISY_IQR, Timing, measure, on_cpu, prepared, quartiles, turns_of


def scripted(candidate, calls):
    """A timer for candidates that say how long one call takes, and remember how often they were called."""
    return calls * candidate()


def candidates(**seconds):
    return {name: lambda value=value: value for name, value in seconds.items()}


def test_a_quick_candidate_is_called_in_blocks_and_a_slow_one_sits_out():
    timings = measure(candidates(quick=1e-6, slow=0.1, slowest=50.0), budget=1.0, block=1e-3, timer=scripted)
    assert {name: timing.n for name, timing in timings.items()} == {"quick": 1000, "slow": 10, "slowest": 1}
    assert timings["quick"].median == pytest.approx(1e-6)
    assert timings["slowest"].median == 50.0
    assert timings["slowest"].iqr is None
    assert all(len(timing.calibration) == timing.n for timing in timings.values())
    assert all(kernel > 0 for kernel in timings["quick"].calibration)


@pytest.mark.parametrize(("budget", "rounds"), [(10.0, 20), (0.1, MIN_ROUNDS)])
def test_without_a_block_all_take_part_in_every_round(budget, rounds):
    seconds = {"quick": 0.1, "slow": 0.5}
    calls = []

    def timer(candidate, count):
        calls.append((candidate(), count))
        return count * candidate()

    timings = measure(candidates(**seconds), budget, block=None, timer=timer)
    assert {name: timing.n for name, timing in timings.items()} == {"quick": rounds, "slow": rounds}
    assert calls[-1] in [(0.1, 5), (0.5, 1)], "a block is as long as the slowest call"
    ratios = timings["quick"].times_as_fast_as(timings["slow"])
    assert median(ratios) == pytest.approx(5.0)
    assert len(ratios) == rounds
    assert measure({}, budget, block=None) == {}


def test_a_ratio_is_taken_round_by_round():
    """A round that was slow for both says nothing of either."""
    quick, slow = Timing([1.0, 10.0, 1.1], [1.0] * 3), Timing([2.0, 20.0, 2.2], [1.0] * 3)
    ratios = quick.times_as_fast_as(slow)
    assert ratios == pytest.approx([2.0] * 3)
    assert quartiles(ratios) == pytest.approx((2.0, 2.0))
    assert quartiles([3.0]) == (3.0, 3.0)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        quick.times_as_fast_as(Timing([1.0], [1.0]))


@pytest.mark.parametrize("budget", [0.02, 0.5])
def test_at_least_twenty_samples_where_the_budget_allows(budget):
    [timing] = measure(candidates(only=budget / 20), budget, timer=scripted).values()
    assert timing.n >= 20


def test_rounds_are_interleaved_and_change_direction():
    order = []

    def timer(candidate, calls):
        order.append(candidate())
        return 1e-3

    measure({"a": lambda: "a", "b": lambda: "b"}, budget=4e-3, block=1e-3, timer=timer)
    assert "".join(order) == "aabb" + "baabbaab"  # two calls of each, then four rounds


def test_progress_is_reported_to_the_end():
    reported = []
    measure(
        candidates(a=1e-3),
        budget=5e-3,
        block=1e-3,
        timer=scripted,
        on_progress=lambda *step: reported.append(step),
    )
    assert reported == [(done, 5) for done in range(1, 6)]


@pytest.mark.parametrize(
    ("frequency", "rounds"), [(1.0, 40), (0.5, 40), (0.1, 40), (0.001, 40), (0.3, 7), (1.0, 1)]
)
def test_turns_are_spread_evenly(frequency, rounds):
    turns = sorted(turns_of(frequency, rounds))
    assert len(turns) == max(1, round(frequency * rounds))
    assert turns[0] >= 0
    assert turns[-1] < rounds
    gaps = [b - a for a, b in itertools.pairwise(turns)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_the_figures_of_a_timing():
    timing = Timing([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 1.0, 2.0, 2.0, 2.0])
    assert timing.median == 3.0
    assert timing.quartiles == (2.0, 4.0)
    assert timing.iqr == 2.0
    assert timing.relative == [1.0, 2.0, 1.5, 2.0, 2.5]
    assert timing.noisy
    assert not Timing([1.0, 1.0 + NOISY_IQR / 2], [1.0, 1.0]).noisy


def test_garbage_collection_is_off_while_measuring_and_on_again():
    seen = []
    measure(
        {"a": lambda: seen.append(gc.isenabled())},
        budget=1e-3,
        block=1e-3,
        timer=lambda candidate, calls: candidate() or 1.0,
    )
    assert seen[-1] is False
    assert gc.isenabled()


def test_the_clock_calls_as_often_as_told():
    calls = []
    assert on_cpu(lambda: calls.append(1), 7) > 0
    assert len(calls) == 7


def test_what_is_set_up_first_is_not_timed():
    set_up, timed = [], []

    def candidate():
        set_up.append(len(timed))
        return lambda: timed.append(0) or 0.5

    assert prepared(scripted)(candidate, 3) == 1.5
    assert set_up == [0, 1, 2], "before every call, not once"
