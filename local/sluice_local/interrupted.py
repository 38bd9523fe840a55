"""End what was under way in the previous process when a cloud continues.

What waits for it learns of the end by the events that AWS sends for such failures.
"""

from __future__ import annotations

import time
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudformation, sqs, stepfunctions
from ministack.services import lambda_svc as service

from sluice_local.patches.functions import async_invocation
from sluice_local.patches.states import executions
from sluice_local.sagemaker.hosting import endpoints
from sluice_local.sagemaker.jobs import operations
from sluice_local.sagemaker.pipelines import running as pipelines
from sluice_local.states.history import End

ERROR = "LocalCloud.Interrupted"
CAUSE = "The local cloud ended while this was under way."

_STACK_ENDS = {
    "CREATE": "CREATE_FAILED",
    "DELETE": "DELETE_FAILED",
    "ROLLBACK": "ROLLBACK_FAILED",
    "UPDATE": "UPDATE_ROLLBACK_COMPLETE",
}


def before_requests() -> None:
    """Prepare the state for the first request."""
    _give_back_messages()
    _end_stack_operations()


def end() -> dict[str, Any]:
    """End what was under way, once functions can be called; returns the names of what ended or continues."""
    ended = {"executions": _fail_executions(), "jobs": operations.fail_unfinished(CAUSE)}
    ended["pipeline_executions"] = pipelines.fail_unfinished(CAUSE)
    # What a queue's messages start from now on was not under way.
    if service._esms.has_any():
        service._ensure_poller()
    return {**ended, "endpoints": endpoints.resume(CAUSE), "events": async_invocation.resume(CAUSE)}


def _fail_executions() -> list[str]:
    ended = []
    for (account, region, _), execution in list(stepfunctions._executions._data.items()):
        with request_scope(account, region):
            if executions.close(execution, End("FAILED", ERROR, CAUSE)):
                ended.append(execution["name"])
    return ended


def _give_back_messages() -> None:
    """Make messages visible that someone had received."""
    now = time.time()
    for queue in sqs._queues._data.values():
        for message in queue["messages"]:
            if message.get("receive_count") and message.get("visible_at", 0) > now:
                message["visible_at"] = now


def _end_stack_operations() -> None:
    for stack in cloudformation._stacks._data.values():
        status: str = stack["StackStatus"]
        end = _STACK_ENDS.get(status.partition("_")[0])  # stacks in review continue
        if end and status.endswith("_IN_PROGRESS"):
            stack.update(StackStatus=end, StackStatusReason=CAUSE)
