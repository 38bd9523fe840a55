"""Say why a person approves a version, although its project lets versions be registered as approved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_KEYS_SHOWN = 3


def reasons_for_a_person(
    gates: Iterable[Mapping[str, Any]], recalled: Sequence[str], *, is_allowed: bool
) -> tuple[str, ...]:
    """Return why the version of a run is not approved by itself; empty if nothing prevents that.

    `gates` are the results of the run's gates, `recalled` the keys of data that were recalled since a model
    was built without them, and `is_allowed` is whether the stack allows automatic approval.
    """
    reasons = []
    if not is_allowed:
        reasons.append("the stack does not allow automatic approval")
    if recalled:
        shown = ", ".join(recalled[:_KEYS_SHOWN])
        more = f" and {len(recalled) - _KEYS_SHOWN} more" if len(recalled) > _KEYS_SHOWN else ""
        reasons.append(f"data were recalled that it may hold: {shown}{more}")
    compared = (str(each["reason"]) for each in gates if each.get("uncompared"))
    reasons.extend(dict.fromkeys(compared))
    return tuple(reasons)


def told(reasons: Sequence[str]) -> str:
    """Say in a sentence why a version waits."""
    return f"a person decides, although approval is automatic: {'; '.join(reasons)}"
