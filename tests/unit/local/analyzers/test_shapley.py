"""Shapley values add up to the score, and are those of the definition."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sluice_analyzers import shapley
from sluice_analyzers.shapley import Explanation

ROWS = [("1", "2", "3"), ("0", "5", "1")]
NOTHING = [("0", "0", "0")]


def linear(rows: list[Sequence[str]]) -> list[float]:
    return [2 * float(a) + float(b) for a, b, _ in rows]


def product(rows: list[Sequence[str]]) -> list[float]:
    return [float(a) * float(b) for a, b, _ in rows]


def test_of_a_sum_each_feature_has_its_own_part() -> None:
    explained = shapley.explain(ROWS, NOTHING, linear, 4)
    assert explained == Explanation([[2.0, 2.0, 0.0], [0.0, 5.0, 0.0]], 0.0)


def test_of_a_product_both_have_half() -> None:
    (parts,) = shapley.explain([("2", "3", "9")], NOTHING, product, 2).parts
    assert parts == [3.0, 3.0, 0.0]


def test_parts_add_up_to_the_score_less_the_baselines() -> None:
    baseline = [("1", "1", "1"), ("3", "0", "0")]
    explained = shapley.explain(ROWS, baseline, product, 6, seed=3)
    assert explained.expected == pytest.approx(0.5)
    for row, parts in zip(ROWS, explained.parts, strict=True):
        assert sum(parts) == pytest.approx(product([row])[0] - 0.5)


def test_parts_of_rows_are_put_together() -> None:
    explained = Explanation([[1.0, -3.0], [-1.0, 0.0]], 0.0)
    assert shapley.together(explained, ["a", "b"], "mean_abs") == {"a": 1.0, "b": 1.5}
    assert shapley.together(explained, ["a", "b"], "mean_sq") == {"a": 1.0, "b": 4.5}
    assert shapley.together(explained, ["a", "b"], "median") == {"a": 1.0, "b": 1.5}


def test_the_same_order_is_worth_1_and_another_less() -> None:
    before = {"a": 3.0, "b": 2.0, "c": 1.0}
    assert shapley.ndcg(before, {"a": 30.0, "b": 20.0, "c": 1.0}) == 1.0
    # 1 + 2 / log2(3) + 3 / 2 of 3 + 2 / log2(3) + 1 / 2
    assert shapley.ndcg(before, {"a": 1.0, "b": 2.0, "c": 3.0}) == pytest.approx(3.76186 / 4.76186, abs=1e-5)
