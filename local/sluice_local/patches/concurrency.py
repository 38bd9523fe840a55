"""Bound how many functions run at once; what must wait, waits.

Ministack starts a process for every concurrent invocation, without limit, and an event that meets the
function's reserved concurrency counts as failed, where Lambda keeps it in the queue of asynchronous events.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import cloudwatch
from ministack.services import lambda_svc as service

from sluice_local.settings import Settings

# An event waits for reserved concurrency, as in Lambda's own queue; an Invoke call is answered 429.
_queued: ContextVar[bool] = ContextVar("queued", default=False)
# A function that waits for the answer of another holds a slot already: to queue its call could deadlock.
_called_by_function: ContextVar[bool] = ContextVar("called_by_function", default=False)
_capacity = threading.Condition()
_REREAD_S = 1.0  # how soon a waiting event sees a changed ReservedConcurrentExecutions


def install(settings: Settings) -> None:
    """Put our accounting in the place that every invocation passes."""
    invoke, dispatch = service._invoke, service._execute_function_dispatch

    async def invoke_with_caller(*args: Any, **options: Any) -> Any:
        _called_by_function.set(_is_role(service._request_access_key.get()))
        return await invoke(*args, **options)

    def measured_dispatch(func: dict[str, Any], config: dict[str, Any], *args: Any) -> Any:
        started = time.monotonic()
        result = dispatch(func, config, *args)
        duration_ms = (time.monotonic() - started) * 1000
        _record(config["FunctionName"], Invocations=1, Errors=int(bool(result.get("error"))), Throttles=0)
        cloudwatch.record_metric(
            "AWS/Lambda", "Duration", duration_ms, "Milliseconds", {"FunctionName": config["FunctionName"]}
        )
        return result

    def acquire(func: dict[str, Any], config: dict[str, Any]) -> tuple[str | None, str | None]:
        return _acquire(settings.lambda_slots, func, config)

    service._invoke = invoke_with_caller
    service._execute_function_dispatch = measured_dispatch
    service._acquire_execution_slot = acquire
    service._release_execution_slot = _release
    # Ministack counts an asynchronous invocation as a success when it accepts it, and others not at all.
    service._emit_lambda_metrics = lambda *details, **options: None


@contextmanager
def queued_event() -> Iterator[None]:
    """Invocations in this block wait for the function's reserved concurrency instead of being refused."""
    queued, nested = _queued.set(True), _called_by_function.set(False)
    try:
        yield
    finally:
        _called_by_function.reset(nested)
        _queued.reset(queued)


def _acquire(slots: int, func: dict[str, Any], config: dict[str, Any]) -> tuple[str | None, str | None]:
    """Take one unit of concurrency: the key to give it back with, or None and what refused it."""
    key = service._inflight_key(config)

    def reserved_is_used_up() -> bool:
        current = service._functions.get(config["FunctionName"]) or func
        reserved = service._reserved_concurrency(current, config)
        return reserved is not None and service._inflight.get(key, 0) >= reserved

    with _capacity:
        if not _queued.get() and reserved_is_used_up():
            _record(config["FunctionName"], Throttles=1)
            return None, "function"
        while not _called_by_function.get() and (
            service._inflight_total >= slots or (_queued.get() and reserved_is_used_up())
        ):
            _capacity.wait(_REREAD_S)
        service._inflight[key] = service._inflight.get(key, 0) + 1
        service._inflight_total += 1
    return key, None


def _release(key: str | None) -> None:
    if key is None:
        return
    with _capacity:
        service._inflight_total -= 1
        service._inflight[key] -= 1
        if not service._inflight[key]:
            del service._inflight[key]
        _capacity.notify_all()


def _is_role(access_key: str) -> bool:
    """Whether a request is signed with a function's credentials, which without IAM are the account's."""
    return access_key.startswith("ASIA") or access_key == get_account_id()


def _record(function_name: str, **counts: int) -> None:
    for metric, count in counts.items():
        cloudwatch.record_metric("AWS/Lambda", metric, count, "Count", {"FunctionName": function_name})
