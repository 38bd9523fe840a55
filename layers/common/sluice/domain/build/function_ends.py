"""Read how the function of a job ended, if it could not say so itself: Lambda's record of the invocation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sluice.domain import failures
from sluice.lazy import dataclass

# What ends a job on Lambda that might go on elsewhere.
Limit = Literal["memory", "time", "disk", "concurrency"]


@dataclass(frozen=True, slots=True)
class FunctionEnd:
    """Why a function's invocation failed, and which of Lambda's limits that was, if any."""

    reason: str
    limit: Limit | None = None


def read(record: Mapping[str, Any]) -> FunctionEnd:
    """Read the record of a failed asynchronous invocation, as its destination gets it."""
    if record.get("requestContext", {}).get("condition") == "EventAgeExceeded":
        return FunctionEnd("Lambda had no room for it for too long", "concurrency")
    answer = record.get("responsePayload") or {}
    kind, said = str(answer.get("errorType", "")), str(answer.get("errorMessage", ""))
    if kind == "Runtime.OutOfMemory" or "signal: killed" in said:
        return FunctionEnd("it was ended for want of memory", "memory")
    if kind == "Sandbox.Timedout" or "Task timed out" in said:
        return FunctionEnd("it ran into Lambda's limit of 15 minutes", "time")
    words = said.partition("Error: ")[2] or said
    return FunctionEnd(f"the function that ran it ended: {': '.join(filter(None, (kind, words)))}")


def advice(limit: Limit | None) -> str:
    """Say what to do about a limit in pipeline.yaml, for who named Lambda there."""
    if limit is None:
        return ""
    more = ", or give a greater compute.memory_mb" if limit == "memory" else ""
    return f" ({failures.OF_LAMBDA}: set compute.backend to auto or sagemaker{more})"
