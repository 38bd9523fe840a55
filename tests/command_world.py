"""A stack of fakes that a command asks by an event, which the stack's function hears at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from build_world import World


class Stack:
    """What a command sees as its target; `meanwhile` happens once the function has heard the event."""

    def __init__(self, world: World, detail_type: str, function: str) -> None:
        self.world, self.cloud, self.catalog = world, world.cloud, world.cloud.catalog
        self.stack, self.description = "sluice", "a stack of fakes"
        self.detail_type, self.function = detail_type, function
        self.meanwhile: Callable[[], object] = lambda: None

    def client(self, service: str) -> Any:
        return self

    def call(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        return {"Arn": "arn:aws:iam::123456789012:user/ada"}

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:
        (entry,) = Entries
        assert entry["DetailType"] == self.detail_type
        event = {"time": self.world.cloud.now.at, "detail": json.loads(entry["Detail"])}
        self.world.invoke(self.function, event)
        self.meanwhile()
        return {"FailedEntryCount": 0}
