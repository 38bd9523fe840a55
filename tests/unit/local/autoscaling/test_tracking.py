"""How many instances a target-tracking policy wants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_local.autoscaling.tracking import Limits, Policy, wanted

TARGET = Policy(target=100, scale_in_cooldown_s=300, scale_out_cooldown_s=60)
LIMITS = Limits(1, 4)


@pytest.mark.parametrize(
    ("current", "minutes", "expected"),
    [
        pytest.param(1, [250, 250, 250], 3, id="in proportion to the target"),
        pytest.param(1, [900, 900, 900], 4, id="never above the maximum"),
        pytest.param(1, [250, 90, 250], 1, id="three minutes in a row"),
        pytest.param(1, [250, 250], 1, id="not before three minutes are known"),
        pytest.param(4, [0] * 15, 1, id="nobody asks"),
        pytest.param(4, [0] * 14, 4, id="not before fifteen minutes are known"),
        pytest.param(4, [45] * 15, 2, id="half of what the target allows"),
        pytest.param(4, [95] * 15, 4, id="a tenth below the target is near enough"),
        pytest.param(4, [60, *[0] * 14], 3, id="by the busiest of the fifteen"),
    ],
)
def test_instances_follow_the_requests(current: int, minutes: list[float], expected: int) -> None:
    assert wanted(current, minutes, [TARGET], LIMITS) == expected


def test_each_direction_waits_for_its_own_cooldown() -> None:
    busy, idle = [300.0] * 3, [0.0] * 15
    assert wanted(1, busy, [TARGET], LIMITS, since_change_s=59) == 1
    assert wanted(1, busy, [TARGET], LIMITS, since_change_s=60) == 3
    assert wanted(3, idle, [TARGET], LIMITS, since_change_s=299) == 3
    assert wanted(3, idle, [TARGET], LIMITS, since_change_s=300) == 1


def test_a_suspended_direction_is_not_taken() -> None:
    assert wanted(1, [300] * 3, [TARGET], Limits(1, 4, may_grow=False)) == 1
    assert wanted(3, [0] * 15, [TARGET], Limits(1, 4, may_shrink=False)) == 3
    assert wanted(3, [0] * 15, [Policy(target=100, scales_in=False)], LIMITS) == 3


def test_of_several_policies_the_one_that_wants_the_most_wins() -> None:
    assert wanted(2, [150] * 3, [TARGET, Policy(target=75)], LIMITS) == 4
    assert wanted(2, [60] * 15, [TARGET, Policy(target=61)], LIMITS) == 2


@given(
    st.integers(1, 10),
    st.lists(st.floats(0, 1e6), max_size=20),
    st.integers(1, 10),
    st.integers(0, 10),
)
def test_capacity_within_the_limits_never_leaves_them(
    current: int, minutes: list[float], minimum: int, more: int
) -> None:
    limits = Limits(minimum, minimum + more)
    assert minimum <= wanted(limits.clamped(current), minutes, [TARGET], limits) <= minimum + more
