"""Decide how many instances a target-tracking policy wants. Pure.

As AWS documents it: requests above the target in three minutes in a row scale out, requests below nine tenths
of it in fifteen scale in, in proportion to the target; after either, a cooldown must pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PERIOD_S = 60
SCALES_OUT_AFTER, SCALES_IN_AFTER = 3, 15
_IN_BELOW = 0.9
_COOLDOWN_S = 300


@dataclass(frozen=True, slots=True)
class Policy:
    """A target-tracking policy on the requests of an instance and minute."""

    target: float
    scale_in_cooldown_s: int = _COOLDOWN_S
    scale_out_cooldown_s: int = _COOLDOWN_S
    scales_in: bool = True

    @classmethod
    def parse(cls, config: Mapping[str, object]) -> Policy:
        """Parse a `TargetTrackingScalingPolicyConfiguration`."""
        return cls(
            target=float(str(config["TargetValue"])),
            scale_in_cooldown_s=int(str(config.get("ScaleInCooldown", _COOLDOWN_S))),
            scale_out_cooldown_s=int(str(config.get("ScaleOutCooldown", _COOLDOWN_S))),
            scales_in=not config.get("DisableScaleIn", False),
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """How few and how many instances there may be, and in which directions they may change."""

    minimum: int
    maximum: int
    may_grow: bool = True
    may_shrink: bool = True

    def clamped(self, count: int) -> int:
        return min(max(count, self.minimum), self.maximum)


def wanted(
    current: int,
    minutes: Sequence[float],
    policies: Sequence[Policy],
    limits: Limits,
    *,
    since_change_s: float = math.inf,
) -> int:
    """Return how many instances there should be.

    `minutes` are the requests of an instance in the last whole minutes, the newest last; a minute without any
    counts 0. The policy that wants the most instances wins, and in no direction before its cooldown.
    """
    if not policies:
        return current
    grown = max(_grown(current, minutes, policy, since_change_s) for policy in policies)
    if grown > current:
        return max(limits.clamped(grown), current) if limits.may_grow else current
    shrunk = max(_shrunk(current, minutes, policy, since_change_s) for policy in policies)
    return min(limits.clamped(shrunk), current) if limits.may_shrink else current


def _grown(current: int, minutes: Sequence[float], policy: Policy, since_change_s: float) -> int:
    newest = minutes[-SCALES_OUT_AFTER:]
    is_busy = len(newest) == SCALES_OUT_AFTER and all(each > policy.target for each in newest)
    if not is_busy or since_change_s < policy.scale_out_cooldown_s:
        return current
    return _in_proportion(current, newest[-1], policy)


def _shrunk(current: int, minutes: Sequence[float], policy: Policy, since_change_s: float) -> int:
    newest = minutes[-SCALES_IN_AFTER:]
    is_idle = len(newest) == SCALES_IN_AFTER and all(each < _IN_BELOW * policy.target for each in newest)
    if not is_idle or not policy.scales_in or since_change_s < policy.scale_in_cooldown_s:
        return current
    return min(_in_proportion(current, max(newest), policy), current)


def _in_proportion(current: int, requests: float, policy: Policy) -> int:
    """Return how many instances would have the target's requests each."""
    return math.ceil(current * requests / policy.target)
