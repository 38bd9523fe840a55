"""Two models are compared with tests that hold, by golden values and by what must be so for any data."""

# ruff: noqa: S311 - simulations

from __future__ import annotations

import itertools
import json
import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.config.prediction_metrics import METRICS
from sluice.domain.predictions.comparing import (
    Comparison,
    TooFewRowsError,
    _Areas,
    compare,
    tango_interval,
)
from sluice.domain.predictions.table import Predictions
from sluice.domain.predictions.tails import half_binomial_sf, student_isf, student_sf

GOLDEN = json.loads((Path(__file__).parent / "scikit_learn_golden.json").read_text())


@pytest.mark.parametrize(("t", "degrees", "chance"), GOLDEN["tails"]["t"])
def test_the_tail_of_students_t_is_that_of_scipy(t: float, degrees: float, chance: float) -> None:
    assert student_sf(t, degrees) == pytest.approx(chance, rel=1e-9)


@pytest.mark.parametrize(("chance", "degrees", "t"), GOLDEN["tails"]["tinv"])
def test_the_quantile_of_students_t_is_that_of_scipy(chance: float, degrees: float, t: float) -> None:
    assert student_isf(chance, degrees) == pytest.approx(t, rel=1e-9)


@pytest.mark.parametrize(("least", "n", "chance"), GOLDEN["tails"]["half"])
def test_the_tail_of_fair_coins_is_that_of_scipy(least: int, n: int, chance: float) -> None:
    assert half_binomial_sf(least, n) == pytest.approx(chance, rel=1e-9)


def test_the_tails_end() -> None:
    assert [student_sf(t, 7) for t in (math.inf, -math.inf)] == [0, 1]
    assert [half_binomial_sf(least, 4) for least in (0, 5)] == [1, 0]


def test_an_exchange_that_leaves_a_model_without_a_value_counts_it_as_0() -> None:
    """Of two rows that differ, one exchange of four gives the candidate the right one and no other."""
    labels = ["1"] * 20 + ["0"] * 20
    ids = list(map(str, range(40)))
    ours, theirs = (
        Predictions(ids, labels, ["1" if row == at else "0" for row in range(40)], None) for at in (0, 39)
    )
    found = compare(METRICS["precision"], ours, theirs, margin=0, confidence=0.95)
    assert (found.candidate, found.champion) == (1, 0)
    assert found.chance == pytest.approx(0.25, abs=0.1)


def test_areas_that_do_not_vary_are_sure() -> None:
    areas = _Areas(0.8, 0.7, [(50, 0.0, 0.0, 0.0)] * 2)
    assert [areas.chance(gain) for gain in (0.0, 0.1, 0.2)] == [0, 1, 1]


def scored(labels: list[int], scores: list[float]) -> Predictions:
    return Predictions(list(map(str, range(len(labels)))), list(map(str, labels)), None, scores)


def test_the_areas_and_their_error_are_those_of_delong() -> None:
    """By the definition, over all pairs of rows, in NumPy."""
    ours, theirs = (scored(GOLDEN["y"], GOLDEN[name]) for name in ("s", "s2"))
    found = compare(METRICS["auc"], ours, theirs, margin=0, confidence=0.95)
    area, other, variance = GOLDEN["delong"]
    assert found.candidate == pytest.approx(area)
    assert found.champion == pytest.approx(other)
    error = (found.gain - found.low) / student_isf(0.05, 57.4)
    assert error == pytest.approx(math.sqrt(variance), rel=2e-3)


def likeliest_loss(won: int, lost: int, n: int, gain: float) -> float:
    """The share of rows lost that makes these numbers most likely if the gain is given, by search."""

    def likelihood(loss: float) -> float:
        parts = ((won, loss + gain), (lost, loss), (n - won - lost, 1 - 2 * loss - gain))
        return sum(rows * math.log(max(share, 1e-300)) for rows, share in parts if rows)

    low, high = max(0.0, -gain), (1 - gain) / 2
    for _ in range(200):
        third = (high - low) / 3
        if likelihood(low + third) < likelihood(high - third):
            low += third
        else:
            high -= third
    return (low + high) / 2


@pytest.mark.parametrize(("won", "lost", "n"), [(12, 1, 44), (30, 22, 400), (0, 3, 60), (5, 5, 50)])
def test_at_the_ends_of_the_interval_the_score_statistic_is_the_quantile(won: int, lost: int, n: int) -> None:
    """Tango (1998): the gain's distance from the end, over its error with the likeliest shares there."""
    for end, sign in zip(tango_interval(won, lost, n, 0.95), (1, -1), strict=True):
        loss = likeliest_loss(won, lost, n, end)
        error = math.sqrt((2 * loss + end - end**2) / n)
        assert ((won - lost) / n - end) / error == pytest.approx(sign * 1.6448536, rel=1e-3)


def test_without_a_row_that_differs_the_interval_is_as_wide_as_the_rows_allow() -> None:
    low, high = tango_interval(0, 0, 100, 0.95)
    z2 = 1.6448536**2
    assert low == pytest.approx(-z2 / (100 + z2), rel=1e-4)
    assert high == -low


def classed(labels: str, guesses: str) -> Predictions:
    return Predictions(list(map(str, range(len(labels)))), list(labels), list(guesses), None)


def test_an_accuracy_is_compared_by_mcnemars_exact_test() -> None:
    """Nine rows are won and two lost: 67 of the 2048 ways that eleven coins fall are as good."""
    labels = "1" * 50
    ours = classed(labels, "1" * 48 + "00")
    theirs = classed(labels, "1" * 39 + "0" * 9 + "11")
    found = compare(METRICS["accuracy"], ours, theirs, margin=0, confidence=0.95)
    assert found.chance == pytest.approx(67 / 2048)
    assert found.gain == pytest.approx(7 / 50)


def test_a_metric_of_counts_is_compared_by_all_ways_to_exchange_the_models() -> None:
    """Few rows differ, so that all 2^8 exchanges can be counted."""
    labels, same = "1" * 20 + "0" * 20, "1" * 18 + "00" + "0" * 18 + "11"
    ours = classed(labels, "11111" + same[5:20] + "000" + same[23:])
    theirs = classed(labels, "00000" + same[5:20] + "111" + same[23:])
    found = compare(METRICS["f1"], ours, theirs, margin=0, confidence=0.95)

    def f1(right: int, wrong: int) -> float:
        return 2 * right / (2 * right + wrong)

    as_good = 0
    for coins in itertools.product((0, 1), repeat=8):
        won, fewer = sum(coins[:5]), sum(coins[5:])
        mine = f1(13 + won, 2 + (5 - won) + 2 + (3 - fewer))
        other = f1(13 + 5 - won, 2 + won + 2 + fewer)
        as_good += mine - other >= found.gain - 1e-12
    assert found.chance == pytest.approx(as_good / 256, abs=0.004)


def drawn(seed: int, n: int, needs: str) -> tuple[Predictions, Predictions]:
    rng = random.Random(seed)
    if needs == "numbers":
        truth = [rng.gauss(0, 1) for _ in range(n)]
        return tuple(
            Predictions(
                list(map(str, range(n))), list(map(str, truth)), None, [y + rng.gauss(0, 1) for y in truth]
            )
            for _ in range(2)
        )  # type: ignore[return-value]
    labels = [int(rng.random() < 0.4) for _ in range(n)]
    return tuple(
        scored(labels, [1 / (1 + math.exp(-(2 * label - 1 + rng.gauss(0, 1)))) for label in labels])
        for _ in range(2)
    )  # type: ignore[return-value]


def both_ways(name: str, seed: int, n: int = 80) -> tuple[Comparison, Comparison]:
    ours, theirs = drawn(seed, n, METRICS[name].needs)
    there = compare(METRICS[name], ours, theirs, margin=0, confidence=0.9)
    return there, compare(METRICS[name], theirs, ours, margin=0, confidence=0.9)


@pytest.mark.parametrize("name", METRICS)
def test_who_is_called_the_champion_mirrors_the_interval(name: str) -> None:
    there, back = both_ways(name, seed=7)
    assert there.gain == pytest.approx(-back.gain)
    assert there.low == pytest.approx(-back.high, rel=2e-3)
    assert there.low < there.gain < there.high


@pytest.mark.parametrize("name", METRICS)
def test_a_comparison_is_the_same_each_time(name: str) -> None:
    assert both_ways(name, seed=3) == both_ways(name, seed=3)


@pytest.mark.parametrize("name", METRICS)
def test_a_model_is_not_better_than_itself(name: str) -> None:
    ours, _ = drawn(1, 60, METRICS[name].needs)
    found = compare(METRICS[name], ours, ours, margin=0, confidence=0.95)
    assert (found.gain, found.chance) == (0, 1)
    assert found.low <= 0 <= found.high


@pytest.mark.parametrize("name", METRICS)
def test_a_much_better_model_is_found_better(name: str) -> None:
    _, theirs = drawn(1, 300, METRICS[name].needs)
    positive = [int(label) for label in theirs.labels] if METRICS[name].needs != "numbers" else None
    best = [0.9 if yes else 0.1 for yes in positive] if positive else [float(y) for y in theirs.labels]
    best[0] = 1 - best[0]
    ours = Predictions(theirs.ids, theirs.labels, None, best)
    found = compare(METRICS[name], ours, theirs, margin=0, confidence=0.99)
    assert found.low > 0
    assert found.chance < 0.01


@pytest.mark.parametrize("name", ["accuracy", "f1", "auc", "log_loss", "mae"])
def test_few_rows_are_too_few(name: str) -> None:
    ours, theirs = drawn(1, 29, METRICS[name].needs)
    with pytest.raises(TooFewRowsError, match="29 rows are too few to compare: at least 30"):
        compare(METRICS[name], ours, theirs, margin=0, confidence=0.95)


@pytest.mark.parametrize(("name", "why"), [("recall", "3 rows with the label"), ("auc", "3 rows of a label")])
def test_few_rows_of_a_label_are_too_few(name: str, why: str) -> None:
    ours = scored([1] * 3 + [0] * 40, [0.1] * 43)
    with pytest.raises(TooFewRowsError, match=why):
        compare(METRICS[name], ours, ours, margin=0, confidence=0.95)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_score_interval_holds_the_gain_and_stays_within_its_range(
    won: int, lost: int, same: int, confidence: float
) -> None:
    n = won + lost + same
    if n:
        low, high = tango_interval(won, lost, n, confidence)
        assert -1 <= low <= (won - lost) / n + 1e-9
        assert (won - lost) / n - 1e-9 <= high <= 1
