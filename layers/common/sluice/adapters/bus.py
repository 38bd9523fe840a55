"""Adapter for EventBridge's default event bus."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.adapters import transient
from sluice.adapters.clients import client
from sluice.domain.failures import TransientError
from sluice.ports import EventRefusedError

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

HINT_SOURCE = "sluice.reconcile"
SOURCE = "sluice"


class EventBridgeBus:
    """The bus of AWS's own events. Only AWS may use AWS's sources, so hints carry one of ours."""

    def __init__(self, events: EventBridgeClient | None = None) -> None:
        self._events: EventBridgeClient = events or client("events")

    def put(self, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str] = ()) -> None:
        self._put(HINT_SOURCE, detail_type, detail, resources)

    def announce(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        self._put(SOURCE, detail_type, detail)

    def _put(
        self, source: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str] = ()
    ) -> None:
        answer = self._events.put_events(
            Entries=[
                {
                    "Source": source,
                    "DetailType": detail_type,
                    "Detail": json.dumps(detail),
                    "Resources": list(resources),
                }
            ]
        )
        # PutEvents succeeds even if an entry failed.
        if answer["FailedEntryCount"]:
            entry = answer["Entries"][0]
            code = entry.get("ErrorCode", "no reason")
            refusal = EventRefusedError(f"{detail_type}: {code}: {entry.get('ErrorMessage', '')}")
            if code in transient.CODES:
                raise TransientError.of(refusal) from refusal
            raise refusal
