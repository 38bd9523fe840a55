"""An execution's history, and the status events that EventBridge gets of it."""

from __future__ import annotations

import logging
import queue
import threading
from typing import Any

from ministack.core.responses import get_account_id, get_region, now_iso, request_scope
from ministack.services import eventbridge, stepfunctions

from sluice_local.patches.states.data import dumps

Execution = dict[str, Any]

REDRIVABLE = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})

_logger = logging.getLogger(__name__)
_history_lock = threading.Lock()
_announcements: queue.SimpleQueue[tuple[str, str, dict[str, Any]]] = queue.SimpleQueue()


class Trail:
    """The events of one thread of an execution, each pointing to the one before it."""

    def __init__(self, execution: Execution, previous_id: int = 0) -> None:
        self._execution = execution
        self.last_id = previous_id

    def add(self, kind: str, **details: Any) -> None:
        """Append an event, unless the execution has ended; `details` is its `...EventDetails` member."""
        with _history_lock:
            if self._execution["status"] == "RUNNING":
                self.last_id = _append(self._execution, kind, self.last_id, details)


def close(execution: Execution, status: str, kind: str, details: dict[str, Any], **outcome: Any) -> bool:
    """End a running execution and announce it; False if it had ended already."""
    with _history_lock:
        if execution["status"] != "RUNNING":
            return False
        _append(
            execution, kind, len(execution["events"]), {f"{kind[0].lower()}{kind[1:]}EventDetails": details}
        )
        execution.update(status=status, stopDate=now_iso(), **outcome)
    announce(execution)
    return True


def reopen(execution: Execution) -> None:
    """Let an ended execution run again, and announce it."""
    with _history_lock:
        count = execution.get("redriveCount", 0) + 1
        execution.update(
            status="RUNNING", stopDate=None, error=None, cause=None, redriveCount=count, redriveDate=now_iso()
        )
        details = {"executionRedrivenEventDetails": {"redriveCount": count}}
        _append(execution, "ExecutionRedriven", len(execution["events"]), details)
    announce(execution)


def _append(execution: Execution, kind: str, previous_id: int, details: dict[str, Any]) -> int:
    events: list[dict[str, Any]] = execution["events"]
    event = {"id": len(events) + 1, "previousEventId": previous_id, "type": kind, "timestamp": now_iso()}
    for name, members in details.items():
        event[name] = {key: value for key, value in members.items() if value not in (None, "")}
    events.append(event)
    return len(events)


def redrive_status(execution: Execution) -> dict[str, Any]:
    """The members that say whether and how often an execution was or can be redriven."""
    status = execution["status"]
    redrivable = status in REDRIVABLE and "progress" in execution
    return {
        "redriveCount": execution.get("redriveCount", 0),
        "redriveDate": execution.get("redriveDate"),
        "redriveStatus": "REDRIVABLE" if redrivable else "NOT_REDRIVABLE",
        "redriveStatusReason": None if redrivable else f"Execution is {status} and cannot be redriven",
    }


def announce(execution: Execution) -> None:
    """Queue a "Step Functions Execution Status Change" event; express workflows send none."""
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) or {}
    if not execution.get("sync") and machine.get("type") != "EXPRESS":
        _announcements.put((get_account_id(), get_region(), _status_change(execution)))


def _status_change(execution: Execution) -> dict[str, Any]:
    status = execution["status"]
    output = execution.get("output") if status == "SUCCEEDED" else None
    redrive = redrive_status(execution)
    return {
        "executionArn": execution["executionArn"],
        "stateMachineArn": execution["stateMachineArn"],
        "name": execution["name"],
        "status": status,
        "startDate": stepfunctions._iso_to_epoch_ms(execution["startDate"]),
        "stopDate": stepfunctions._iso_to_epoch_ms(execution.get("stopDate")),
        **_payload("input", execution["input"]),
        **_payload("output", output),
        "error": execution.get("error"),
        "cause": execution.get("cause"),
        **redrive,
        "redriveDate": stepfunctions._iso_to_epoch_ms(redrive["redriveDate"]),
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
    }


def _payload(name: str, text: str | None) -> dict[str, Any]:
    """An input or output, left out when it would not fit into an event."""
    if text is None:
        return {name: None, f"{name}Details": None}
    included = len(text) <= stepfunctions._STATUS_EVENT_PAYLOAD_CAP
    return {name: text if included else None, f"{name}Details": {"included": included}}


def publish_forever() -> None:
    """Publish what was queued, in order; apart from the executions, so that no target holds them up."""
    while True:
        account, region, detail = _announcements.get()
        entry = {
            "Source": "aws.states",
            "DetailType": "Step Functions Execution Status Change",
            "Detail": dumps(detail),
            "Resources": [detail["executionArn"]],
        }
        try:
            with request_scope(account, region):
                eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
        except Exception:
            _logger.exception("the status of %s could not be published", detail["executionArn"])
