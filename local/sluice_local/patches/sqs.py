"""Make queues lose no message and deliver to functions at once.

Ministack rewrites a queue's list of messages while other threads append to it, and checks delayed messages
only once a second.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.services import eventbridge, sns, sqs
from ministack.services import lambda_svc as service

from sluice_local.patches.functions.concurrency import queued_event
from sluice_local.settings import Settings

_IN_PLACE = (
    "_act_send_message",
    "_act_delete_message",
    "_act_change_visibility",
    "_act_change_visibility_batch",
    "_act_send_message_batch",
    "_act_delete_message_batch",
    "_act_purge_queue",
    "_expire_retained",
    "_dlq_sweep",
    "_collect_msgs",
)


def install(settings: Settings) -> None:
    """Serialize what changes a queue, and wake the poller when a message becomes visible."""
    lock = sqs._queues_lock = threading.RLock()
    for name in _IN_PLACE:
        _replace_everywhere(name, _locked(lock, getattr(sqs, name)))
    eventbridge._dispatch_to_sqs = _locked(lock, eventbridge._dispatch_to_sqs)
    sns._deliver_to_sqs = _locked(lock, sns._deliver_to_sqs)
    service._esm_wake = _VisibilityWake(service._esm_wake)
    # A failed batch stays invisible for the queue's visibility timeout; there is no other pause.
    service._ESM_BACKOFF_SECONDS = 0.0
    run_batch = service._run_sqs_batch

    def run_queued_batch(*args: Any) -> None:
        with queued_event():
            run_batch(*args)

    service._run_sqs_batch = run_queued_batch


def _locked(lock: Any, change: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(change)
    def locked(*args: Any, **options: Any) -> Any:
        with lock:
            return change(*args, **options)

    return locked


def _replace_everywhere(name: str, replacement: Callable[..., Any]) -> None:
    original = getattr(sqs, name)
    setattr(sqs, name, replacement)
    for action, handler in sqs._HANDLERS.items():
        if handler is original:
            sqs._HANDLERS[action] = replacement


class _VisibilityWake:
    """The poller's wake event, which also fires when a delayed or retried message becomes visible."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event
        self.set, self.clear, self.is_set = event.set, event.clear, event.is_set

    def wait(self, timeout_s: float) -> bool:
        now = time.time()
        sources = {mapping.get("EventSourceArn") for _a, _r, mapping in service._iter_all_esms()}
        due = (
            message["visible_at"] - now
            for queue in list(sqs._queues._data.values())
            if queue["attributes"].get("QueueArn") in sources
            for message in list(queue["messages"])
            if message["visible_at"] > now
        )
        return self._event.wait(min(due, default=timeout_s))
