"""Send an execution's status events to EventBridge."""

from __future__ import annotations

import logging
import queue
from typing import Any

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import eventbridge, stepfunctions

from sluice_local.patches.states import metrics
from sluice_local.states.data import dumps
from sluice_local.states.history import Execution, redrive_status

_logger = logging.getLogger(__name__)
_announcements: queue.SimpleQueue[tuple[str, str, dict[str, Any]]] = queue.SimpleQueue()


def announce(execution: Execution) -> None:
    """Record metrics, and queue a status change event, which express workflows do not send."""
    metrics.record(execution)
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
    """Return an input or output, omitted if it does not fit into an event."""
    if text is None:
        return {name: None, f"{name}Details": None}
    included = len(text) <= stepfunctions._STATUS_EVENT_PAYLOAD_CAP
    return {name: text if included else None, f"{name}Details": {"included": included}}


def publish_forever() -> None:
    """Publish queued events in order, outside the executions, so that no target delays them."""
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
