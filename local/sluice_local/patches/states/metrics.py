"""Record the metrics of executions, in the namespace AWS/States."""

from __future__ import annotations

import time

from ministack.services import cloudwatch, stepfunctions

from sluice_local.states.history import Execution

_COUNTERS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


def record(execution: Execution) -> None:
    """Count what became of an execution; at its end also its duration, in milliseconds."""
    _store(execution, _COUNTERS[execution["status"]], 1.0, "Count")
    if execution["status"] != "RUNNING":
        began, ended = (stepfunctions._iso_to_epoch_ms(execution[name]) for name in ("startDate", "stopDate"))
        _store(execution, "ExecutionTime", float(ended - began), "Milliseconds")


def _store(execution: Execution, name: str, value: float, unit: str) -> None:
    dimensions = {"StateMachineArn": execution["stateMachineArn"]}
    cloudwatch._store_datum("AWS/States", name, dimensions, time.time(), unit, value, None, None, None)
