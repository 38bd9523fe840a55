"""Bound how many functions run at once; others wait.

Ministack starts a process for every concurrent invocation, without limit. An event beyond a function's
reserved concurrency counts as failed; Lambda keeps it in the queue of asynchronous events.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import cloudwatch
from ministack.services import lambda_svc as service

from sluice_local.settings import Settings

# An event waits for reserved concurrency, as in Lambda's own queue; an Invoke call is answered 429.
_queued: ContextVar[bool] = ContextVar("queued", default=False)
# A function that waits for another's answer already holds a slot: queueing its call could deadlock.
_called_by_function: ContextVar[bool] = ContextVar("called_by_function", default=False)
_lock = threading.Lock()
_waiting: list[_Turn] = []
_REREAD_S = 1.0  # how soon a waiting event sees a changed ReservedConcurrentExecutions


def install(settings: Settings) -> None:
    """Install our accounting where every invocation passes."""
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
    service._release_execution_slot = lambda key: _release(settings.lambda_slots, key)
    # Ministack counts an accepted asynchronous invocation as a success, and does not count others.
    service._emit_lambda_metrics = lambda *details, **options: None


@contextmanager
def queued_event() -> Iterator[None]:
    """Let invocations in this block wait for the function's reserved concurrency instead of failing."""
    queued, nested = _queued.set(True), _called_by_function.set(False)
    try:
        yield
    finally:
        _called_by_function.reset(nested)
        _queued.reset(queued)


def reserved(func: dict[str, Any], config: dict[str, Any]) -> int | None:
    """Return a function's current reserved concurrency."""
    current = service._functions.get(config["FunctionName"]) or func
    found: int | None = service._reserved_concurrency(current, config)
    return found


def in_use(config: dict[str, Any]) -> int:
    """Return the number of invocations of a function under way."""
    return int(service._inflight.get(service._inflight_key(config), 0))


@dataclass(slots=True, eq=False)
class _Turn:
    """An invocation that waits for its turn."""

    key: str
    is_held_back: Callable[[], bool]
    granted: threading.Event = field(default_factory=threading.Event)


def _acquire(slots: int, func: dict[str, Any], config: dict[str, Any]) -> tuple[str | None, str | None]:
    """Take one unit of concurrency; returns the key to release it with, or None and what refused it.

    First come, first served, except events whose function has used up its reserved concurrency.
    """
    key = service._inflight_key(config)
    scope = contextvars.copy_context()

    def reserved_is_used_up() -> bool:
        limit = scope.copy().run(reserved, func, config)
        return limit is not None and service._inflight.get(key, 0) >= limit

    is_queued = _queued.get()
    with _lock:
        if not is_queued and reserved_is_used_up():
            _record(config["FunctionName"], Throttles=1)
            return None, "function"
        if _called_by_function.get():
            _count(key)
            return key, None
        turn = _Turn(key, reserved_is_used_up if is_queued else lambda: False)
        _waiting.append(turn)
        _grant(slots)
    while not turn.granted.wait(_REREAD_S):
        with _lock:
            _grant(slots)
    return key, None


def _grant(slots: int) -> None:
    """Give free slots to those who wait, in order of arrival."""
    for turn in list(_waiting):
        if service._inflight_total >= slots:
            return
        if not turn.is_held_back():
            _waiting.remove(turn)
            _count(turn.key)
            turn.granted.set()


def _count(key: str) -> None:
    service._inflight[key] = service._inflight.get(key, 0) + 1
    service._inflight_total += 1


def _release(slots: int, key: str | None) -> None:
    if key is None:
        return
    with _lock:
        service._inflight_total -= 1
        service._inflight[key] -= 1
        if not service._inflight[key]:
            del service._inflight[key]
        _grant(slots)


def _is_role(access_key: str) -> bool:
    """Tell whether a request has a function's credentials, which without IAM are the account's."""
    return access_key.startswith("ASIA") or access_key == get_account_id()


def _record(function_name: str, **counts: int) -> None:
    for metric, count in counts.items():
        cloudwatch.record_metric("AWS/Lambda", metric, count, "Count", {"FunctionName": function_name})
