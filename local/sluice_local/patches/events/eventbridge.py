"""Deliver events to targets as EventBridge does.

Ministack calls a Lambda target once, without retries, and drops undeliverable events. EventBridge invokes
asynchronously, and sends undeliverable events to the target's dead-letter queue.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from ministack.services import eventbridge, scheduler, sqs, stepfunctions
from ministack.services import lambda_svc as service

from sluice_local.patches import s3
from sluice_local.patches.events import delivery, entries
from sluice_local.patches.functions.async_invocation import deliver
from sluice_local.patches.iam.services import burial_denial, target_denial
from sluice_local.settings import Settings

_logger = logging.getLogger(__name__)


def install(settings: Settings) -> None:
    """Check entries and targets, complete events before the rules, and queue events for Lambda."""
    invoke_target, dispatch = eventbridge._invoke_target, eventbridge._dispatch_event

    def dispatch_as_asked(event: dict[str, Any], view: Any = None) -> None:
        delivery.deliver(event, lambda: _dispatch(dispatch, event, view))

    def deliver_or_bury(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> None:
        view = view or eventbridge._pattern_event_view(event)
        problem = _undeliverable(target, rule)
        if problem is None:
            invoke_target(target, event, rule, view)
        else:
            _bury(target, rule, view.event_with_detail(), *problem)

    eventbridge._put_events = entries.checked(eventbridge._put_events)
    eventbridge._dispatch_event = dispatch_as_asked
    eventbridge._invoke_target = deliver_or_bury
    eventbridge._dispatch_to_lambda = _invoke_asynchronously
    # Ministack checks schedules every ten seconds, so it may fire that late.
    eventbridge._SCHEDULER_TICK_INTERVAL = scheduler._SCHEDULE_TICK_INTERVAL = 1


def _dispatch(dispatch: Callable[..., None], event: dict[str, Any], view: Any) -> None:
    if event["Source"] == "aws.s3":
        event = s3.with_version(event)
        eventbridge._archive_event(event)
    dispatch(event, view)


def _invoke_asynchronously(arn: str, payload: str) -> None:
    func, config, _name = service._get_func_record_for_ref(arn)
    service.invoke_async_with_retry(service._execution_record_for_config(func, config), json.loads(payload))


def _undeliverable(target: dict[str, Any], rule: dict[str, Any]) -> tuple[str, str] | None:
    """Return the error code and message for a target that cannot receive, or None."""
    arn = target["Arn"]
    exists = {
        "lambda": lambda: service._get_func_record_for_ref(arn)[0],
        "sqs": lambda: sqs._queue_by_arn(arn),
        "states": lambda: stepfunctions._resolve_state_machine_arn(arn),
    }.get(arn.split(":")[2])
    if exists and not exists():
        return "RESOURCE_NOT_FOUND", f"{arn} does not exist"
    denied = target_denial(target, rule)
    return ("NO_PERMISSIONS", denied) if denied else None


def _bury(
    target: dict[str, Any], rule: dict[str, Any], event: dict[str, Any], code: str, message: str
) -> None:
    _logger.warning("%s could not be delivered to %s: %s", rule.get("Arn"), target["Arn"], message)
    dead_letter = (target.get("DeadLetterConfig") or {}).get("Arn")
    if dead_letter and not burial_denial(dead_letter, rule.get("Arn", "")):
        attributes = {
            "RULE_ARN": ("String", rule.get("Arn", "")),
            "TARGET_ARN": ("String", target["Arn"]),
            "ERROR_CODE": ("String", code),
            "ERROR_MESSAGE": ("String", message),
        }
        deliver(dead_letter, json.dumps(event), attributes)
