"""Retry policies of a step: which fault is retried, after how long, how often."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError

_FAULTS = frozenset(
    {
        "Step.SERVICE_FAULT",
        "Step.THROTTLING",
        "SageMaker.JOB_INTERNAL_ERROR",
        "SageMaker.CAPACITY_ERROR",
        "SageMaker.RESOURCE_LIMIT",
    }
)
_CODES = {
    "ThrottlingException": "Step.THROTTLING",
    "InternalFailure": "Step.SERVICE_FAULT",
    "ServiceUnavailable": "Step.SERVICE_FAULT",
    "ResourceLimitExceeded": "SageMaker.RESOURCE_LIMIT",
}
_REASONS = {
    "InternalServerError": "SageMaker.JOB_INTERNAL_ERROR",
    "CapacityError": "SageMaker.CAPACITY_ERROR",
    "ResourceLimitExceeded": "SageMaker.RESOURCE_LIMIT",
}


# AWS waits at most so long.
_LONGEST_S = 43200.0
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """One policy; `max_attempts` counts the retries, `expire_after_s` the time since the first attempt."""

    faults: frozenset[str]
    interval_s: float = 1
    backoff: float = 2.0
    max_attempts: int = 5
    expire_after_s: float | None = None

    def delay_s(self, retries: int, elapsed_s: float) -> float | None:
        """Return how long to wait before the next attempt; None if there is none."""
        delay = min(_LONGEST_S, self.interval_s * _power(self.backoff, retries))
        if self.expire_after_s is not None:
            return delay if elapsed_s + delay <= self.expire_after_s else None
        return delay if retries < self.max_attempts else None


def _power(base: float, exponent: int) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf


def fault_of_code(code: str) -> str | None:
    """Return which fault an error of a request is; None for one that a retry does not cure."""
    return _CODES.get(code)


def fault_of_reason(reason: str) -> str | None:
    """Return which fault a failed job's reason tells of."""
    return next((fault for word, fault in _REASONS.items() if reason.startswith(word)), None)


def policy_for(policies: Sequence[RetryPolicy], fault: str | None) -> RetryPolicy | None:
    """Return the policy that retries a fault."""
    return next((policy for policy in policies if fault in policy.faults), None)


def read(step: str, declared: Any) -> tuple[RetryPolicy, ...]:
    """Read the policies of a step; raises DefinitionError."""
    return tuple(
        _read_one(f"Step {step}: RetryPolicies[{position}]", item) for position, item in enumerate(declared)
    )


def _read_one(where: str, item: Mapping[str, Any]) -> RetryPolicy:
    faults = frozenset(item.get("ExceptionType") or ())
    if not faults or faults - _FAULTS:
        raise DefinitionError(f"{where}.ExceptionType must name some of {', '.join(sorted(_FAULTS))}.")
    if "MaxAttempts" in item and "ExpireAfterMin" in item:
        raise DefinitionError(f"{where} must have MaxAttempts or ExpireAfterMin, not both.")
    expires = item.get("ExpireAfterMin")
    return RetryPolicy(
        faults,
        _at_least(where, item, "IntervalSeconds", 1, 0),
        _at_least(where, item, "BackoffRate", 2.0, 0),
        int(_at_least(where, item, "MaxAttempts", 5, 1)),
        None if expires is None else 60 * _at_least(where, item, "ExpireAfterMin", 1, 0),
    )


def _at_least(where: str, item: Mapping[str, Any], member: str, default: float, minimum: float) -> float:
    value = item.get(member, default)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not minimum <= value <= _MOST:
        raise DefinitionError(
            f"{where}.{member} must be a number of at least {minimum} and at most {_MOST:,}, not {value!r}."
        )
    return float(value)
