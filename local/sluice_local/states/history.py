"""Record an execution for DescribeExecution and GetExecutionHistory: events, end, redrives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# {"executionArn", "stateMachineArn", "name", "input", "status", "startDate", "stopDate", "output", "error",
# "cause", "events", "definition": of the machine when it began, "progress": how far it came, ...}
Execution = dict[str, Any]
Record = Callable[[str, int, dict[str, Any]], int]

REDRIVABLE = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})
_END_KINDS = {
    "SUCCEEDED": "ExecutionSucceeded",
    "FAILED": "ExecutionFailed",
    "TIMED_OUT": "ExecutionTimedOut",
    "ABORTED": "ExecutionAborted",
}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class End:
    """How an execution ends."""

    status: str
    error: str | None = None
    cause: str | None = None
    output: str | None = None


class Trail:
    """The events of one walk through an execution, each pointing to its predecessor."""

    def __init__(self, record: Record, previous_id: int = 0) -> None:
        self._record = record
        self._last_id = previous_id

    def add(self, kind: str, **details: Any) -> None:
        """Append an event, unless the execution has ended; `details` is its `...EventDetails` member."""
        self._last_id = self._record(kind, self._last_id, details) or self._last_id

    def branch(self) -> Trail:
        """Return the trail of a Map iteration or a Parallel branch from here on."""
        return Trail(self._record, self._last_id)


def trail_of(execution: Execution, stamp: Callable[[], str]) -> Trail:
    """Return the trail of an execution that begins or continues."""

    def record(kind: str, previous_id: int, details: dict[str, Any]) -> int:
        with _lock:
            if execution["status"] != "RUNNING":
                return 0
            return _append(execution, kind, previous_id, details, stamp())

    return Trail(record)


def close(execution: Execution, end: End, at: str) -> bool:
    """End a running execution; False if it had ended already."""
    outcome = {"error": end.error, "cause": end.cause}
    details: dict[str, Any] = outcome
    if end.status == "SUCCEEDED":
        outcome = {"output": end.output}
        details = {**outcome, "outputDetails": {"truncated": False}}
    kind = _END_KINDS[end.status]
    with _lock:
        if execution["status"] != "RUNNING":
            return False
        name = f"{kind[0].lower()}{kind[1:]}EventDetails"
        _append(execution, kind, len(execution["events"]), {name: details}, at)
        execution.update(status=end.status, stopDate=at, **outcome)
    return True


def reopen(execution: Execution, at: str) -> None:
    """Let an ended execution run again."""
    with _lock:
        count = execution.get("redriveCount", 0) + 1
        execution.update(
            status="RUNNING", stopDate=None, error=None, cause=None, redriveCount=count, redriveDate=at
        )
        details = {"executionRedrivenEventDetails": {"redriveCount": count}}
        _append(execution, "ExecutionRedriven", len(execution["events"]), details, at)


def redrive_status(execution: Execution) -> dict[str, Any]:
    """Return the members that tell whether and how often an execution was or can be redriven."""
    status = execution["status"]
    redrivable = status in REDRIVABLE and "progress" in execution
    return {
        "redriveCount": execution.get("redriveCount", 0),
        "redriveDate": execution.get("redriveDate"),
        "redriveStatus": "REDRIVABLE" if redrivable else "NOT_REDRIVABLE",
        "redriveStatusReason": None if redrivable else f"Execution is {status} and cannot be redriven",
    }


def _append(execution: Execution, kind: str, previous_id: int, details: dict[str, Any], at: str) -> int:
    events: list[dict[str, Any]] = execution["events"]
    event = {"id": len(events) + 1, "previousEventId": previous_id, "type": kind, "timestamp": at}
    for name, members in details.items():
        event[name] = {key: value for key, value in members.items() if value not in (None, "")}
    events.append(event)
    return len(events)
