"""Queue asynchronous events as Lambda does: retries, then the dead-letter queue and the destinations.

Ministack wraps what it sends to a dead-letter queue; Lambda sends the event itself, with the error in message
attributes. Ministack has no OnSuccess, and sends neither to an event bus nor to a second target. It starts a
thread for each event, which does not survive a burst of uploads.
"""

from __future__ import annotations

import contextvars
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

from ministack.core.responses import new_uuid, request_scope
from ministack.services import eventbridge, sns, sqs
from ministack.services import lambda_svc as service

from sluice_local.patches.functions import concurrency
from sluice_local.patches.functions.concurrency import queued_event
from sluice_local.patches.functions.fair_queue import FairQueue
from sluice_local.patches.iam.services import outcome_denial
from sluice_local.settings import Settings
from sluice_local.state import stores

_logger = logging.getLogger(__name__)
_LATEST = "$LATEST"
# Each unfinished event, and those of the previous cloud as they were saved.
_underway: dict[str, _Event] = {}
_restored: list[tuple[Any, ...]] = []
_LONGEST_AGE_S = 21600


_queue: FairQueue[_Event] = FairQueue()
_running: Counter[str] = Counter()
_running_lock = threading.Lock()


def install(settings: Settings) -> None:
    """Send all asynchronous invocations through our queue, with as many threads as functions may run."""

    _Event.delays_s = settings.async_retry_delays_s
    service.invoke_async_with_retry = lambda func, payload: _enqueue(_Event(func, payload))
    sns._lambda_svc = _Asynchronously()
    stores.register("events", _saved, _restored.extend)
    for name in ("_event_invoke_config", "_get_event_invoke_config", "_delete_event_invoke_config"):
        setattr(service, name, _of_latest(getattr(service, name)))
    put = service._put_event_invoke_config
    service._put_event_invoke_config = lambda name, qualifier, data: put(name, qualifier or _LATEST, data)
    for number in range(settings.lambda_slots):
        threading.Thread(target=_work, name=f"lambda-event-{number}", daemon=True).start()


class _Asynchronously:
    """Lambda for SNS: ministack invokes it once, with a thread for each message; AWS queues."""

    def __getattr__(self, name: str) -> Any:
        return getattr(service, name)

    def _execute_function_with_config_scope(self, func: dict[str, Any], event: Any) -> None:
        service.invoke_async_with_retry(func, event)


@dataclass(slots=True)
class _Event:
    """An event on its way to a function."""

    # Between attempts, as settings have them.
    delays_s: ClassVar[tuple[float, ...]] = ()

    func: dict[str, Any]
    payload: Any
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    request_id: str = field(default_factory=new_uuid)
    queued_at: float = field(default_factory=time.monotonic)
    attempts: int = 0
    # Whether an attempt is under way.
    is_tried: bool = False
    # The last attempt's, of an event whose attempt ended with the previous cloud.
    lost: dict[str, Any] | None = None

    def saved(self) -> tuple[str, Any, int, bool]:
        """Return what a later cloud needs; an attempt that was lost is so until its failure is dealt with."""
        return self.arn, self.payload, self.attempts, self.is_tried or self.lost is not None

    @property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = self.func.get("config") or self.func
        return config

    @property
    def arn(self) -> str:
        return str(self.config["FunctionArn"])

    @property
    def flow(self) -> tuple[str, ...]:
        """A function's events are one flow; S3's are one for each top folder of a bucket."""
        detail = self.payload.get("detail") if isinstance(self.payload, dict) else None
        with suppress(KeyError, TypeError, AttributeError):
            folder, _, _ = detail["object"]["key"].partition("/")  # type: ignore[index]
            return self.arn, detail["bucket"]["name"], folder  # type: ignore[index]
        return (self.arn,)

    def is_held_back(self) -> bool:
        """Tell whether the function's reserved concurrency is used up; an expired event does not wait."""
        with request_scope(*service._account_region_from_function_config(self.config)):
            reserved = concurrency.reserved(self.func, self.config)
        return (
            reserved is not None
            and max(_running[self.arn], concurrency.in_use(self.config)) >= reserved
            and time.monotonic() - self.queued_at <= _LONGEST_AGE_S
        )


def _saved() -> list[tuple[Any, ...]]:
    return [*(event.saved() for event in list(_underway.values())), *_restored]


def _enqueue(event: _Event) -> None:
    _underway[event.request_id] = event
    _queue.put(event.flow, event)


def _work() -> None:
    while True:
        event = _queue.take(_Event.is_held_back)
        with _running_lock:
            _running[event.arn] += 1
        try:
            delay_s = event.context.run(_attempt, event)
        except Exception:
            _logger.exception("an event for %s is lost", event.arn)
            delay_s = None
        finally:
            with _running_lock:
                _running[event.arn] -= 1
            _queue.look_again()
        if delay_s is None:
            del _underway[event.request_id]
        else:
            _queue.put(event.flow, event, delay_s)


def _attempt(event: _Event) -> float | None:
    """Invoke the function once; returns the pause before the next attempt, None if there is none."""
    config = event.config
    with request_scope(*service._account_region_from_function_config(config)), queued_event():
        options = service._event_invoke_config(event.func, None) or {}
        retries = options.get("MaximumRetryAttempts")
        delays_s = event.delays_s if retries is None else event.delays_s[: int(retries)]
        longest_s = options.get("MaximumEventAgeInSeconds", _LONGEST_AGE_S)
        current = _current(event.func, config)
        if current is None:
            _logger.warning("%s was deleted: its event is dropped", config["FunctionName"])
            return None
        result: dict[str, Any] = {}
        if time.monotonic() - event.queued_at <= longest_s:
            result = _result(event, current)
            condition = "RetriesExhausted" if result.get("error") else "Success"
            if condition != "Success" and event.attempts <= len(delays_s):
                delay_s = delays_s[event.attempts - 1]
                if time.monotonic() + delay_s - event.queued_at <= longest_s:
                    return delay_s
                condition = "EventAgeExceeded"
        else:
            condition = "EventAgeExceeded"
        record = _record(config, event.request_id, condition, event.attempts, event.payload, result)
        _finish(config, options, event.payload, record)
    return None


def _result(event: _Event, func: dict[str, Any]) -> dict[str, Any]:
    """Return what an attempt came to: one that ended with the previous cloud failed."""
    if event.lost is not None:
        result, event.lost = event.lost, None
        return result
    event.attempts += 1
    event.is_tried = True
    try:
        found: dict[str, Any] = service._execute_function(func, event.payload)
    finally:
        event.is_tried = False
    return found


def resume(cause: str) -> int:
    """Go on with unfinished events of the previous cloud; returns their number.

    An attempt that was under way failed, as one whose environment is lost does on AWS: it counts.
    """
    unfinished, _restored[:] = list(_restored), []
    for arn, payload, *tried in unfinished:
        func, config, _name = service._get_func_record_for_ref(arn)
        if func and config:
            with request_scope(*service._account_region_from_function_config(config)):
                event = _Event(service._execution_record_for_config(func, config), payload)
                # Versions before 2026-11-30 saved no attempts.
                event.attempts, was_tried = tried or (0, False)
                if was_tried:
                    body = {"errorType": "Runtime.ExitError", "errorMessage": cause}
                    event.lost = {"error": True, "body": body}
                _enqueue(event)
    return len(unfinished)


def _of_latest(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Without a qualifier use the configuration of $LATEST; ministack keeps two."""
    return lambda func, qualifier=None: operation(func, qualifier or _LATEST)


def _current(func: dict[str, Any], config: dict[str, Any]) -> dict[str, Any] | None:
    """Return the current function: the next attempt runs an update."""
    latest, latest_config, _name = service._get_func_record_for_ref(config["FunctionArn"])
    if not latest or not latest_config:
        return None
    return dict(service._execution_record_for_config(latest, latest_config))


def _record(
    config: dict[str, Any], request_id: str, condition: str, attempts: int, event: Any, result: dict[str, Any]
) -> dict[str, Any]:
    """Make the invocation record that a destination receives."""
    response = {"statusCode": 200, "executedVersion": config.get("Version", "$LATEST")}
    if result.get("error"):
        response["functionError"] = "Unhandled"
    return {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{config['FunctionArn']}:{config.get('Version', '$LATEST')}",
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": event,
        "responseContext": response,
        "responsePayload": result.get("body"),
    }


def _finish(config: dict[str, Any], options: dict[str, Any], event: Any, record: dict[str, Any]) -> None:
    succeeded = record["requestContext"]["condition"] == "Success"
    destinations = options.get("DestinationConfig") or {}
    destination = (destinations.get("OnSuccess" if succeeded else "OnFailure") or {}).get("Destination")
    if destination and _may_send(config, destination):
        _send_record(destination, record)
    dead_letter = (config.get("DeadLetterConfig") or {}).get("TargetArn")
    if dead_letter and not succeeded and _may_send(config, dead_letter):
        error = record["responsePayload"] if isinstance(record["responsePayload"], dict) else {}
        attributes = {
            "RequestID": ("String", record["requestContext"]["requestId"]),
            "ErrorCode": ("Number", "200"),
            "ErrorMessage": ("String", str(error.get("errorMessage", ""))[:1024]),
        }
        deliver(dead_letter, json.dumps(event), attributes)


def _may_send(config: dict[str, Any], arn: str) -> bool:
    refusal = outcome_denial(config["Role"], arn)
    if refusal:
        _logger.warning("an outcome of %s is lost: %s", config["FunctionName"], refusal)
    return refusal is None


def _send_record(arn: str, record: dict[str, Any]) -> None:
    kind = arn.split(":")[2]
    if kind == "lambda":
        func, config, _name = service._get_func_record_for_ref(arn)
        if func:
            service.invoke_async_with_retry(service._execution_record_for_config(func, config), record)
    elif kind == "events":
        succeeded = record["requestContext"]["condition"] == "Success"
        entry = {
            "EventBusName": arn,
            "Source": "lambda",
            "DetailType": f"Lambda Function Invocation Result - {'Success' if succeeded else 'Failure'}",
            "Detail": json.dumps(record),
            "Resources": [arn, record["requestContext"]["functionArn"]],
        }
        eventbridge._put_events({"Entries": [entry]})
    else:
        deliver(arn, json.dumps(record), {})


def deliver(arn: str, body: str, attributes: dict[str, tuple[str, str]]) -> None:
    """Send a message to a queue or a topic; log one that does not exist, as nobody else learns of it."""
    message_attributes = {
        name: {"DataType": kind, "StringValue": value or "-"} for name, (kind, value) in attributes.items()
    }
    if arn.split(":")[2] == "sns":
        if sns.publish_internal(arn, body, message_attributes=message_attributes) is None:
            _logger.warning("no topic %s for what could not be delivered", arn)
    elif sqs._queue_by_arn(arn) is None:
        _logger.warning("no queue %s for what could not be delivered", arn)
    else:
        url = sqs._queue_url(arn.rsplit(":", 1)[-1])
        sqs._act_send_message({"MessageBody": body, "MessageAttributes": message_attributes}, url)
