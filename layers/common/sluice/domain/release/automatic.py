"""Decide whether a version may be approved by itself, where its project lets versions be registered so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_KEYS_SHOWN = 3


def needs_person(
    gates: Iterable[Mapping[str, Any]], recalled: Sequence[str], *, is_allowed: bool
) -> str | None:
    """Return why a person approves the version of a run, as a sentence; None if nothing asks for one.

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
    reasons.extend(dict.fromkeys(str(gate["reason"]) for gate in gates if gate.get("uncompared")))
    if not reasons:
        return None
    return f"a person decides, although approval is automatic: {'; '.join(reasons)}"
