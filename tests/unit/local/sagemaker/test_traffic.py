"""Who answers a request, and in which steps a deployment moves traffic."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_local.sagemaker.hosting.traffic import capacity, choose, shifts

WEIGHTS = st.dictionaries(st.text(min_size=1), st.floats(0, 1000), min_size=1)


def blue_green(kind: str, *, wait: int = 60, final: int = 0, **size: Any) -> dict[str, Any]:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **size}
    return {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": final}


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


@pytest.mark.parametrize(
    ("point", "variant"), [(0.0, "blue"), (0.7499, "blue"), (0.75, "green"), (0.9999, "green")]
)
def test_a_variant_gets_its_part_of_the_summed_weights(point: float, variant: str) -> None:
    assert choose({"blue": 3.0, "green": 1.0}, point) == variant


@given(WEIGHTS.filter(lambda weights: sum(weights.values()) > 0), st.floats(0, 1, exclude_max=True))
def test_a_variant_without_weight_is_never_chosen(weights: dict[str, float], point: float) -> None:
    assert weights[choose(weights, point)] > 0


def test_no_weight_at_all_is_an_error() -> None:
    with pytest.raises(LookupError):
        choose({"blue": 0.0}, 0.5)


def test_without_a_policy_all_traffic_moves_at_once_and_nothing_bakes() -> None:
    (shift,) = shifts(None, instances=3)
    assert (shift.share, shift.bake_s) == (1.0, 0)


def test_a_canary_bakes_then_the_whole_fleet_bakes_before_the_old_one_ends() -> None:
    policy = blue_green("CANARY", wait=600, final=120, CanarySize=percent(25))
    canary, full = shifts(policy, instances=4)
    assert (canary.share, canary.bake_s) == (0.25, 600)
    assert (
        canary.message == "Baking for 600 seconds with traffic enabled on canary capacity of 1 instance(s)."
    )
    assert (full.share, full.bake_s) == (1.0, 120)
    assert "full capacity of 4 instance(s)" in full.message


def test_the_canary_of_a_single_instance_is_the_whole_fleet_and_still_bakes() -> None:
    canary, full = shifts(blue_green("CANARY", CanarySize=percent(10)), instances=1)
    assert (canary.share, canary.bake_s, full.share) == (1.0, 60, 1.0)


def test_linear_steps_grow_by_the_step_size() -> None:
    policy = blue_green("LINEAR", LinearStepSize={"Type": "INSTANCE_COUNT", "Value": 2})
    assert [shift.share for shift in shifts(policy, instances=5)] == [0.4, 0.8, 1.0]


def test_a_linear_deployment_of_a_single_instance_bakes_once() -> None:
    policy = blue_green("LINEAR", wait=30, LinearStepSize=percent(50))
    assert [(shift.share, shift.bake_s) for shift in shifts(policy, instances=1)] == [(1.0, 30), (1.0, 0)]


@given(st.integers(1, 20), st.integers(10, 50))
def test_the_shares_never_fall_and_end_at_all_traffic(instances: int, step: int) -> None:
    shares = [shift.share for shift in shifts(blue_green("LINEAR", LinearStepSize=percent(step)), instances)]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (percent(50), 2),
        (percent(1), 1),
        (percent(100), 4),
        ({"Type": "INSTANCE_COUNT", "Value": 3}, 3),
        ({"Type": "INSTANCE_COUNT", "Value": 9}, 4),
    ],
)
def test_a_capacity_is_whole_instances_of_the_fleet(size: dict[str, Any], expected: int) -> None:
    assert capacity(size, 4) == expected
