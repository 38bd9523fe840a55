"""What is wrong with a value that is given in place of another."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.domain.config import kinds


@pytest.mark.parametrize(
    ("current", "value"),
    [
        (0.5, 1),
        (True, False),
        ([0.5, 1], [2]),
        (["a", 1], [True]),
        ([None], ["a"]),
        ([], ["a"]),
        ({}, {"a": 1}),
    ],
)
def test_what_may_stand_in_place_of_a_value_is_of_its_kind(current: Any, value: Any) -> None:
    assert kinds.fault("p", value, current) is None


@pytest.mark.parametrize(
    ("current", "value", "said"),
    [
        (1, 0.5, "p is 0.5: expected an integer, as pipeline.yaml has 1"),
        (1, True, "p is true: expected an integer, as pipeline.yaml has 1"),
        ([1], "a", 'p is "a": expected a list, as pipeline.yaml has [1]'),
        (["a"], ["b", 1], 'p has 1: expected text each, as pipeline.yaml has ["a"]'),
        ("a", ["b" * 80], f'p is ["{"b" * 55}...: expected text, as pipeline.yaml has "a"'),
    ],
)
def test_what_may_not_is_said_with_what_is_there(current: Any, value: Any, said: str) -> None:
    assert kinds.fault("p", value, current) == said
