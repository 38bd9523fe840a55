"""Drift is what is over its limit and beyond chance: simulated, chance alone hardly ever is."""

# ruff: noqa: S311 - simulations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from profiled import METHODS, categories, gaussian, of_categories, of_numbers, only
from sluice.domain.config.statistics import DriftMethod

TRIALS = 300


def rates(
    sizes: tuple[int, int], shift: float, limit: float, trials: int = TRIALS
) -> dict[DriftMethod, float]:
    """By method, how often data of a shift (in standard deviations) are said to have drifted."""
    random, alarms = Random(7), Counter[DriftMethod]()
    for _ in range(trials):
        found = of_numbers(gaussian(random, sizes[0]), gaussian(random, sizes[1], shift))
        for method, distance in found.distances.items():
            alarms[method] += distance.value > limit and distance.is_beyond_chance
    return {method: alarms[method] / trials for method in METHODS}


@pytest.mark.parametrize("sizes", [(20, 20), (60, 40), (1000, 20), (1000, 150)])
def test_without_drift_a_false_alarm_is_as_rare_as_the_level_says(sizes: tuple[int, int]) -> None:
    """With no limit at all, so that chance alone decides: 1 % are to be alarms, 3 % bounds 300 trials."""
    for method, rate in rates(sizes, shift=0, limit=0).items():
        assert rate <= 0.03, method


def test_a_limit_alone_would_cry_wolf_on_few_rows() -> None:
    random, over, alarms = Random(7), 0, 0
    for _ in range(TRIALS):
        found = of_numbers(gaussian(random, 100), gaussian(random, 60))
        over += found.distances["psi"].value > 0.1
        alarms += found.has_drifted
    assert over / TRIALS > 0.5
    assert alarms / TRIALS <= 0.03


@pytest.mark.parametrize("sizes", [(500, 500), (4000, 500)])
def test_a_shift_of_half_a_standard_deviation_is_found_by_every_method(sizes: tuple[int, int]) -> None:
    for method, rate in rates(sizes, shift=0.5, limit=0.05, trials=60).items():
        assert rate >= 0.95, method


@pytest.mark.parametrize("sizes", [(50, 400), (300, 300), (2000, 60)])
def test_a_long_tail_of_rare_categories_is_no_drift(sizes: tuple[int, int]) -> None:
    """What a small baseline lacks of them is much of later data, and the other way round."""
    random, alarms, trials = Random(7), Counter[DriftMethod](), 100
    weights = [1 / rank for rank in range(1, 61)]
    for _ in range(trials):
        baseline, current = (Counter(random.choices(range(60), weights, k=size)) for size in sizes)
        found = of_categories(
            *({f"k{key}": count for key, count in side.items()} for side in (baseline, current))
        )
        for method, distance in found.distances.items():
            alarms[method] += distance.is_beyond_chance
    for method, count in alarms.items():
        assert count / trials <= 0.05, method


def test_many_categories_of_one_frequency_are_no_drift() -> None:
    """If only the most frequent were kept of them, chance would choose which."""
    random, alarms, trials = Random(7), Counter[DriftMethod](), 30
    for _ in range(trials):
        baseline, current = (Counter(random.choices(range(600), k=9000)) for _ in range(2))
        found = of_categories(
            *({f"k{key}": count for key, count in side.items()} for side in (baseline, current))
        )
        for method, distance in found.distances.items():
            alarms[method] += distance.is_beyond_chance
    assert all(count <= 2 for count in alarms.values()), alarms


def test_many_rare_categories_are_new_by_chance_alone() -> None:
    """About a tenth of the values of each sample of such a long tail are in no category of the other."""
    random, alarms, shares = Random(7), 0, []
    weights = [1 / rank for rank in range(1, 191)]
    for _ in range(50):
        baseline, current = (Counter(random.choices(range(190), weights, k=300)) for _ in range(2))
        found = of_categories(
            *({f"k{key}": count for key, count in side.items()} for side in (baseline, current)),
            method="js",
            max=0.99,
            max_new_share=0.001,
        )
        shares.append(found.new_share)
        alarms += found.has_drifted
    assert min(shares) > 0.01
    assert alarms == 0


@pytest.mark.parametrize("make", [Random.lognormvariate, lambda random, *_: random.paretovariate(1)])
def test_far_values_do_not_make_wasserstein_cry_wolf(make: Callable[..., float]) -> None:
    random, over, alarms = Random(7), 0, 0
    for _ in range(TRIALS):
        baseline, current = ([make(random, 0, 2) for _ in range(size)] for size in (100, 60))
        distance = of_numbers(baseline, current).distances["wasserstein"]
        over += distance.value > 0.1
        alarms += distance.value > 0.1 and distance.is_beyond_chance
    assert over / TRIALS > 0.5
    assert alarms / TRIALS <= 0.02


@pytest.mark.parametrize(("rate", "sizes"), [(0.001, (100_000, 50)), (0.005, (2000, 20))])
def test_a_rare_missing_value_is_no_change_of_the_missing_rate(rate: float, sizes: tuple[int, int]) -> None:
    random, alarms = Random(7), 0
    for _ in range(TRIALS):
        before, after = (sum(random.random() < rate for _ in range(min(size, 2000))) for size in sizes)
        before = before * max(1, sizes[0] // 2000)
        found = only(
            categories({"a": sizes[0] - before}, before),
            categories({"a": sizes[1] - after}, after),
            (sizes[1] - after,),
            max_missing_change=0.01,
        )
        alarms += found.has_drifted
    assert alarms / TRIALS <= 0.02
