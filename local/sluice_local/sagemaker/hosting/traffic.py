"""Decide which variant answers a request, and how a deployment moves traffic to the new fleet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shift:
    """A step of a deployment: the new fleet gets this share of the traffic, then bakes."""

    share: float
    bake_s: int
    message: str


def choose(weights: Mapping[str, float], point: float) -> str:
    """Choose the name whose share of the weights contains `point`, in [0, 1).

    Names with weight 0 get nothing; raises LookupError if no name has a weight.
    """
    remaining = point * sum(weights.values())
    chosen = None
    for name, weight in weights.items():
        if weight > 0:
            chosen = name
            if remaining < weight:
                break
        remaining -= weight
    if chosen is None:
        raise LookupError("no variant has a weight above 0")
    return chosen


def shifts(policy: Mapping[str, Any] | None, instances: int) -> Iterator[Shift]:
    """Yield the steps of a `BlueGreenUpdatePolicy` for a new fleet of `instances`; default: all at once.

    The last step's bake is `TerminationWaitInSeconds`, during which the old fleet stays.
    """
    policy = policy or {}
    routing = policy.get("TrafficRoutingConfiguration", {"Type": "ALL_AT_ONCE"})
    wait_s = routing.get("WaitIntervalInSeconds", 0)
    if routing["Type"] == "CANARY":
        active = capacity(routing["CanarySize"], instances)
        yield _shift(active, instances, wait_s, "canary capacity")
    elif routing["Type"] == "LINEAR":
        size = capacity(routing["LinearStepSize"], instances)
        # A fleet of one instance has one step, which bakes like any other.
        for active in range(size, max(instances, size + 1), size):
            yield _shift(active, instances, wait_s, "linear capacity")
    yield _shift(instances, instances, policy.get("TerminationWaitInSeconds", 0), "full capacity")


def capacity(size: Mapping[str, Any], instances: int) -> int:
    """Return a `CapacitySize` in whole instances, at least one and at most all."""
    wanted = size["Value"]
    if size["Type"] == "CAPACITY_PERCENT":
        wanted = -(-instances * wanted // 100)
    return int(min(max(wanted, 1), instances))


def _shift(active: int, instances: int, bake_s: int, where: str) -> Shift:
    message = f"Baking for {bake_s} seconds with traffic enabled on {where} of {active} instance(s)."
    return Shift(active / instances, bake_s, message)
